"""What else happened on this machine during a trial: steal time, load, suspension, swapping, throttling.

The columns and their units stand in `results.TRIAL`. What a machine does not tell is None: unknown, not zero.
"""

import os
import time
from functools import cache
from pathlib import Path

CLOCK_TICKS, PAGE_BYTES = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
THERMAL = sorted(
    Path("/sys/devices/system/cpu").glob("cpu[0-9]*/thermal_throttle/core_throttle_count")
)


def so_far():
    """Return what has disturbed this machine since it started, by column of the trial records, and the load."""
    with open("/proc/stat") as file:
        steal = int(file.readline().split()[8]) / CLOCK_TICKS
    suspended = time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)
    pages = [_count("/proc/vmstat", name) for name in ("pswpin", "pswpout")]
    throttled = _count(_cpu_stat(), "throttled_usec")
    heat = [_count(path) for path in THERMAL]
    return {
        "steal_s": steal,
        "load_1m": os.getloadavg()[0],
        "suspended_s": suspended,
        "swapped_mb": None if None in pages else sum(pages) * PAGE_BYTES / 1e6,
        "throttled_s": None if throttled is None else throttled / 1e6,
        "overheated": None if None in heat or not heat else sum(heat),
    }


def between(before, after, stood_still_s=0.0):
    """Return what happened between two calls of `so_far`; the load is that of the start. A trial whose processes stood
    still for a while was suspended as well, whatever the machine did."""
    known = [name for name in before if before[name] is not None and after[name] is not None]
    passed = {name: max(0, after[name] - before[name]) for name in known}
    suspended = None if "suspended_s" not in known else passed["suspended_s"]
    if stood_still_s:
        suspended = stood_still_s + (suspended or 0.0)
    return {
        **dict.fromkeys(before),
        **passed,
        "load_1m": before["load_1m"],
        "suspended_s": suspended,
    }


def _count(path, name=None):
    """Return the whole number in the file at `path`, on the line of `name` if given; None where there is none."""
    try:
        words = Path(path).read_text().split()
        return int(words[words.index(name) + 1 if name else 0])
    except (OSError, ValueError, IndexError):
        return None


@cache
def _cpu_stat():
    """Return where the control group of this process counts its CPU time (cgroups v2)."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        lines = []
    group = next((line[3:] for line in lines if line.startswith("0::")), "/")
    return f"/sys/fs/cgroup{group.rstrip('/')}/cpu.stat"
