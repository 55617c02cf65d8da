"""Retries for tests that a busy machine can disturb."""

import functools
import re


def tried_again(times, errors=AssertionError, match=""):
    """Decorate a test that a busy machine may make fail.

    It fails after `times` failures, or on an error other than these `errors` with a matching
    text. Assert outside it what must hold every time.
    """

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
