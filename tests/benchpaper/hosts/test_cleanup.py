"""What a trial leaves on the machine is taken away, and nothing else is."""

import ctypes
import json
import mmap
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchpaper.core import events
from benchpaper.core.project import Project
from benchpaper.hosts import cleanup
from benchpaper.hosts.local import LocalHost

IPC_CREAT, IPC_RMID = 0o1000, 0
HOUR = 3600
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")


@pytest.fixture
def scratch(tmp_path):
    """The scratch folder of a trial that began a moment ago, in a project."""
    folder = tmp_path / "project" / ".benchpaper" / "scratch" / "trial-x"
    folder.mkdir(parents=True)
    cleanup.note_shared_memory(folder, HOUR)
    return folder


@pytest.fixture
def project(tmp_path, scratch):
    return Project(tmp_path / "project")


@pytest.fixture
def shm_name():
    name = f"benchpaper-test-{os.getpid()}-{time.monotonic_ns()}"
    yield name
    Path("/dev/shm", name).unlink(missing_ok=True)


def segments():
    return {int(line.split()[1]) for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]}


@pytest.fixture
def segment():
    """Return `make()`: a System V segment of a process that has ended since."""
    made = []
    code = f"import ctypes; print(ctypes.CDLL(None).shmget(0, 4096, {IPC_CREAT | 0o600}))"

    def make():
        made.append(int(subprocess.check_output([sys.executable, "-c", code])))
        return made[-1]

    yield make
    for identifier in segments().intersection(made):
        ctypes.CDLL(None).shmctl(identifier, IPC_RMID, None)


def later(folder, seconds):
    """As if the trial had begun so many seconds earlier."""
    path = folder / cleanup.SHARED_MEMORY
    noted = json.loads(path.read_text())
    path.write_text(
        json.dumps({**noted, "since": noted["since"] - seconds, "until": noted["until"] - seconds})
    )


def test_a_trial_that_tidied_up_has_left_nothing_but_its_folder(scratch):
    (scratch / "client").mkdir()
    (scratch / "client" / "output").write_text("x")
    assert cleanup.clear(scratch) == [] and not scratch.exists()


def test_undos_run_in_reverse_order_of_all_roles(scratch, tmp_path):
    for role, word in (("server", "first"), ("client", "second"), ("server", "third")):
        (scratch / role).mkdir(exist_ok=True)
        host = LocalHost(role, folder=scratch / role)
        host.undo(f"the {word}", ["sh", "-c", f"echo {word} >> {tmp_path / 'undone'}"])
    assert cleanup.clear(scratch) == ["the third", "the second", "the first"]
    assert (tmp_path / "undone").read_text().split() == ["third", "second", "first"]
    assert not scratch.exists()


def test_undos_noted_within_one_tick_of_the_files_clock_keep_their_order(scratch):
    for number in range(20):
        folder = scratch / f"role{number % 3}"
        folder.mkdir(exist_ok=True)
        cleanup.note_undo(folder, f"mount {number}", ["true"])
    for path in scratch.glob("*/*.json"):
        os.utime(path, (1, 1))
    assert cleanup.clear(scratch) == [f"mount {number}" for number in reversed(range(20))]


@pytest.mark.parametrize("argv", [["false"], ["/no/such/program"], ["sleep", "60"]])
def test_an_undo_that_fails_stops_nobody_and_is_not_told_as_done(
    scratch, tmp_path, monkeypatch, argv
):
    monkeypatch.setattr(cleanup, "UNDO_TIMEOUT_S", 3)
    cleanup.note_undo(scratch, "what was never made", ["touch", tmp_path / "undone"])
    cleanup.note_undo(scratch, "a mount", argv)
    assert cleanup.clear(scratch) == ["what was never made"]
    assert (tmp_path / "undone").exists() and not scratch.exists()


def test_an_undo_that_a_kill_cut_short_is_left_out(scratch, tmp_path):
    cleanup.note_undo(scratch, "a file", ["touch", tmp_path / "undone"])
    (scratch / "undo-001.json").write_text('{"what": "a mou')
    assert cleanup.clear(scratch) == ["a file"]


def test_what_a_trial_calls_its_own_data_is_no_undo(scratch, tmp_path):
    data = scratch / "client" / "tmp0"
    data.mkdir(parents=True)
    cleanup.note_undo(data, "data", ["touch", tmp_path / "undone"])
    assert cleanup.clear(scratch) == [] and not (tmp_path / "undone").exists()


