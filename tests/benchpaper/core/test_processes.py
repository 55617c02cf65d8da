"""Descendants of a process are found, even while they end."""

import subprocess

from benchpaper.core.processes import descendants


def test_processes_that_end_while_they_are_looked_for_are_no_error():
    """Processes end at any moment; a scan once failed with "No such file or directory: task"."""
    busy = "for i in $(seq 100); do sh -c 'true; true' & sh -c 'sh -c true; true'; done; wait"
    with subprocess.Popen(["sh", "-c", busy]) as process:
        while process.poll() is None:
            assert process.pid not in descendants(process.pid)
    assert descendants(process.pid) == []
