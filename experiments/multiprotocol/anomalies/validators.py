"""Kinds of anomaly against I1: a validator misses a mutation through the other door."""

from experiments.multiprotocol.anomalies.registry import kind
from experiments.multiprotocol.anomalies.severity import lasting
from experiments.multiprotocol.anomalies.tries import primed, settled


@kind("I1")
def etag_unchanged(t):
    """GET returns what the file side wrote, under the ETag of what was there before."""
    tag = primed(t)
    t.file.write(t.name, t.content(2))
    if not tag or not settled(t, t.content(2)):
        return None
    if not t.s3.get(t.name)[1]:
        return None  # a GET without an ETag is a kind of its own
    return lasting(lambda: t.s3.get(t.name)[1] == tag)


@kind("I1")
def time_goes_back(t):
    """After a PUT over a file, its time of change on the file side is earlier than before."""
    t.file.write(t.name, t.content(1))
    before = t.file.stat(t.name)
    t.s3.put(t.name, t.content(2))
    if not settled(t, t.content(2)) or not before or not t.file.stat(t.name):
        return None
    return lasting(lambda: t.file.stat(t.name)[1] < before[1])


@kind("I1")
def time_stands_still(t):
    """A PUT of the same size over a file leaves its size and its time of change on the file side as they were."""  # noqa: E501  (the paper prints this line)
    t.file.write(t.name, t.content(1))
    before = t.file.stat(t.name)
    t.s3.put(t.name, t.content(2))
    if not settled(t, t.content(2)) or not before:
        return None
    return lasting(lambda: t.file.stat(t.name) == before)
