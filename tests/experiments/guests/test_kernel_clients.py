"""The kernel's NFS client in guests: what it sees of what another one, or S3, does, and when."""

import json
import time
from contextlib import ExitStack
from types import SimpleNamespace

import pytest
from busy_machine import tried_again

from experiments.multiprotocol import running, staleness
from experiments.systems.nfs_mount import NfsMount
from experiments.systems.nfsd import Nfsd

pytestmark = pytest.mark.slow
PROGRAM = staleness.__name__
WRITER_IS = "another client"
WRITER = """
import pathlib, sys, time
with open(sys.argv[1], "w") as file:
    file.write("new")
    file.flush()
    print("written", flush=True)
    while not pathlib.Path(sys.argv[2]).exists():
        time.sleep(0.02)
print("closed", flush=True)
"""
PREPARE = f"import sys; from {PROGRAM} import prepare; prepare(sys.argv[1])"
WRITEBACK = "/proc/sys/vm/dirty_writeback_centisecs"
LONG, PATIENCE_S = "actimeo=3600", 8  # nothing expires while a test waits
SLACK_S = 6  # a busy machine looks late


@pytest.fixture
def machines(guests):
    """A server, and two clients."""
    return guests.host(3), guests.host(1, "writer"), guests.host(2, "client")


@pytest.mark.parametrize("version", ["3", "4.2"])
def test_a_write_is_seen_by_an_open_after_its_close_on_another_machine(machines, shell, version):
    server, writer, client = machines
    folder, go = server.scratch(), writer.scratch() / "go"
    # However long this takes on a busy machine, the kernel writes nothing back before the close.
    writer.undo("a setting", ["sh", "-c", f"echo 500 > {WRITEBACK}"])
    shell(writer, f"echo 0 > {WRITEBACK}")
    with (
        Nfsd(server, folder, delegations=False) as system,
        NfsMount(writer, system.export, version) as there,
        NfsMount(client, system.export, version) as mount,
    ):
        shell(writer, 'printf old > "$0"', there.path / "a")
        assert shell(client, 'cat "$0"', mount.path / "a") == "old"
        with writer.start([writer.python, "-c", WRITER, there.path / "a", go]) as process:
            assert process.read_line(60) == "written"
            assert shell(client, 'cat "$0"', mount.path / "a") != "new"
            shell(writer, 'touch "$0"', go)
            assert process.read_line(60) == "closed"
        assert shell(client, 'cat "$0"', mount.path / "a") == "new"


def test_another_clients_write_waits_for_a_delegation_for_as_long_as_the_lease(
    machines, shell, until
):
    server, writer, client = machines
    folder, lease_s = server.scratch(), 10
    for name in ("a", "b"):
        shell(server, 'echo old > "$0"', folder / name)
    with (
        Nfsd(server, folder, lease_s=lease_s) as system,
        NfsMount(writer, system.export, "4.2") as there,
        NfsMount(client, system.export, "4.2") as mount,
    ):
        renewed = [0.0]  # when the client last spoke to the server, or a little before

        def is_given(name, number):
            """Open once more: the server's way back to a new client is there after a while."""
            renewed[0] = time.monotonic()
            shell(client, 'cat "$0"', mount.path / name)
            return system.delegations() == number

        until(lambda: is_given("a", 1))
        shell(writer, 'echo new > "$0"', there.path / "a")
        assert shell(client, 'cat "$0"', mount.path / "a") == "new"
        until(lambda: is_given("b", 1))
        client.partition()  # it does not hear that the server wants its delegation back
        writer.run(["sh", "-c", 'echo new > "$0"', there.path / "b"], timeout=100)
        assert time.monotonic() - renewed[0] > lease_s - 1
        client.heal()


SEES = {  # by option of the mount: the ways of looking that see a change though nothing expires
    LONG: {"content", "listed"},  # opening asks the server: close-to-open
    f"{LONG},lookupcache=none": {"content", "listed", "size", "absent"},
    f"{LONG},nocto": {"content"},  # version 4 opens at the server all the same
    "actimeo=1": set(staleness.WAYS),
    "noac": set(staleness.WAYS),
}


def delays(server, folder, writer, client, export, version):
    """Return {option: {way: seconds}} after a change by the writer's kernel."""
    with ExitStack() as running:
        there = running.enter_context(NfsMount(writer, export, version, options=["noac"]))
        watchers = {}
        for number, option in enumerate(SEES):
            server.run([server.python, "-c", PREPARE, folder / str(number)])
            mount = NfsMount(client, export, version, options=[option])
            watched = {WRITER_IS: {option: f"{running.enter_context(mount).path}/{number}"}}
            words = [json.dumps(watched), PATIENCE_S, client.address]
            process = client.start([client.python, "-m", PROGRAM, "watch", *words])
            watchers[option] = running.enter_context(process)
        for number, process in enumerate(watchers.values()):
            port = json.loads(process.read_line(120))["port"]
            words = [there.path / str(number), WRITER_IS, client.address, port]
            writer.run([writer.python, "-m", PROGRAM, "change", *words])
        return {
            option: {way: delay for _, _, way, delay in json.loads(process.read_line(120))}
            for option, process in watchers.items()
        }


@tried_again(2)
def test_what_is_stale_and_for_how_long_follows_from_the_mounts_options(machines):
    server, writer, client = machines
    folder = server.scratch()
    with Nfsd(server, folder, delegations=False) as running:
        measured = delays(server, folder, writer, client, running.export, "4.2")
    seen = {
        option: {way for way, delay in by_way.items() if delay is not None}
        for option, by_way in measured.items()
    }
    assert seen == SEES, measured
    assert max(measured["actimeo=1"].values()) < 1 + SLACK_S


def test_the_kernels_server_recalls_a_delegation_before_a_put(machines):
    server, _, client = machines
    said, outcome = running.run(
        SimpleNamespace(server=server, client=client),
        SimpleNamespace(system="nfsd kernel", setting="default"),
        300,
        what="anomalies",
        tries=4,
        kind_s=30,
        seed=7,
        limit_s=120,
        kinds=["delegation_not_recalled", "reopened_stale", "lock_ignored"],
    )
    assert outcome == "ran", outcome
    kinds = {result["kind"]: result for result in said}
    judged = kinds["delegation_not_recalled"]
    assert judged["tries"] and not judged["seen"] and not judged["error"], judged
    # A PUT replaces the file by another one; the client opens the one that it has open.
    assert kinds["reopened_stale"]["seen"], kinds
    assert kinds["lock_ignored"]["seen"] and kinds["lock_ignored"]["witness"], kinds
