"""Kinds of anomaly against I3: a name is not one object of its own, and is not refused."""

import time

from experiments.multiprotocol.anomalies.registry import kind
from experiments.multiprotocol.anomalies.severity import lasting
from experiments.multiprotocol.anomalies.tries import SETTLE_S, primed, within


@kind("I3", loses=True)
def hard_link_aliases(t):
    """A PUT to the key of one of a file's two hard links changes the object at the other key."""
    other = f"{t.name}-link"
    primed(t)
    t.file.link(t.name, other)
    if not within(SETTLE_S, lambda: t.s3.get_key(other) == t.content(1)):
        return None  # S3 shows no second key
    t.s3.put(t.name, t.content(2))
    return within(SETTLE_S, lambda: t.s3.get_key(other) != t.content(1))


@kind("I3", loses=True)
def symbolic_link_aliases(t):
    """A PUT to the key of a symbolic link of the file side changes the object at its target's key."""  # noqa: E501  (the paper prints this line)
    other = f"{t.name}-symlink"
    primed(t)
    t.file.symlink(t.name, other)
    time.sleep(SETTLE_S)
    if not t.s3.put_key(other, t.content(2)):
        return False  # refusing it is right
    return within(SETTLE_S, lambda: t.s3.get_key(t.name) != t.content(1))


@kind("I3")
def symbolic_link_unreadable(t):
    """S3 lists a symbolic link of the file side, and GET of its key finds nothing."""
    other = f"{t.name}-symlink"
    primed(t)
    t.file.symlink(t.name, other)
    time.sleep(SETTLE_S)
    return lasting(lambda: other in t.s3.keys(f"{t.folder}/") and t.s3.get_key(other) is None)


@kind("I3")
def directory_listed_otherwise(t):
    """HEAD of "dir/" and a flat listing disagree whether an empty directory of the file side is there."""  # noqa: E501  (the paper prints this line)
    folder = f"{t.name}-e"
    t.file.make_folder(folder)
    time.sleep(0.02)
    return lasting(lambda: t.s3.has_key(f"{folder}/") != (f"{folder}/" in t.s3.keys(folder)))
