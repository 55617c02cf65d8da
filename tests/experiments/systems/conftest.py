"""A guest for the tests of environments that need a kernel of their own."""

from guest import guest_host as guest_host
from guest import new_trial as new_trial
