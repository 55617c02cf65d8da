"""Second tries of a view's operations, for as long as a server may ask for them."""

import time

TIMEOUT_S = 10


def retrying(is_passing, act, *arguments):
    """Return `act(*arguments)`; try again for `TIMEOUT_S` while `is_passing` of what it raises."""
    end = time.monotonic() + TIMEOUT_S
    while True:
        try:
            return act(*arguments)
        except Exception as error:
            if not is_passing(error) or time.monotonic() > end:
                raise
        time.sleep(0.002)
