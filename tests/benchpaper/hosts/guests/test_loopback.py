"""Guests without taps and programs on this machine reach each other through passt."""

import shutil

import pytest
from test_guests import CLIENT, SERVER

from benchpaper.core.errors import UserError
from benchpaper.hosts import CommandFailed, guest_kernel
from benchpaper.hosts.guests.loopback import HERE, PORTS
from benchpaper.hosts.local import LocalHost

HAS_PASST = shutil.which(guest_kernel.FORWARDER)
with_passt = pytest.mark.skipif(not HAS_PASST, reason="passt is not installed")
ADDRESS = "127.18.0.101"


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
