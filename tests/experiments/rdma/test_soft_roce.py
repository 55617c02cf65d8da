"""Verbs code runs in emulated guests over soft-RoCE: right bytes, and the device's own counts.

Two guests boot once for all of it. Times are never looked at. `EVERY_CELL=1` runs each cell of
each experiment, and each failure.
"""

import importlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from checkout import ROOT
from guest import booted_guests, need

from benchpaper.core.capabilities import find_capability
from benchpaper.core.emulation import is_emulated
from benchpaper.core.project import Project
from benchpaper.design.spec import make_cell
from benchpaper.hosts import HostError, emulated_kernel
from benchpaper.hosts import site as sites
from experiments import capabilities
from experiments.rdma import counting, store
from experiments.rdma.fabric import experiment as fabric
from experiments.rdma.fabric import program
from experiments.rdma.multi_get import experiment as multi_get
from experiments.systems import soft_roce, ucx

pytestmark = pytest.mark.slow
SAMPLES = 40
ROLES = {"server": "198.18.0.101", "client": "198.18.0.102"}
SIZE, OBJECTS = 4096, 64
SANITIZE = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
EVERY = os.environ.get("EVERY_CELL")
every = pytest.mark.skipif(not EVERY, reason="guests are slow; EVERY_CELL=1 runs it")
SMALL = {"mtu": 600, "path": 512}
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


def shrink_mtu(guests):
    """Have both devices use a smaller path MTU, for this test."""
    for host in (guests.server, guests.client):
        soft_roce.device(host)
        interface = soft_roce.interface(host)
        host.undo("an MTU", ["ip", "link", "set", interface, "mtu", 1500])
        host.run(["ip", "link", "set", interface, "mtu", SMALL["mtu"]])


# ---- verbs ----


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """The folder with the programs, built with a UCX that has verbs; the store with sanitizers."""
    for name in ("verbs", "cc"):
        present, detail = find_capability(name).check()
        if not present:
            pytest.skip(f"{name}: {detail}")
    folder = tmp_path_factory.mktemp("programs")
    ucx.build(ROOT / "experiments/rdma/fabric", folder / "fabric")
    store.build(folder / "store", SANITIZE)
    if EVERY:  # multi_get has readers that wait for each other
        (folder / "multi_get").mkdir()
        store.build(folder / "multi_get" / "store", [*SANITIZE, *multi_get.GATED])
    return folder


def measured(guests, programs, operation, size_bytes):
    levels = dict(transport=ucx.SOFT, operation=operation, size_bytes=size_bytes,
                  outstanding=1, tool=fabric.LOOP)  # fmt: skip
    cell = make_cell(levels)
    assert fabric.experiment.is_valid(cell)
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


@every
def test_the_death_of_the_far_side_is_an_error(guests, programs):
    binary = programs / "fabric"
    for host in (guests.server, guests.client):  # which would take longer than the far side waits
        host.provide(binary)
        ucx.host_environment(host, ucx.SOFT)
    before = soft_roce.counters(guests.server)[soft_roce.SENT]
    with (
        program.Responder(guests.server, binary, ucx.SOFT) as far,
        ThreadPoolExecutor(1) as pool,
    ):
        reading = pool.submit(
            program.measure, guests.client, far, binary, ucx.SOFT, "get", SIZE, 1, 10**6, 1, 200.0
        )
        while soft_roce.counters(guests.server)[soft_roce.SENT] < before + 100:
            assert not reading.done(), reading.result()
            time.sleep(0.5)
        guests.server.run(["kill", "-KILL", far.process.pid])
        with pytest.raises(HostError, match="fabric: the server went away"):
            reading.result()


@every
def test_fabric_moves_the_same_bytes_in_more_packets_over_a_smaller_path_mtu(guests, programs):
    shrink_mtu(guests)
    seen = measured(guests, programs, "get", SIZE)
    assert seen["verified"] == seen["operations"] > 0
    assert seen["packets"] >= (1 + SIZE / SMALL["path"]) * seen["operations"]


# ---- the object store ----

SOME = {
    "object_get": (
        "path=cached fabric=rc_soft_roce size_bytes=4096 outstanding=1 readers=1 writer=none",
        "path=cached fabric=rc_soft_roce_lossy",
    ),
    "target_stall": (),
    "percentiles": (),
    "multi_get": (),
}


