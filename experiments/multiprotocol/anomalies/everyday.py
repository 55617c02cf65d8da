"""Kinds of anomaly that everyday use meets: a copy, and a time of change."""

from experiments.multiprotocol.anomalies.registry import kind
from experiments.multiprotocol.anomalies.tries import primed, settled


@kind
def copy_stale(t):
    """A server-side copy that was made after a file write has the old content."""
    primed(t)
    t.file.write(t.name, t.content(2))
    if not t.s3.copy(t.name, f"{t.name}-copy"):
        return None
    return t.s3.get_key(f"{t.name}-copy") != t.content(2)


@kind
def time_goes_back(t):
    """After a PUT over a file, its time of change on the file side is earlier than before."""
    t.file.write(t.name, t.content(1))
    before = t.file.stat(t.name)
    t.s3.put(t.name, t.content(2))
    if not settled(t, t.content(2)):
        return None
    after = t.file.stat(t.name)
    return after[1] < before[1] if before and after else None
