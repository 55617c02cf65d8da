"""Guests without taps and programs on this machine reach each other through passt."""

import shutil
from types import SimpleNamespace

import pytest
from guest import own_loopback
from test_guests import CLIENT, SERVER

from benchpaper.core.errors import UserError
from benchpaper.hosts import CommandFailed, guest_kernel
from benchpaper.hosts.guests.host import GuestHost
from benchpaper.hosts.guests.loopback import HERE, PORTS
from benchpaper.hosts.local import LocalHost
from benchpaper.hosts.site import HostEntry
from benchpaper.measure.provisions import Provider, Provisions

HAS_PASST = shutil.which(guest_kernel.FORWARDER)
with_passt = pytest.mark.skipif(not HAS_PASST, reason="passt is not installed")
ADDRESS = own_loopback()
ROOM = "set -- $(cat /proc/sys/net/ipv4/ip_local_port_range); test $(($2 - $1)) -gt 20000"


def test_a_trials_hosts_find_each_other(tmp_path):
    """A trial has its hosts in wrappers, which check what it sends."""

    def guest(number, **more):
        entry = HostEntry(
            name="g", kind="uml", address=f"198.18.0.{number}", roles=("server",), **more
        )
        link = SimpleNamespace(cpus=[0], python="python")
        host = GuestHost(link, None, "server", "t", entry, 60.0, lambda host, argv: None)
        return Provider(host, Provisions(), lambda *_: None)

    here = Provider(LocalHost(folder=tmp_path), Provisions(), lambda *_: None)
    joined, apart = guest(101, loopback=ADDRESS), guest(102)
    assert (joined.address_of(here), here.address_of(joined)) == (HERE, ADDRESS)
    assert (joined.address_of(apart), apart.address_of(joined)) == ("198.18.0.102", "198.18.0.101")
    assert (apart.address_of(here), here.address_of(apart)) == ("127.0.0.1", "198.18.0.102")


@with_passt
@pytest.mark.slow
def test_a_guest_and_this_machines_loopback_reach_each_other(boot, tmp_path):
    guest, here = boot(loopback=ADDRESS).host(), LocalHost("client", folder=tmp_path)
    assert (guest.address_of(here), here.address_of(guest)) == (HERE, ADDRESS)
    for server, client in ((here, guest), (guest, here)):
        port = server.free_port()
        assert server is here or PORTS[0] <= port <= PORTS[1]
        with server.start([server.python, "-c", SERVER, server.address, port]) as process:
            assert process.read_line(60) == "ready"
            words = [client.python, "-c", CLIENT, client.address_of(server), port]
            client.run(words)
            if client is guest:
                client.run(["sh", "-c", ROOM])  # its connections need more ports than a server's
                client.partition()
                with pytest.raises(CommandFailed):
                    client.run(words, timeout=3.0)
                client.heal()
                client.run(words)


@with_passt
@pytest.mark.slow
def test_a_passt_that_cannot_run_is_said_in_one_line(boot):
    with pytest.raises(
        UserError, match="does not reach .* loopback: passt ended; it said: ."
    ) as bad:
        boot(loopback="127.0.0.300")
    assert "\n" not in str(bad.value)


def test_without_passt_the_remedy_is_said(boot, monkeypatch):
    real = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name, **o: None if name == "passt" else real(name))
    with pytest.raises(UserError, match="needs passt; install the package passt, or leave") as bad:
        boot(loopback=ADDRESS)
    assert "\n" not in str(bad.value)
