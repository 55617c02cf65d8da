"""Disks that lose, fail or delay writes, and the kernel's log of writes to a disk."""

import json
import struct
import time
from types import SimpleNamespace

import pytest

from benchpaper import CommandFailed
from benchpaper.core.capabilities import find_capability
from experiments.systems.environment import faulty_disk, write_log
from experiments.systems.environment.faulty_disk import FaultyDisk, needs
from experiments.systems.environment.memory_limit import LEAST_MB

KINDS = sorted(LEAST_MB)
KEEP = 'echo kept > "$0/kept" && sync "$0/kept" "$0" && echo lost > "$0/lost"'
WRITE = 'echo data > "$0/new" && sync "$0/new"'
DELAY_MS = 700
FILL = 'head -c 100000 /dev/urandom > "$0/data" && sync "$0/data" "$0"'


def shell(host, script, disk):
    return host.run(["sh", "-c", script, disk.path])


def devices(host):
    """Return what disks leave if they are not removed."""
    script = "ls /dev/mapper; losetup --list --noheadings; grep /mounted /proc/mounts || true"
    return host.run(["sh", "-c", script]).stdout


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_disk_loses_fails_and_delays_what_it_is_told_and_leaves_nothing(kind, guest_host):
    host = guest_host
    with FaultyDisk(host, kind, LEAST_MB[kind]) as disk:
        shell(host, KEEP, disk)
        disk.power_cut()
        assert host.run(["ls", disk.path / "kept", disk.path / "lost"], check=False).returncode
        assert host.run(["cat", disk.path / "kept"]).stdout == "kept\n"

        disk.drop_writes()
        shell(host, WRITE, disk)  # it is acknowledged
        disk.power_cut()
        assert host.run(["test", "-e", disk.path / "new"], check=False).returncode == 1

        disk.delay(0, DELAY_MS)
        begin = time.monotonic()
        shell(host, WRITE, disk)
        assert time.monotonic() - begin >= DELAY_MS / 1e3

        disk.fail_writes()
        with pytest.raises(CommandFailed, match="Input/output error|Read-only file system"):
            shell(host, WRITE.replace("new", "newer"), disk)
    assert devices(host) == "control\n"


@pytest.mark.slow
def test_a_disk_that_fails_answers_no_read(guest_host):
    with FaultyDisk(guest_host, "ext4", 16) as disk:
        shell(guest_host, FILL, disk)
        disk.power_cut()
        disk.fail()
        with pytest.raises(CommandFailed, match="Input/output error"):
            guest_host.run(["cat", disk.path / "data"])
        disk.power_cut()
        assert len(guest_host.run(["base64", disk.path / "data"]).stdout) > 100_000


# A program in the middle of its work on a recorded disk.
STUCK = """
import sys, time
from pathlib import Path
from experiments.systems.environment.write_log import RecordedDisk
with RecordedDisk(Path(sys.argv[1]), "ext4", 16) as disk:
    disk.prepare(lambda root: None)
    disk.record(lambda root, mark: [print("stuck", flush=True), time.sleep(1000)])
"""
# Work that forgets its last mark.
UNMARKED = """
import sys
from pathlib import Path
from experiments.systems.environment.write_log import RecordedDisk
with RecordedDisk(Path(sys.argv[1]), "ext4", 16) as disk:
    disk.prepare(lambda root: None)
    disk.record(lambda root, mark: mark("first"))
    print(sum(1 for cut in disk.cuts("last")))
"""


def have_a_fault(host):
    FaultyDisk(host, "ext4", 16).__enter__().delay(0, 10)


def record_writes(host):
    folder = host.scratch()
    host.undo("a disk", write_log.undo(folder))
    process = host.start([host.python, "-c", STUCK, folder])
    assert process.read_line(100) == "stuck" and "benchpaper-" in devices(host)


@pytest.mark.slow
@pytest.mark.parametrize("begin", [have_a_fault, record_writes])
def test_a_trial_that_ends_in_the_middle_leaves_nothing(begin, guests):
    begin(guests.host())
    guests.end_trials()
    assert devices(guests.host()) == "control\n"


