"""What a trial of a real system must not leave."""

import time

import pytest

KINDS = (
    "processes",
    "listening ports",
    "mounts",
)  # the others may be made meanwhile by whoever uses this machine
SETTLING_S = 20.0


@pytest.fixture
def left_behind(left_behind):
    """As for all tests, but it asks again for a while: what was killed is not gone at once."""

    def ask():
        end = time.monotonic() + SETTLING_S
        while left := {kind: what for kind, what in left_behind().items() if kind in KINDS}:
            if time.monotonic() > end:
                break
            time.sleep(0.1)
        return left

    return ask
