"""A run that is killed or interrupted loses nothing, leaves nothing, and goes on."""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from toy_runs import BRIEF, LEVELS, begun, hear_interrupts, journalled, trial_table

from benchpaper import results
from benchpaper.core import events
from benchpaper.workflow import runner

KILLS = 20
STOP_WITHIN_S = 30.0  # on any machine, and long before the trial that is interrupted would end
SLOW_START_S = 1.6  # on a busy machine; on a quiet one the first trial is done before


class Run:
    """`benchpaper run ...` in the background, in a process group of its own."""

    def __init__(self, project, *words, **environment):
        self._project = project
        self._output = (project.root / "output").open("w+")
        command = [str(Path(sys.executable).with_name("benchpaper")), "run", *words]
        self.process = subprocess.Popen(
            command, cwd=project.root, env={**os.environ, "COLUMNS": "200", **environment},
            start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=self._output, stderr=subprocess.STDOUT,
            preexec_fn=hear_interrupts,
        )  # fmt: skip

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
        self._output.close()

    def kill(self):
        """kill -9 of the whole group; returns when everything that belongs to the run is gone."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        within(30, lambda: not marked(self._project))

    @property
    def output(self):
        return (self._project.root / "output").read_text()


def within(seconds, true):
    """Wait until `true()`, for at most so many seconds."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.02)  # often enough, and leaves the processor to what is waited for


def marked(project):
    """The processes that were started by a run in this project."""
    mark = f"{events.VARIABLE}={project.state / 'events.jsonl'}".encode()
    commands = []
    for process in psutil.process_iter(["pid", "status", "cmdline"]):
        try:
            environ = Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if mark in environ and process.info["status"] != psutil.STATUS_ZOMBIE:
            commands.append(process.info["cmdline"])
    return commands


def in_the_middle(project, trials=1):
    """Wait until a trial runs and at least `trials` are finished.

    A file `hold` keeps the next trial waiting, so that this stays true.
    """
    within(
        120,
        lambda: (
            len(journalled(project)) >= trials
            and any((project.state / "scratch").glob("trial-*/client"))
        ),
    )


HOLDING = dict(timeout_s=100.0, files={"hold": "1"})


@pytest.mark.slow
def test_kill_9_at_twenty_random_moments_loses_nothing_and_the_next_run_goes_on(
    make_toy, run_benchpaper
):
    levels, blocks = [f"w{number}" for number in range(13)], 5
    project = make_toy(BRIEF, levels=levels, blocks=blocks, **HOLDING)
    hold = project.root / "hold"
    moments, kept, seen, swept, start_s = random.Random(20), {}, 0, 0, 0.0
    for number in range(KILLS):
        begin = time.monotonic()
        waited = number in (0, KILLS - 1)  # the last one for what the next run has to tell
        hold.write_text(
            str(len(begun(project)) + (1 if waited else 2))
        )  # so that enough is left for so many kills
        with Run(project, "results") as run:
            if waited:
                in_the_middle(project, len(kept) + 1)
                start_s = start_s or min(time.monotonic() - begin, SLOW_START_S)
            else:
                time.sleep(moments.uniform(0.05, 1.6) * start_s)
            assert run.process.poll() is None, run.output
            run.kill()
            swept += "an earlier run was killed; swept up: " in run.output
        now = journalled(project)
        assert {
            key: now.get(key) for key in kept
        } == kept  # what was finished is still there, as it was
        finished = {str(entry["seed"]) for entry in kept.values()}
        assert not finished.intersection(begun(project)[seen:])  # and was not measured again
        kept, seen = now, len(begun(project))
        for path in project.root.glob("results/**/*.parquet"):
            if not path.name.startswith("."):
                results.read(path)
    assert 0 < len(kept) < len(levels) * blocks and swept > 0
    hold.unlink()
    done = run_benchpaper(project, "run", "results")
    assert done.returncode == 0, done.stdout + done.stderr
    line = r"^an earlier run was killed; swept up: .*a trial's scratch folder.*Snakemake's lock$"
    assert re.search(line, done.stdout, re.M)
    assert f"toy/one: {len(levels) * blocks} trials measured, in {blocks} blocks" in done.stdout
    everything = journalled(project)
    assert {key: everything[key] for key in kept} == kept
    assert not {str(entry["seed"]) for entry in kept.values()}.intersection(begun(project)[seen:])
    table = trial_table(project)
    wanted = sorted((block, way) for block in range(blocks) for way in levels)
    assert sorted((trial["block"], trial["way"]) for trial in table) == wanted
    started = {(t["block"], t["cell"]): t["started"].timestamp() for t in table}
    assert all(abs(started[key] - entry["started"]) < 1e-3 for key, entry in kept.items())
    assert not list((project.state / "scratch").iterdir()) and not list(
        project.root.glob("results/**/.*")
    )


