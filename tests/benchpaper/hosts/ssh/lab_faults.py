"""Measure on the lab's hosts, and cause faults there."""

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import time

from benchpaper.core.processes import PR_SET_CHILD_SUBREAPER


def measure(run):
    """Measure the block; return ({way: entry of the journal}, events)."""
    events = []
    block = run.block(
        "toy/one", 0, lambda event, **facts: events.append((event, facts.get("message")))
    )
    try:
        block.measure()
    finally:
        lines = block.journal_path.read_text().splitlines() if block.journal_path.exists() else []
        run.journalled = {entry["way"]: entry for entry in map(json.loads, lines)}
    return run.journalled, events


def gone(lab, seconds=60):
    """Wait until only the SSH servers are left on the lab's hosts."""
    end = time.monotonic() + seconds
    while left := [line for number in (1, 2) for line in lab.processes(number)]:
        assert time.monotonic() < end, left
        time.sleep(0.05)


def signal_all(pids, number):
    """Send a signal to processes; one may end with another."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def serve(lab, number, **environment):
    """Restart a host's SSH server, detached: measuring kills this process's children."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
    lab.lab.serve(number, {**lab.environment, **environment})
    probe = [
        "ip",
        "netns",
        "exec",
        lab.lab.namespace(number),
        "bash",
        "-c",
        f"</dev/tcp/{lab.lab.address(number)}/22",
    ]
    while subprocess.run(probe, capture_output=True).returncode:
        time.sleep(0.01)


def restart(lab, number, **environment):
    """Have the SSH server of a host set these variables in its sessions too."""
    signal_all(lab.servers(number), signal.SIGTERM)
    while lab.servers(number):
        time.sleep(0.01)
    serve(lab, number, **environment)
