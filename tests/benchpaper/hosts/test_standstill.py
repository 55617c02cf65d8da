"""A trial is marked if its processes or its watcher stood still; a busy machine marks none."""

import os
import signal
import subprocess
import time

import pytest

from benchpaper import results
from benchpaper.hosts.agent import standstill

STOPPED_S = 3
STOPPING = f"""
    subprocess.run(["true"])
    server = site.client.start(["sleep", "60"])
    pids = dict(nobody=None, trial=os.getpid(), server=server.pid, controller=os.getppid())
    whom = pids[cell.way]
    if whom:
        script = f"kill -STOP {{whom}}; sleep {STOPPED_S}; kill -CONT {{whom}}"
        site.client.run(["sh", "-c", script]) if cell.way == "server" else subprocess.run(
            ["setsid", "sh", "-c", script]
        )
    server.stop()
    yield dict(latency_us=1.0)
"""
WAYS = ["nobody", "trial", "server", "controller"]


def test_a_trial_that_was_stopped_is_marked_and_told(make_toy, run_benchpaper):
    """SIGSTOP stops the trial's own process, a process it started, or its watcher."""
    project = make_toy(STOPPING, levels=WAYS, files={"analysis/claims.py": ""})
    done = run_benchpaper(project, "run", "results", "--scale", "smoke")
    assert done.returncode == 0, done.stdout + done.stderr
    table, _ = results.read(project.results("local", "smoke") / "toy/one" / results.TRIALS)
    by_way = {trial["way"]: trial for trial in table.to_pylist(maps_as_pydicts="strict")}
    assert {trial["state"] for trial in by_way.values()} == {results.MEASURED}
    assert by_way.pop("nobody")["suspended_s"] < standstill.LEAST_S
    for way, trial in by_way.items():  # it is looked at once a second
        assert standstill.LEAST_S < trial["suspended_s"] <= trial["seconds"], way
    assert "suspended: up to " in done.stdout and "in 3 of 4 trials" in done.stdout


@pytest.mark.parametrize("late, queued, stolen, still", [
    (30.0, 0.0, 0.0, 30.0),
    (30.0, 0.2, 0.1, 29.7),
    (2.0, 1.9, 0.0, 0.0),  # no CPU was free
    (2.0, 0.0, 1.9, 0.0),  # the hypervisor had it
    (0.9, 0.0, 0.0, 0.0),
])  # fmt: skip
def test_what_a_busy_machine_explains_is_no_standstill(late, queued, stolen, still):
    assert standstill.counted(late, queued, stolen) == pytest.approx(still)


def test_a_short_stop_is_the_experiments_own(monkeypatch):
    """The limit is raised, so that the test needs no short time to be kept."""
    monkeypatch.setattr(standstill, "LEAST_S", 100.0)
    monkeypatch.setattr(standstill, "EVERY_S", 0.01)
    with subprocess.Popen(["sleep", "60"]) as child:
        try:
            watch = standstill.Watch()
            os.kill(child.pid, signal.SIGSTOP)
            os.waitid(os.P_PID, child.pid, os.WSTOPPED)
            for _ in range(3):
                watch.wait(time.sleep, 0.1)
            assert watch.seconds == 0.0
            monkeypatch.setattr(standstill, "LEAST_S", 0.0)
            assert watch.seconds > 0.0
            assert standstill.Watch(spared=[child.pid]).seconds == 0.0
        finally:
            child.kill()


def test_a_machine_that_does_not_count_the_wait_for_a_cpu_marks_nothing(monkeypatch):
    monkeypatch.setattr(
        standstill.Path, "read_text", lambda path: (_ for _ in ()).throw(FileNotFoundError())
    )
    before = standstill._queued_s()
    time.sleep(0.01)
    assert standstill._queued_s() - before >= 0.01