@pytest.mark.slow
def test_a_log_without_its_last_mark_is_refused(guest_host):
    with pytest.raises(CommandFailed, match="the log ends before the mark last"):
        guest_host.run([guest_host.python, "-c", UNMARKED, guest_host.scratch()])
    assert devices(guest_host) == "control\n"


@pytest.mark.slow
def test_a_guest_has_what_disks_with_faults_need_and_a_host_without_it_says_what_it_lacks(
    guest_host, monkeypatch
):
    wanted = {name: find_capability(name).module for kind in KINDS for name in needs(kind)}
    code = f"""
import json
from benchpaper.hosts.agent.probing import answers
print(json.dumps(answers({wanted})))
"""
    answers = json.loads(guest_host.run([guest_host.python, "-c", code]).stdout)
    assert all(present for present, _ in answers.values()), answers
    assert answers["disk_faults_xfs"] == [True, "xfs over dm-flakey, dm-delay, dm-log-writes"]

    monkeypatch.setattr(faulty_disk.os, "geteuid", lambda: 0)
    monkeypatch.setattr(faulty_disk.shutil, "which", lambda name: name != "mkfs.xfs")
    assert faulty_disk.probe("xfs") == (False, "no mkfs.xfs on PATH")
    monkeypatch.setattr(faulty_disk.shutil, "which", lambda name: True)
    monkeypatch.setattr(faulty_disk, "MODULES", ())
    monkeypatch.setattr(faulty_disk.os, "uname", lambda: SimpleNamespace(release="none"))
    assert faulty_disk.probe("btrfs")[1].startswith("the kernel lacks ")


@pytest.mark.parametrize("kind, size, why", [("ntfs", 100, "must be one of"), ("xfs", 20, "300")])
def test_a_disk_that_cannot_be_is_refused(kind, size, why):
    with pytest.raises(ValueError, match=why):
        FaultyDisk(None, kind, size)


# ---- the log ----

SECTOR = 512


def sector(*parts):
    data = b"".join(parts)
    return data + bytes(-len(data) % SECTOR)


def logged(*more, magic=write_log.MAGIC, version=1, count=None):
    head = struct.pack("<QQQI", magic, version, len(more) if count is None else count, SECTOR)
    return sector(head) + b"".join(more)


def entry(place, length, flags, data=b"", text=b""):
    return sector(struct.pack("<QQQQ", place, length, flags, len(text)), text) + data


WRITTEN = entry(8, 2, 0, b"w" * 2 * SECTOR)


def test_a_log_is_read_entry_by_entry(tmp_path):
    flushed = entry(0, 0, write_log.FLUSH)
    forced = entry(3, 1, write_log.FUA, b"f" * SECTOR)
    discarded = entry(16, 64, write_log.DISCARD)
    mark = entry(0, 0, write_log.MARK, text=b"saved")
    (tmp_path / "log").write_bytes(logged(WRITTEN, flushed, forced, discarded, mark))
    read = list(write_log.entries(tmp_path / "log"))
    assert [(seen.place, seen.size, seen.data[:1], seen.mark) for seen in read] == [
        (8 * SECTOR, 2 * SECTOR, b"w", ""),
        (0, 0, b"", ""),
        (3 * SECTOR, SECTOR, b"f", ""),
        (16 * SECTOR, 64 * SECTOR, b"", ""),
        (0, 0, b"", "saved"),
    ]
    assert [seen.is_barrier for seen in read] == [False, True, True, False, False]


@pytest.mark.parametrize(
    "log, why",
    [
        (b"", "ends within an entry"),
        (bytes(SECTOR), "holds no log of writes"),
        (logged(version=2), "holds no log of writes of version 1"),
        (logged(WRITTEN[:SECTOR]), "ends within an entry"),
        (logged(WRITTEN, count=2), "ends within an entry"),
    ],
)
def test_a_log_that_is_not_whole_is_refused(log, why, tmp_path):
    (tmp_path / "log").write_bytes(log)
    with pytest.raises(write_log.BrokenLog, match=why):
        list(write_log.entries(tmp_path / "log"))
