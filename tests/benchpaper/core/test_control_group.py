"""What is in a control group is listed and killed, however it hides."""

import os
import subprocess
import sys
import threading
import time

import pytest

from benchpaper.core import control_group

RESPAWNING = """
import os, sys, time
from pathlib import Path
from benchpaper.core import control_group
assert control_group.enter(Path(sys.argv[1]))
if os.fork():
    os._exit(0)
os.setsid()
end = time.monotonic() + 60
while time.monotonic() < end:
    if os.fork():
        os._exit(0)
    time.sleep(0.001)
"""


@pytest.fixture
def group():
    folder = control_group.make()
    if folder is None:
        pytest.skip("no control group of version 2 can be made here")
    yield folder
    if folder.exists():
        control_group.remove(folder)


def test_a_process_that_keeps_changing_its_id_is_killed(group):
    """Killing by the ids that /proc lists misses it nearly always."""
    subprocess.run([sys.executable, "-c", RESPAWNING, group], check=True)
    seen = set()
    while len(seen) < 3:
        pids = control_group.processes(group)
        assert pids, "a snapshot missed it"
        seen |= pids
    assert control_group.remove(group) >= 1 and not group.exists()


def test_an_empty_group_is_removed_and_a_foreign_folder_is_not(group, tmp_path):
    assert control_group.remove(group) == 0 and not group.exists()
    assert control_group.remove(group) == 0
    control_group.remove(tmp_path)
    assert tmp_path.exists()


def test_what_hides_in_a_group_below_is_killed(group):
    inner = group / "deeper" / "and-deeper"
    inner.mkdir(parents=True)
    child = subprocess.Popen(["sleep", "60"])
    (inner / "cgroup.procs").write_text(str(child.pid))
    assert control_group.others(group, []) == {child.pid}
    killed = threading.Thread(target=child.wait)
    killed.start()
    assert control_group.remove(group) == 1 and not group.exists()
    killed.join()
    assert child.returncode == -9


def test_a_group_that_holds_this_process_is_not_killed(group):
    before = control_group.present()
    assert control_group.enter(group) and control_group.present() == group
    try:
        assert control_group.remove(group) == 0 and group.exists()
        child = subprocess.Popen(["sleep", "60"])
        assert control_group.others(group, []) == {child.pid}
        assert control_group.others(group, [child.pid]) == set()
    finally:
        control_group.dissolve(group, before)
    assert control_group.present() == before and not group.exists() and child.poll() is None
    child.kill()
    child.wait()


@pytest.mark.parametrize(
    "mounts, groups, folder",
    [
        ("30 23 0:26 / /cg rw - cgroup2 cgroup2 rw", "0::/user.slice/x", "/cg/user.slice/x"),
        ("30 23 0:26 /a /cg rw - cgroup2 none rw", "9:pids:/\n0::/a/b", "/cg/b"),
        ("30 23 0:26 / /cg rw - cgroup2 none rw", "0::/", "/cg"),
        ("30 23 0:26 / /cg rw - cgroup cgroup rw", "9:pids:/", None),
        ("", "", None),
    ],
)  # fmt: skip
def test_the_present_group_is_found_in_every_layout(monkeypatch, mounts, groups, folder):
    texts = {"/proc/self/mountinfo": mounts, "/proc/self/cgroup": groups}
    monkeypatch.setattr(control_group.Path, "read_text", lambda path: texts[str(path)])
    present = control_group.present()
    assert (None if present is None else os.fspath(present)) == folder


def test_no_group_is_made_where_it_would_get_controllers(monkeypatch, tmp_path):
    (tmp_path / "cgroup.subtree_control").write_text("cpu memory\n")
    monkeypatch.setattr(control_group, "present", lambda: tmp_path)
    assert control_group.make() is None
    (tmp_path / "cgroup.subtree_control").write_text("\n")
    assert control_group.make() is None  # without cgroup.kill: an old kernel
    assert [path.name for path in tmp_path.iterdir()] == ["cgroup.subtree_control"]


def test_entering_costs_no_trial_anything(group):
    """Which is why a block enters its group once: it takes the kernel over 10 ms."""
    before = control_group.present()
    begin = time.monotonic()
    assert control_group.enter(group)
    try:
        assert time.monotonic() - begin < 10
        child = os.fork()
        if child == 0:
            os._exit(control_group.present() != group)
        assert os.waitpid(child, 0)[1] == 0
    finally:
        control_group.dissolve(group, before)


def test_an_empty_group_of_a_dead_process_is_removed_by_the_next(group):
    ended = subprocess.Popen(["true"])
    ended.wait()
    stale = group.with_name(f"{control_group.PREFIX}{ended.pid}-1")
    stale.mkdir()
    other = control_group.make()
    assert not stale.exists() and group.exists()
    other.rmdir()
