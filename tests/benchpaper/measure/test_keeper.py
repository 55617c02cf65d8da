"""Nothing that a trial starts outlives it, even if the controller is killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchpaper.core import control_group
from benchpaper.core.project import Project
from benchpaper.hosts import cleanup
from benchpaper.measure.keeper import Keeper

HIDING = """
shell = "echo $$ >> {pids}; exec sleep 300 >/dev/null 2>&1"
code = "import os; os.fork() and os._exit(0); os.setsid(); os.fork() and os._exit(0); " \\
    "os.execve('/bin/sh', ['sh', '-c', " + repr(shell) + "], dict())"
site.client.run([sys.executable, "-c", code])
{more}
yield dict(latency_us=1.0)
"""
MEASURE = """
import sys
from pathlib import Path
from benchpaper.core.project import Project
from benchpaper.workflow.pipeline import Pipeline
Pipeline(Project(Path(sys.argv[1])), "local", "smoke", 1).block("toy/one", 0).measure()
"""


def within(seconds, true):
    end = time.monotonic() + seconds
    while not (answer := true()):
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.02)
    return answer


def daemons(path):
    text = path.read_text() if path.exists() else ""
    return [int(line) for line in text.split("\n")[:-1]]


@pytest.fixture(params=["group", "brand"])
def way(request, monkeypatch):
    """How hidden processes are found: in a control group, and where none can be made."""
    if request.param == "brand":
        monkeypatch.setattr(control_group, "make", lambda: None)
    elif (folder := control_group.make()) is None:
        pytest.skip("no control group of version 2 can be made here")
    else:
        control_group.remove(folder)
    return request.param


def test_a_daemon_ends_with_its_trial(make_toy, block_of, tmp_path, is_running, way):
    project = make_toy(HIDING.format(pids=tmp_path / "pids", more=""), levels=("a", "b"))
    before = control_group.present()
    assert block_of(project).measure() == 2
    pids = within(60, lambda: daemons(tmp_path / "pids"))
    within(60, lambda: not any(map(is_running, pids)))
    assert control_group.present() == before
    assert not list(project.state.glob("groups/*"))


NO_GROUP = "from benchpaper.core import control_group\ncontrol_group.make = lambda: None\n"


@pytest.mark.parametrize("whom", ["controller", "controller and keeper"])
def test_a_daemon_ends_when_the_controller_is_killed(make_toy, tmp_path, is_running, way, whom):
    project = make_toy(HIDING.format(pids=tmp_path / "pids", more="time.sleep(300)"), timeout_s=300)
    code = (NO_GROUP if way == "brand" else "") + MEASURE
    controller = subprocess.Popen([sys.executable, "-c", code, project.root])
    try:
        (daemon,) = within(120, lambda: daemons(tmp_path / "pids"))
        (keeper,) = filter(waits_for_a_process, children(controller.pid))
        if whom == "controller and keeper":
            os.kill(keeper, signal.SIGSTOP)
    finally:
        controller.kill()
        controller.wait()
    if whom == "controller and keeper":
        os.kill(keeper, signal.SIGKILL)
        assert is_running(daemon)
        swept = cleanup.sweep(Project(project.root))
        assert "a process" in swept and "a trial's scratch folder" in swept
    within(60, lambda: not is_running(daemon))
    within(60, lambda: not is_running(keeper))
    assert not [path for path in project.state.glob("groups/*") if Path(path.read_text()).exists()]


def children(pid):
    text = "".join(
        path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children") if path.exists()
    )
    return list(map(int, text.split()))


def waits_for_a_process(pid):
    try:
        return "pidfd" in os.readlink(f"/proc/{pid}/fd/3")
    except OSError:
        return False


def test_the_keeper_holds_no_lock_and_no_pipe(tmp_path):
    read_end, write_end = os.pipe()
    with Keeper(tmp_path) as keeper:
        os.close(write_end)
        assert os.read(read_end, 1) == b""  # it would wait if the keeper held the other end
        open_files = [os.readlink(path) for path in Path(f"/proc/{keeper._pid}/fd").iterdir()]
    os.close(read_end)
    assert [name for name in open_files if name != "/dev/null" and "pidfd" not in name] == []
