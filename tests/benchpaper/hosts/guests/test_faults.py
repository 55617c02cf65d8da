"""Faults of a guest: a slow or cut link, a frozen kernel, a power cut."""

import socket
import time
from itertools import pairwise
from types import SimpleNamespace

import pytest
from test_guests import CLIENT, SERVER

from benchpaper.hosts import CommandFailed, HostError
from benchpaper.hosts.guests.host import GuestHost
from benchpaper.hosts.site import HostEntry

pytestmark = pytest.mark.slow

SAVE = """
import os, sys
for name, flushed in (("flushed", True), ("careless", False)):
    with open(f"/mnt/{name}", "w") as file:
        file.write("data")
        file.flush()
        if flushed:
            os.fsync(file.fileno())
            folder = os.open("/mnt", os.O_RDONLY)
            os.fsync(folder)
"""


STOOD_S = 3.0
TICK = """
import time
while True:
    print(time.time())
    time.sleep(0.01)
"""


@pytest.fixture
def pair(guests):
    """Return (client, ask): `ask()` are the seconds of a message to a server in another guest."""
    server, client = guests.host(1), guests.host(2, "client")
    port = server.free_port()
    with server.start([server.python, "-c", SERVER, server.address, port]) as process:
        assert process.read_line(60) == "ready"

        def ask(timeout=60.0):
            words = [client.python, "-c", CLIENT, server.address, port]
            return float(client.run(words, timeout=timeout).stdout)

        yield client, ask


def test_a_links_delay_counts_until_it_is_removed_and_ends_with_the_trial(pair, guests):
    client, ask = pair
    client.netem("delay", "800ms")
    assert ask() >= 0.8
    client.netem()
    client.netem("delay", "900ms", "10ms", "loss", "1%", "reorder", "25%", "rate", "100mbit")
    shown = client.run(["tc", "qdisc", "show", "dev", "vec0"]).stdout
    assert all(word in shown for word in ("delay 900ms", "10ms loss 1%", "reorder", "rate 100Mbit"))
    client.close()
    other, end = guests.host(2, "client"), time.monotonic() + 60
    while "netem" in other.run(["tc", "qdisc", "show", "dev", "vec0"]).stdout:
        assert time.monotonic() < end
    with pytest.raises(CommandFailed, match="tc on client ended with status"):
        other.netem("delay", "much")


def test_a_partition_cuts_both_ways_until_it_is_healed_and_the_controller_is_not_cut(pair):
    client, ask = pair
    ask()
    client.partition()
    with pytest.raises(CommandFailed):
        ask(timeout=8.0)
    client.heal()
    assert ask() < 60


@pytest.mark.parametrize("error", [ConnectionRefusedError, TimeoutError])
def test_an_error_while_a_guest_is_frozen_stays_the_trials_own(error):
    """Such as that of a client whose frozen server does not answer it."""
    keeper, theirs = socket.socketpair()
    link = SimpleNamespace(cpus=[0], python="python")
    entry = HostEntry(name="g", kind="uml", address="198.18.0.1", roles=("server",))
    host = GuestHost(link, lambda: theirs, "server", "t", entry, 60.0, lambda host, argv: None)
    with keeper:
        keeper.sendall(b'{"error": ""}\n')
        with pytest.raises(error), host.frozen():
            raise error
        assert keeper.recv(9) == b"freeze" and keeper.recv(9) == b""


def test_a_frozen_guest_stands_still_and_goes_on(boot):
    host = boot().host()
    with host.start([host.python, "-u", "-c", TICK]) as process:
        ticks = [float(process.read_line(60))]
        with host.frozen():
            time.sleep(STOOD_S)
            end = time.time()
        while ticks[-1] < end:
            ticks.append(float(process.read_line(60)))
    assert max(after - before for before, after in pairwise(ticks)) >= STOOD_S - 0.2


def test_after_a_power_cut_the_disk_holds_what_was_flushed_and_nothing_else(boot):
    guests = boot(disk=64)
    host = guests.host()
    host.run(["mkfs.ext4", "-q", "-F", "/dev/ubda"])
    host.run(["mount", "/dev/ubda", "/mnt"])
    host.run([host.python, "-c", SAVE])
    host.run(["touch", "/srv/in-memory"])
    host.power_cut()
    host.run(["mount", "/dev/ubda", "/mnt"])
    assert host.run(["cat", "/mnt/flushed"]).stdout == "data"
    careless = host.run(["cat", "/mnt/careless"], check=False).stdout
    assert careless in ("", "data") and host.run(["ls", "/srv"]).stdout == ""
    assert guests.fleet.conclude() == [] and host.run(["echo", "on"]).stdout == "on\n"


def test_a_guest_without_a_disk_refuses_a_power_cut(guests):
    with pytest.raises(HostError, match='give it one in the site file \\("disk: 200"'):
        guests.host().power_cut()
