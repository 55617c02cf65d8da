"""Verbs code runs in emulated guests over soft-RoCE: right bytes, and the device's own counts.

Two guests boot once for all of it. Times are never looked at.
"""

import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from checkout import ROOT
from guest import booted_guests, need

from benchpaper.core.capabilities import find_capability
from benchpaper.core.emulation import is_emulated
from benchpaper.core.project import Project
from benchpaper.design.spec import make_cell
from benchpaper.hosts import emulated_kernel
from benchpaper.hosts import site as sites
from experiments import capabilities
from experiments.rdma.fabric import experiment as fabric
from experiments.systems import soft_roce, ucx

pytestmark = pytest.mark.slow
SAMPLES = 40
ROLES = {"server": "198.18.0.101", "client": "198.18.0.102"}
MTU = 1024  # of the path: what remains of an Ethernet frame, to a power of two


@pytest.fixture(scope="module")
def booted(tmp_path_factory):
    """Two emulated guests."""
    patch = pytest.MonkeyPatch()
    patch.setenv("XDG_CACHE_HOME", str(ROOT / ".benchpaper" / "cache"))
    if why := emulated_kernel.lacking() or capabilities.lacking_for_soft_roce():
        patch.undo()
        need(why, "emulated guests with soft-RoCE")
    entries = [
        sites.HostEntry(name=role, kind="qemu", address=address, roles=(role,), disk=64)
        for role, address in ROLES.items()
    ]
    folder, site = tmp_path_factory.mktemp("trials"), sites.Site("emulated", tuple(entries))
    try:
        with booted_guests(Project(ROOT), site, folder) as guests:
            yield guests
    finally:
        patch.undo()


@pytest.fixture
def guests(booted):
    """The two hosts of a fresh trial."""
    with booted.for_one_test():
        hosts = {role: booted.host(number, role) for number, role in enumerate(ROLES, 1)}
        yield SimpleNamespace(**hosts, fleet=booted.fleet)


def test_a_real_machine_offers_no_soft_roce(monkeypatch, tmp_path):
    """Its times would be results: the framework refuses those of emulated machines only."""
    devices, drivers = tmp_path / "devices", tmp_path / "drivers"
    (devices / "rxe0" / "parent").mkdir(parents=True)
    (drivers / "rxe.driver").mkdir(parents=True)
    monkeypatch.setattr(capabilities, "DEVICES", devices)
    monkeypatch.setattr(capabilities, "DRIVERS", drivers)
    monkeypatch.setattr(capabilities.shutil, "which", lambda name: name)
    assert find_capability("soft_roce").check() == (
        False,
        "it is no emulated guest, which may make such a device",
    )
    assert find_capability("rdma").check() == (False, f"no device in {devices}, except soft-RoCE")


def test_a_guest_is_an_emulated_machine_that_tells_soft_roce_from_an_adapter(guests):
    facts = guests.client.facts()
    assert facts["virtualised"] == "emulated (QEMU)" and is_emulated(
        {f"client.{name}": text for name, text in facts.items()}
    )
    assert facts["kernel"] == emulated_kernel.kernel().version != os.uname().release
    has = guests.fleet.has(["soft_roce", "rdma", "own_kernel", "emulated_guests"])
    present = {name: answer[0] for name, answer in has.items()}
    assert present == dict(soft_roce=True, own_kernel=True, rdma=False, emulated_guests=False)


def test_a_guest_sees_no_secret_and_can_write_to_no_file_of_this_machine(guests, tmp_path):
    mark = tmp_path / "mark"
    mark.write_text("of this machine")
    seen = guests.server.run(["cat", mark, "/etc/shadow"], check=False)
    assert seen.returncode and "of this machine" not in seen.stdout and "root:" not in seen.stdout
    written = guests.server.run(["touch", ROOT / "README.md"], check=False)
    assert written.returncode and "Read-only" in written.stderr
    guests.server.run(["touch", "/usr/bin/benchpaper-was-here"])
    assert not Path("/usr/bin/benchpaper-was-here").exists()


def test_time_goes_on_while_a_guest_is_frozen(guests):
    before = uptime(guests.server)
    with guests.server.frozen():
        time.sleep(2)
    assert uptime(guests.server) - before > 2


def uptime(host):
    return float(host.run(["cat", "/proc/uptime"]).stdout.split()[0])


# ---- verbs ----


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """The folder with the program `fabric`, built with a UCX that has verbs."""
    for name in ("verbs", "cc"):
        present, detail = find_capability(name).check()
        if not present:
            pytest.skip(f"{name}: {detail}")
    folder = tmp_path_factory.mktemp("programs")
    ucx.build(ROOT / "experiments/rdma/fabric", folder / "fabric")
    return folder


def measured(guests, programs, operation, size_bytes):
    levels = dict(transport=ucx.SOFT, operation=operation, size_bytes=size_bytes,
                  outstanding=1, tool=fabric.LOOP)  # fmt: skip
    cell = make_cell(levels)
    assert fabric.valid(cell)
    site = SimpleNamespace(server=guests.server, client=guests.client, programs=programs)
    return fabric.measurement(cell, site, SAMPLES)


@pytest.mark.parametrize("operation", ["get", "message"])
def test_reliable_connections_move_the_right_bytes(guests, programs, operation):
    seen = measured(guests, programs, operation, size_bytes=4096)
    assert seen["transport_used"] == "rc_verbs"
    assert 0 < seen["verified"] == seen["operations"] <= SAMPLES  # it stops after ten seconds
    # What the operation itself must send: a read is a request, and the answer's packets.
    answer = -(-4096 // MTU)
    each = 1 + answer if operation == "get" else 2 * answer
    assert seen["packets"] >= each * seen["operations"]


def test_a_lost_packet_is_sent_again_and_no_byte_is_wrong(guests, programs):
    soft_roce.device(guests.server)
    guests.server.netem("loss", "5%")
    seen = measured(guests, programs, "get", 4096)
    assert seen["verified"] == seen["operations"] > 0
    assert seen["repeated_requests"] > 0