def cells_over_soft_roce():
    for name in SOME:
        experiment = importlib.import_module(f"experiments.rdma.{name}.experiment").experiment
        for cell in experiment.cells("full"):
            chosen = EVERY or cell.id.startswith(SOME[name])
            if cell.levels["fabric"] in ucx.SOFT_ROCE and chosen:
                yield pytest.param(experiment, cell, id=f"{name} {cell.id}")


@pytest.mark.parametrize("experiment, cell", list(cells_over_soft_roce()))
def test_cells_of_the_store_count_what_verbs_do(guests, programs, experiment, cell, monkeypatch):
    monkeypatch.setattr(counting, "LOSS", "3%")  # so that some answer is lost, whatever happens
    gated = experiment is multi_get.experiment
    site = SimpleNamespace(
        server=guests.server, client=guests.client, seed=7,
        programs=programs / "multi_get" if gated else programs,
        counts=SimpleNamespace(**experiment.scale("smoke").counts),
    )  # fmt: skip
    [seen] = experiment._trial(cell, site)
    path, writer = cell.path, cell.levels.get("writer", "none")
    assert seen["transport_used"] == "rc_verbs" and seen["right_reads"] > 0
    if writer == "none":
        gets = counting.GETS // cell.levels.get("keys", 1) * cell.levels.get("keys", 1)
        assert seen["right_reads"] == gets or "server" in cell.levels
        assert (seen["requests_to_server"] == 0) == (path not in ("message", "together"))
        # A request, and the packets of the answer; also the acknowledgements, where there are any.
        assert seen["packets_per_get"] >= 1 + SIZE / MTU
        assert seen["wire_bytes_per_get"] > SIZE
    if path == "lookup":
        assert seen.get("index_reads_per_get", 1) >= 1 == seen.get("reads_per_get", 1)
    if cell.levels["fabric"] == ucx.LOSSY:
        assert seen["repeated_requests"] > 0
    if cell.levels.get("server") == "stopped" and path != "message":
        assert seen["reads_without_beat"] > 3


def served(guests, programs, **more):
    """A server that leaves its guest's only CPU to others, as far as it can."""
    chosen = dict(preload=OBJECTS, waiting="sleep", **more)
    return store.Server(guests.server, programs / "store", ucx.SOFT, SIZE, **chosen)


def reader(guests, server, programs, path="cached", lease_s=2.0):
    return store.Reader(
        guests.client, server, programs / "store", path, SIZE, OBJECTS, 10**6,
        max_seconds=240.0, keep=False, lease_s=lease_s,
    )  # fmt: skip


def test_memory_that_was_deregistered_is_refused_by_the_device(guests, programs):
    """Its key goes with it: the reader gets an error, and not what lies there by now."""
    with (
        served(guests, programs, fault="deregister") as server,
        reader(guests, server, programs) as reading,
    ):
        assert reading.process.wait(120) == 1
        said = reading.process.stderr_text()
        assert server.process.poll() is None
    assert "the transport could not read the server's memory (" in said, said


@every
@pytest.mark.parametrize("path", ["cached", "message"])
def test_the_death_of_the_server_is_an_error(guests, programs, path):
    with (
        served(guests, programs) as server,
        reader(guests, server, programs, path) as reading,
    ):
        reading.wait_until_measuring()
        server.signal("KILL")
        assert reading.process.wait(120) == 1
        said = reading.process.stderr_text()
    assert "could not read" in said or "the server does not live" in said, said


def test_a_cut_link_puts_the_queue_pair_in_error(guests, programs):
    """The device gives up after its retries, and UCX cancels what was under way."""
    with (
        served(guests, programs) as server,
        reader(guests, server, programs, lease_s=30.0) as reading,
    ):
        reading.wait_until_measuring()
        guests.server.partition()
        assert reading.process.wait(180) == 1
        said = reading.process.stderr_text()
        guests.server.heal()
    assert "the transport could not read the server's memory (" in said, said


@every
def test_a_smaller_path_mtu_takes_more_packets_for_the_same_bytes(guests, programs):
    shrink_mtu(guests)
    with served(guests, programs) as server:
        folders = soft_roce.counter_folders(guests.client)
        result = store.measure(
            guests.client, server, programs / "store", "cached", SIZE, OBJECTS, SAMPLES,
            counters=folders,
        )  # fmt: skip
    packets = result["device"][soft_roce.SENT] + result["device"][soft_roce.RECEIVED]
    assert result["right"] == result["iterations_done"] > 0
    assert packets >= result["iterations_done"] * (1 + SIZE / SMALL["path"])
