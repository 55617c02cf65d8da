"""What this machine lacks for guests is said with its remedy; modules load in the right order."""

import pytest

from benchpaper.core.capabilities import find_capability
from benchpaper.hosts import guest_kernel
from benchpaper.hosts.guests import modules
from benchpaper.hosts.lab import subnets

NOT_HERE = guest_kernel.lacking()
here = pytest.mark.skipif(bool(NOT_HERE), reason=f"no guests here: {NOT_HERE}")


@pytest.fixture
def without(monkeypatch, tmp_path):
    """Return `hide(program)`: no PATH leads to these programs any more."""

    def hide(*names):
        for name in guest_kernel.PACKAGES:
            if name not in names:
                (tmp_path / name).write_text("#!/bin/sh\n")
                (tmp_path / name).chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))

    return hide


@pytest.mark.parametrize("program", guest_kernel.PACKAGES)
def test_a_missing_program_is_named_by_its_package(without, program):
    without(program)
    why = guest_kernel.lacking()
    assert why == f"install the packages {guest_kernel.PACKAGES[program]}"
    assert find_capability("guests").check() == (False, why)


@here
def test_a_kernel_without_its_modules_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(guest_kernel, "MODULES", tmp_path)
    assert "install the package user-mode-linux again" in guest_kernel.lacking()


@here
def test_the_probe_names_the_kernel(monkeypatch):
    present, detail = find_capability("guests").check()
    assert present and guest_kernel.version() in detail
    monkeypatch.setitem(guest_kernel.WANTED, "time travel", "no_such_module")
    assert ", without time travel" in find_capability("guests").check()[1]


@here
def test_what_only_some_guests_lack_is_a_labelled_gap(monkeypatch):
    real = guest_kernel.shutil.which
    hidden = ("cc", guest_kernel.FORWARDER)
    monkeypatch.setattr(
        guest_kernel.shutil, "which", lambda name, **o: None if name in hidden else real(name)
    )
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    present, detail = find_capability("guests").check()
    assert present and "this machine's loopback (install passt)" in detail
    assert "a C compiler (commands start more slowly)" in detail


def test_modules_load_after_those_that_they_need(tmp_path):
    (tmp_path / "modules.dep").write_text("k/a-b.ko: k/c.ko k/d.ko\nk/c.ko: k/d.ko\nk/d.ko:\n")
    (tmp_path / "modules.alias").write_text("# a comment\nalias fs-a* a_b\n")
    expected = [tmp_path / "k" / name for name in ("d.ko", "c.ko", "a-b.ko")]
    for name in ("a-b", "a_b", "fs-abc"):
        assert modules.files(name, tmp_path) == expected
    with pytest.raises(FileNotFoundError, match="no module nothing"):
        modules.files("nothing", tmp_path)


ROUTES = """Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT
eth0 00000000 0100000A 0003 0 0 0 00000000 0 0 0
eth0 000012C6 00000000 0001 0 0 0 0000FEFF 0 0 0
"""


def test_a_subnet_that_an_interface_has_or_a_route_leads_to_is_left_out(monkeypatch):
    assert [str(network) for network in subnets.routed(ROUTES)] == ["198.18.0.0/15"]
    taken = subnets.routed(ROUTES.replace("0000FEFF", "00FFFFFF"))
    monkeypatch.setattr(subnets, "_taken", lambda: taken)
    assert (subnets.free(0), subnets.free(1), subnets.free(511)) == (
        "198.18.1", "198.18.1", "198.19.255",
    )  # fmt: skip
    monkeypatch.setattr(subnets, "_taken", lambda: subnets.routed(ROUTES))
    with pytest.raises(Exception, match="in use on this machine, by interfaces or routes"):
        subnets.free(0)


def test_this_machines_own_addresses_are_taken():
    assert any(str(network).startswith("127.0.0.1") for network in subnets._taken())
