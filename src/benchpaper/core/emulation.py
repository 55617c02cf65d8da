"""Emulated machines: a program computes what their CPU would do, so their times mean nothing.

What such a machine counts (bytes, packets, retries) is right. An experiment declares which of its
metrics are counts of this kind (`Metric(emulation=True)`); any other value that was measured there
is a time, or follows from one, and is no result.
"""

from collections.abc import Mapping
from typing import Any

FACT, EMULATED = "virtualised", "emulated"  # the fact of a host, and how its text then begins
TIMES = frozenset(["h", "min", "s", "ms", "us", "µs", "ns", "ps", "fs"])
SLOWER = 10  # how many times longer than a real machine it may take to answer
REMEDY = "measure it on a real machine, or declare emulation=True if it is a count"


def is_of_time(unit: str) -> bool:
    """Return whether a unit is one of time, or a quotient with one, as "GB/s"."""
    return bool(TIMES & set(unit.replace("·", "/").split("/")))


def is_emulated(hosts: Mapping[str, str]) -> bool:
    """Return whether the facts of a trial's hosts, {"role.fact": text}, name an emulated one."""
    return any(
        name.rpartition(".")[2] == FACT and str(text).startswith(EMULATED)
        for name, text in hosts.items()
    )


def refusal(metric: Mapping[str, Any], emulated: int, trials: int) -> str:
    """Return why a metric has no value, as one line; "" if it may have one.

    `metric` is its description; `emulated` of the `trials` ran on emulated machines. Their values
    are neither shown, nor averaged or compared with those of real machines.
    """
    if metric.get("emulation") or not emulated:
        return ""
    if emulated == trials:
        why = "on an emulated machine, whose times are no results"
    else:
        why = "partly on emulated machines, whose times do not compare with real ones"
    return f"{metric['name']} was measured {why}; {REMEDY}"
