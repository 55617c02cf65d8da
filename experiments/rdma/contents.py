"""The contents of the objects that clients of other systems put and get."""

import random


def content(number, size):
    """Return the bytes of an object."""
    return random.Random(number).randbytes(size)