@pytest.mark.slow
@pytest.mark.parametrize("number, whom", [
    (signal.SIGINT, "group"), (signal.SIGINT, "process"), (signal.SIGTERM, "group"),
    (signal.SIGTERM, "process"),
])  # fmt: skip
def test_ctrl_c_and_sigterm_end_soon_and_tell_how_to_go_on(make_toy, run_benchpaper, number, whom):
    project = make_toy(BRIEF, levels=LEVELS[:6], **HOLDING)
    with Run(project, "results") as run:
        in_the_middle(project)
        for again in (0, 0.2):  # people press Ctrl-C more than once
            time.sleep(again)
            (os.killpg if whom == "group" else os.kill)(run.process.pid, number)
        assert run.process.wait(STOP_WITHIN_S) == 130, run.output
        kept = journalled(project)
        assert (
            1 <= len(kept) < 6
            and f"toy/one: not complete yet: {len(kept)} of 6 trials done" in run.output
        )
        assert (
            "interrupted: finished trials are kept; the same command goes on from here"
            in run.output
        )
        assert "Traceback" not in run.output and "FAILED" not in run.output
        within(30, lambda: not marked(project))
    (project.root / "hold").unlink()
    if (number, whom) not in [(signal.SIGINT, "group"), (signal.SIGTERM, "process")]:
        return  # how the other two go on is no different, and takes seconds
    done = run_benchpaper(project, "run", "results")
    assert done.returncode == 0 and "toy/one: 6 trials measured" in done.stdout
    everything = journalled(project)
    assert {key: everything[key] for key in kept} == kept and len(everything) == 6
    seeds = begun(project)
    assert all(seeds.count(str(entry["seed"])) == 1 for entry in kept.values())


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_before_anything_is_measured_ends_soon_too(make_toy, number):
    project = make_toy(BRIEF, **HOLDING)
    with Run(project, "results") as run:
        within(60, (project.state / "run.lock").exists)  # from then on it hears both
        time.sleep(0.05)
        os.killpg(run.process.pid, number)
        assert run.process.wait(STOP_WITHIN_S) == 130, run.output
        assert "the same command goes on from here" in run.output and "Traceback" not in run.output
        within(30, lambda: not marked(project))


def test_no_further_interrupt_cuts_short_what_follows_the_first():
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    tidied_up = []

    def interrupted():
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            for number in before:
                signal.raise_signal(number)
            tidied_up.append(True)

    try:
        with pytest.raises(KeyboardInterrupt), runner._terminable():
            interrupted()
        assert tidied_up and all(signal.getsignal(number) is signal.SIG_IGN for number in before)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


LEAVING = """
    flag = PROJECT / "hung"
    if not flag.exists():
        import ctypes
        from multiprocessing import shared_memory
        folder = site.client.scratch()
        site.client.undo("a mount", ["umount", folder])
        site.client.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder])
        site.client.undo("a network namespace", ["ip", "netns", "delete", NAME])
        site.client.run(["ip", "netns", "add", NAME])
        cgroup = Path("/sys/fs/cgroup/pids") / NAME
        site.client.undo("a cgroup", ["rmdir", cgroup])
        cgroup.mkdir()
        libc = ctypes.CDLL(None)
        segment = libc.shmget(0, 4096, 0o1600)  # IPC_CREAT
        assert segment >= 0
        Path("/dev/shm", NAME).write_bytes(bytes(4096))
        flag.with_name("hung.part").write_text(f"{segment} {folder}")
        flag.with_name("hung.part").rename(flag)
        time.sleep(60)
    yield dict(latency_us=1.0)
"""


@pytest.mark.slow
@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="mounts, namespaces and cgroups need root")
def test_the_next_run_sweeps_up_all_that_a_killed_trial_left(make_toy, run_benchpaper):
    if not os.access("/sys/fs/cgroup/pids", os.W_OK) or not shutil.which("ip"):
        pytest.skip("needs the cgroup controller pids of version 1, and ip")
    name = f"benchpaper-test-{os.getpid()}"
    project = make_toy(LEAVING, more=f"NAME = {name!r}", timeout_s=100)
    with Run(project, "results") as run:
        within(60, (project.root / "hung").exists)
        run.kill()
    segment, folder = (project.root / "hung").read_text().split()

    def left():
        return {
            "mount": folder in Path("/proc/mounts").read_text(),
            "namespace": Path("/run/netns", name).exists(),
            "cgroup": Path("/sys/fs/cgroup/pids", name).exists(),
            "System V": segment
            in [line.split()[1] for line in Path("/proc/sysvipc/shm").read_text().splitlines()],
            "POSIX": Path("/dev/shm", name).exists(),
            "scratch": Path(folder).exists(),
            "lock": any((project.root / ".snakemake/locks").glob("*")),
        }

    before = left()
    done = run_benchpaper(project, "run", "results")
    after = left()
    # Another test's trial may end meanwhile, and it removes all abandoned shared memory.
    shared = {"System V", "POSIX"}
    assert all(there for what, there in before.items() if what not in shared), before
    assert set(after.values()) == {False}, (after, done.stdout)
    assert done.returncode == 0, done.stdout
    (line,) = [line for line in done.stdout.splitlines() if "swept up" in line]
    for what in ("a mount", "a network namespace", "a cgroup", "a trial's scratch folder",
                 "Snakemake's lock"):  # fmt: skip
        assert what in line


@pytest.mark.slow
def test_two_runs_at_once_in_one_checkout(make_toy, run_benchpaper):
    project = make_toy(BRIEF, levels=LEVELS, **HOLDING)
    with Run(project, "results") as run:
        in_the_middle(project)
        second = run_benchpaper(
            project, "run", "results"
        )  # is refused and waits for nobody: the first is held up
        assert second.returncode == 2
        assert re.fullmatch(
            r"benchpaper: benchpaper run \(local, quick\) has been running since "
            rf"\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d "
            rf"\(process {run.process.pid}\); wait for it, or stop it\n", second.stderr,
        )  # fmt: skip
        assert second.stdout == "" and run.process.poll() is None
        before = len(journalled(project))
        (project.root / "hold").unlink()
        within(60, lambda: len(journalled(project)) > before)  # the first goes on undisturbed
