"""Finds free TCP ports. Standard library only, because it is part of the agent."""

import errno
import socket
from collections.abc import Sequence
from random import SystemRandom

ANY = (0,)  # lets the kernel choose


def free(address: str, among: Sequence[int] = ANY) -> int:
    """Return a port of `address` that is free now. Raises `OSError` if none of `among` is."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    # The system's randomness: the agent's sessions are forks, which share the state of Python's.
    for port in SystemRandom().sample(among, len(among)):
        with socket.socket(family) as probe:
            try:
                probe.bind((address, port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
            else:
                return probe.getsockname()[1]
    raise OSError(errno.EADDRINUSE, f"no port from {among[0]} to {among[-1]} is free")
