"""A free port is one that nothing listens on, among those that a host may offer."""

import socket
from contextlib import ExitStack

import pytest

from benchpaper.hosts import ports


def test_a_port_that_is_taken_is_not_offered():
    with ExitStack() as running:
        servers = [running.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(2)]
        taken = [server.getsockname()[1] for server in servers]
        free = ports.free("127.0.0.1")
        assert free not in taken and ports.free("127.0.0.1", [*taken, free]) == free
        with pytest.raises(OSError, match=f"no port from {taken[0]} to {taken[1]} is free"):
            ports.free("127.0.0.1", taken)


def test_an_address_of_another_machine_has_none():
    with pytest.raises(OSError, match="Cannot assign"):
        ports.free("192.0.2.9", range(40000, 41000))
