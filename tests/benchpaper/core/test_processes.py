"""Descendants and branded processes are found, even while they end or hide."""

import subprocess
import sys
import time
from pathlib import Path

from benchpaper.core.processes import descendants, kill_marked


def test_processes_that_end_while_they_are_looked_for_are_no_error():
    """Processes end at any moment; a scan once failed with "No such file or directory: task"."""
    busy = "for i in $(seq 100); do sh -c 'true; true' & sh -c 'sh -c true; true'; done; wait"
    with subprocess.Popen(["sh", "-c", busy]) as process:
        while process.poll() is None:
            assert process.pid not in descendants(process.pid)
    assert descendants(process.pid) == []


DAEMON = """
import os, sys, time
from pathlib import Path
from benchpaper.core.processes import brand
assert brand(sys.argv[2])
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        code = f"echo $$ > {sys.argv[1]}; exec sleep 60"
        os.execve("/bin/sh", ["sh", "-c", code], {})
    os._exit(0)
os.wait()
"""


def daemon(tmp_path, mark):
    """Start a daemon that left its session, its parent, and its environment; return its id."""
    subprocess.run([sys.executable, "-c", DAEMON, tmp_path / "pid", mark], check=True)
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text().endswith("\n"):
        time.sleep(0.01)
    return int((tmp_path / "pid").read_text())


def test_a_daemon_that_shed_everything_else_is_killed_by_its_brand(tmp_path, is_running):
    mark = f"MARK={tmp_path}"
    pid = daemon(tmp_path, mark)
    assert mark.encode() not in Path(f"/proc/{pid}/environ").read_bytes()
    assert kill_marked(f"{mark}x") == 0 and is_running(pid)
    assert kill_marked(mark) == 1 and not is_running(pid)
    assert kill_marked(mark) == 0


def test_a_brand_changes_nothing_that_a_program_can_notice(tmp_path):
    """Its limit counts the µs of a real-time process, and is more than 100,000 years."""
    code = (
        "import resource; from benchpaper.core.processes import brand; "
        "before = {n: resource.getrlimit(getattr(resource, n)) "
        "for n in dir(resource) if n.startswith('RLIMIT_')}; assert brand('A=B'); "
        "after = {n: resource.getrlimit(getattr(resource, n)) for n in before}; "
        "changed = [n for n in before if before[n] != after[n]]; "
        "assert changed == ['RLIMIT_RTTIME'], changed; "
        "years = after['RLIMIT_RTTIME'][0] / 1e6 / 86400 / 365; assert years > 1e5, years"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
