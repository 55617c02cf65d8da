"""What tests do about other programs that hold up what they time, or come between two things that have to meet."""

import functools


def tried_again(times, errors=AssertionError):
    """Decorate a test of what does happen, but not when the machine is busy: it fails once it has failed `times` times."""

    def decorate(test):
        @functools.wraps(test)
        def again(*arguments, **named):
            for _ in range(times - 1):
                try:
                    return test(*arguments, **named)
                except errors:
                    pass
            return test(*arguments, **named)

        return again

    return decorate