@pytest.mark.root
@root_only
def test_a_mount_whose_undo_was_not_noted_goes_too_and_what_is_mounted_stays(scratch, tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis").write_text("x")
    point = scratch / "client" / "a point"
    point.mkdir(parents=True)
    mounted = subprocess.run(["mount", "--bind", precious, point], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"mount is not allowed here: {mounted.stderr.strip()}")
    with open(point / "thesis"):  # busy, so that a plain umount is refused
        assert cleanup.clear(scratch) == ["a mount"]
    assert (precious / "thesis").exists() and not scratch.exists()
    assert "a\\040point" not in Path("/proc/mounts").read_text()


@pytest.mark.root
@root_only
def test_what_cannot_be_unmounted_is_not_removed(scratch, tmp_path, monkeypatch):
    precious, point = tmp_path / "precious", scratch / "point"
    for folder in (precious, point):
        folder.mkdir()
    (precious / "thesis").write_text("x")
    if subprocess.run(["mount", "--bind", precious, point], capture_output=True).returncode:
        pytest.skip("mount is not allowed here")
    try:
        monkeypatch.setenv("PATH", "/nowhere")
        assert cleanup.clear(scratch) == []
        assert (precious / "thesis").exists()
    finally:
        monkeypatch.undo()
        subprocess.run(["umount", point], check=True)


def test_a_system_v_segment_of_the_trial_goes(scratch, segment):
    before = segments()
    mine = segment()
    assert cleanup.clear(scratch) == ["a System V shared-memory segment"]
    assert segments() == before and mine not in before


def test_a_segment_whose_maker_is_dead_but_not_waited_for_goes(scratch, segment):
    code = (
        f"import ctypes; print(ctypes.CDLL(None).shmget(0, 4096, {IPC_CREAT | 0o600}), flush=True)"
    )
    maker = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    made = int(maker.stdout.read())
    os.waitid(os.P_PID, maker.pid, os.WEXITED | os.WNOWAIT)  # a zombie from here on
    try:
        assert cleanup.clear(scratch) == ["a System V shared-memory segment"]
        assert made not in segments()
    finally:
        maker.stdout.close()
        maker.wait()
        ctypes.CDLL(None).shmctl(made, IPC_RMID, None)


def test_segments_of_others_stay(scratch, segment, tmp_path):
    libc = ctypes.CDLL(None)
    libc.shmat.restype = ctypes.c_void_p
    living = libc.shmget(0, 4096, IPC_CREAT | 0o600)  # the maker, this process, lives
    attached = segment()
    address = libc.shmat(attached, None, 0)
    try:
        assert cleanup.clear(scratch) == []
        assert {living, attached} <= segments()
    finally:
        libc.shmdt(ctypes.c_void_p(address))
        libc.shmctl(living, IPC_RMID, None)


def test_a_segment_from_before_the_trial_stays(tmp_path, segment):
    mine = segment()
    cleanup.note_shared_memory(tmp_path, HOUR)
    assert cleanup.clear(tmp_path) == [] and mine in segments()


def test_a_posix_object_of_the_trial_goes(scratch, shm_name):
    Path("/dev/shm", shm_name).write_bytes(bytes(4096))
    assert cleanup.clear(scratch) == ["a POSIX shared-memory object"]
    assert not Path("/dev/shm", shm_name).exists()


def test_a_posix_object_made_at_once_is_the_trials(tmp_path, shm_name):
    """The times of files are behind the time of day by up to a tick."""
    for number in range(20):
        folder = tmp_path / str(number)
        folder.mkdir()
        cleanup.note_shared_memory(folder, HOUR)
        os.close(os.open(Path("/dev/shm", shm_name), os.O_CREAT))
        assert cleanup.clear(folder) == ["a POSIX shared-memory object"]


@pytest.mark.parametrize("use", ["mapped", "open"])
def test_a_posix_object_that_is_in_use_stays(scratch, shm_name, use):
    with open(Path("/dev/shm", shm_name), "w+b") as file:
        file.truncate(4096)
        mapped = mmap.mmap(file.fileno(), 4096) if use == "mapped" else None
        if use == "mapped":
            file.close()
        assert cleanup.clear(scratch) == [] and Path("/dev/shm", shm_name).exists()
        if mapped:
            mapped.close()


def test_a_posix_object_from_before_the_trial_stays(tmp_path, shm_name):
    Path("/dev/shm", shm_name).write_bytes(b"x")
    cleanup.note_shared_memory(tmp_path, HOUR)
    assert cleanup.clear(tmp_path) == [] and Path("/dev/shm", shm_name).exists()


def test_what_was_made_after_the_trials_time_was_over_is_somebody_elses(scratch, shm_name, segment):
    """Between a killed run and the next may lie a week, in which the user has used /dev/shm."""
    later(scratch, 2 * HOUR)
    Path("/dev/shm", shm_name).write_bytes(b"a file of the user's")
    mine = segment()
    assert cleanup.clear(scratch) == []
    assert Path("/dev/shm", shm_name).exists() and mine in segments()


def test_a_sweep_takes_scratch_folders_half_written_files_and_nothing_else(project, scratch):
    keep, drop = [], []
    for name in ("results/local/quick/toy/one/trials.parquet",
        "results/local/quick/toy/one/journal/000-k.jsonl",
                 "build/local-quick/paper.pdf", "build/local-quick/notebooks/toy_one.ipynb",
                 "analysis/x.part"):  # fmt: skip
        keep.append(project.root / name)
    for name in ("results/local/quick/toy/one/.trials.parquet.12.tmp",
        "build/local-quick/paper.part",
                 "build/local-quick/exhibits/toy_one/.exhibits.json.part",
                 "build/local-quick/exhibits/toy_one/.f.part.pdf",
                 "build/local-quick/notebooks/toy_one.part.ipynb",
                 "artifacts/reference/local/toy/one/.trials.parquet.12.part",
                 "analysis/.toy_one.ipynb.12.part", ".benchpaper/.boot.12.part"):  # fmt: skip
        drop.append(project.root / name)
    for path in keep + drop:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    cleanup._sweep_temporary()  # what killed runs of other checkouts left
    swept = cleanup.sweep(project)
    assert cleanup.summarize(swept) == "a trial's scratch folder, a half-written file (x8)"
    assert (
        not scratch.exists()
        and not any(path.exists() for path in drop)
        and all(path.exists() for path in keep)
    )
    assert cleanup.sweep(project) == []


def test_a_sweep_takes_connections_of_dead_processes_alone(project):
    ended = subprocess.Popen(["true"])
    ended.wait()
    mine, stale = (project.state / "connections" / f"{pid}-x" for pid in (os.getpid(), ended.pid))
    for folder in (mine, stale):
        folder.mkdir(parents=True)
    assert cleanup.sweep(project).count("a connection's folder") == 1
    assert mine.exists() and not stale.exists()


def test_a_sweep_ends_processes_with_the_mark_of_this_checkout_alone(project, tmp_path, is_running):
    def start(root):
        environment = {
            **os.environ,
            events.VARIABLE: str(Path(root) / ".benchpaper" / "events.jsonl"),
        }
        return subprocess.Popen(["sleep", "60"], env=environment, start_new_session=True)

    mine, other = start(project.root), start(tmp_path / "other")
    try:
        swept = cleanup.sweep(project)
        assert swept.count("a process") == 1
        assert mine.wait(30) == -9 and is_running(other.pid)
    finally:
        for process in (mine, other):
            process.kill()
            process.wait()


@pytest.mark.root
@root_only
def test_a_sweep_spares_processes_under_another_root_whose_paths_mean_other_folders(
    project, tmp_path, is_running
):
    """Such as those of a chroot or container that shares /proc."""
    environment = {
        **os.environ,
        events.VARIABLE: str(project.root / ".benchpaper" / "events.jsonl"),
    }
    code = (
        f"import os, time; os.chroot({str(tmp_path)!r}); print('there', flush=True); time.sleep(60)"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code],
        env=environment,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        assert other.stdout.readline() == b"there\n"
        assert cleanup.sweep(project).count("a process") == 0 and is_running(other.pid)
    finally:
        other.kill()
        other.wait()
        other.stdout.close()


@pytest.mark.parametrize("swept, text", [
    ([], ""), (["a mount"], "a mount"),
    (["a mount", "a process", "a mount"], "a mount (x2), a process"),
])  # fmt: skip
def test_what_was_swept_up_is_told_by_kind(swept, text):
    assert cleanup.summarize(swept) == text
