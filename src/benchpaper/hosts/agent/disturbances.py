"""What disturbed this machine during a trial: steal time, load, suspension, swapping, throttling.

`results.TRIAL` lists the columns and their units. None stands for what a machine does not report:
unknown, not zero.
"""

import os
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path

CLOCK_TICKS, PAGE_BYTES = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
THERMAL = sorted(
    Path("/sys/devices/system/cpu").glob("cpu[0-9]*/thermal_throttle/core_throttle_count")
)
COLUMNS = ("steal_s", "load_1m", "suspended_s", "swapped_mb", "throttled_s", "overheated")


def so_far() -> dict[str, float | None]:
    """Return the load and what has disturbed this machine since it started, by trial column."""
    with open("/proc/stat") as file:
        steal = int(file.readline().split()[8]) / CLOCK_TICKS
    suspended = time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)
    pages = _sum([_count("/proc/vmstat", name) for name in ("pswpin", "pswpout")])
    throttled = _count(_cpu_stat(), "throttled_usec")
    return {
        "steal_s": steal,
        "load_1m": os.getloadavg()[0],
        "suspended_s": suspended,
        "swapped_mb": None if pages is None else pages * PAGE_BYTES / 1e6,
        "throttled_s": None if throttled is None else throttled / 1e6,
        "overheated": _sum([_count(path) for path in THERMAL]),
    }


def between(
    before: Mapping[str, float | None], after: Mapping[str, float | None]
) -> dict[str, float | None]:
    """Return what happened between two calls of `so_far`; the load is that of the start."""
    passed: dict[str, float] = {}
    for name, start in before.items():
        end = after[name]
        if start is not None and end is not None:
            passed[name] = max(0, end - start)
    return {**dict.fromkeys(before), **passed, "load_1m": before["load_1m"]}


def with_standstill(
    passed: Mapping[str, float | None], stood_still_s: float
) -> dict[str, float | None]:
    """Count seconds in which the trial's processes stood still as suspended ones.

    That holds whatever the machine did.
    """
    suspended = passed["suspended_s"]
    if stood_still_s:
        suspended = stood_still_s + (suspended or 0.0)
    return {**passed, "suspended_s": suspended}


def _sum(counts: list[int | None]) -> int | None:
    """Return the sum; None if a count is unknown, or if there are no counts."""
    known = [count for count in counts if count is not None]
    return sum(known) if known and len(known) == len(counts) else None


def _count(path: Path | str, name: str | None = None) -> int | None:
    """Return the whole number in a file, on the line of `name` if given; None without one."""
    try:
        words = Path(path).read_text().split()
        return int(words[words.index(name) + 1 if name else 0])
    except (OSError, ValueError, IndexError):
        return None


@cache
def _cpu_stat() -> str:
    """Return the path where this process's control group counts its CPU time (cgroups v2)."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        lines = []
    group = next((line[3:] for line in lines if line.startswith("0::")), "/")
    return f"/sys/fs/cgroup{group.rstrip('/')}/cpu.stat"
