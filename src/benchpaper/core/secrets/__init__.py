"""What a secret looks like: by its name, by its format, by its randomness, by a program's options.

All modules use the standard library only, because target hosts run them too, and take time in
proportion to the length of the text, because a trial decides how long that is. detect-secrets, the
library for this, can do neither: it imports `requests`, and its rule for names takes 4 s for 5 kB.
The tests hold these rules against its own.
"""
