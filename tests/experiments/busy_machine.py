"""What tests do about other programs that hold up what they time, or come between two things that have to meet."""

import functools
import re


def tried_again(times, errors=AssertionError, match=""):
    """Decorate a test of what a busy machine may prevent: it fails once it has failed `times` times, or otherwise than
    by one of these `errors` with a text that matches. What must hold every time is asserted outside."""

    def decorate(test):
        @functools.wraps(test)
        def again(*arguments, **named):
            for _ in range(times - 1):
                try:
                    return test(*arguments, **named)
                except errors as error:
                    if not re.search(match, str(error)):
                        raise
            return test(*arguments, **named)

        return again

    return decorate
