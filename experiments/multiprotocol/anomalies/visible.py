"""Kinds of anomaly against I2: what a door acknowledged does not show through the other door."""

import time

from experiments.multiprotocol.anomalies.registry import kind
from experiments.multiprotocol.anomalies.severity import Seen, lasting
from experiments.multiprotocol.anomalies.tries import SETTLE_S, answered, primed, within

OPEN = ("OPEN", "OPEN_NOATTR")  # what the kernel's client counts as such


@kind("I2")
def stale_file_read(t):
    """After a PUT over a file that was read, the file side reads the old content."""
    primed(t)
    t.s3.put(t.name, t.content(2))
    return lasting(lambda: t.file.read(t.name) != t.content(2))


@kind("I2")
def stale_s3_read(t):
    """After a file write over an object that was read, GET returns the old content."""
    primed(t)
    t.s3.get(t.name)
    t.file.write(t.name, t.content(2))
    return lasting(lambda: (t.s3.get(t.name) or (None,))[0] != t.content(2))


@kind("I2")
def save_stale(t):
    """After the file side saves as editors do (a new file, renamed over the old), GET returns the old content or nothing."""  # noqa: E501  (the paper prints this line)
    primed(t)
    t.s3.get(t.name)
    t.file.save(t.name, t.content(2))
    return lasting(lambda: (t.s3.get(t.name) or (None,))[0] != t.content(2))


@kind("I2")
def stale_negative_file(t):
    """A name looked up by the file side in vain stays missing there after its PUT."""
    t.file.read(t.name)
    t.s3.put(t.name, t.content(1))
    return lasting(lambda: t.file.read(t.name) is None)


@kind("I2")
def stale_negative_s3(t):
    """A key looked up by GET in vain stays missing there after the file was written."""
    t.s3.get(t.name)
    t.file.write(t.name, t.content(1))
    return lasting(lambda: t.s3.get(t.name) is None)


@kind("I2")
def listing_misses(t):
    """A listing on one side lacks a name that was created on the other."""
    other = f"{t.name}-f"
    t.file.names(t.folder), t.s3.names(t.folder + "/")
    t.s3.put(t.name, t.content(1))
    missed = t.name not in t.file.names(t.folder)
    t.file.write(other, t.content(1))
    if missed:
        return Seen(lambda: t.name not in t.file.names(t.folder))
    return lasting(lambda: other not in t.s3.names(t.folder + "/"))


@kind("I2")
def listing_invents(t):
    """A listing on the file side has a name that was deleted through S3."""
    primed(t)
    t.file.names(t.folder)
    t.s3.delete(t.name)
    return lasting(lambda: t.name in t.file.names(t.folder))


@kind("I2")
def copy_stale(t):
    """A server-side copy that was made after a file write has the old content."""
    primed(t)
    t.file.write(t.name, t.content(2))
    if not t.s3.copy(t.name, f"{t.name}-copy"):
        return None
    return lasting(lambda: t.s3.get_key(f"{t.name}-copy") != t.content(2))


@kind("I2")
def unlinked_still_there(t):
    """After the file side unlinks a file that it has open, GET returns it, or S3 lists a name that nobody made."""  # noqa: E501  (the paper prints this line)
    primed(t)
    before = t.s3.names(t.folder + "/")
    read = t.file.open(t.name)
    t.file.delete(t.name)
    try:

        def wrong():
            got = answered(lambda: t.s3.get(t.name))  # a refusal is no wrong answer
            return got is not None or bool(t.s3.names(t.folder + "/") - before)

        # NFS clients and FUSE give such a file a name of their own until it is closed.
        return Seen(wrong) if within(SETTLE_S, wrong, wanted=False) else False
    finally:
        _close(read)


@kind("I2")
def reopened_stale(t):
    """After a PUT over a file that the file side has open, the file side opens it anew and reads the old content."""  # noqa: E501  (the paper prints this line)
    primed(t)
    held = t.file.open(t.name)
    try:
        t.s3.put(t.name, t.content(2))
        return lasting(lambda: t.file.read(t.name) != t.content(2))
    finally:
        _close(held)


@kind("I2")
def delegation_not_recalled(t):
    """After a PUT over a file that the kernel's client has open by a delegation, the client opens it anew without asking the server, and reads the old content."""  # noqa: E501  (the paper prints this line)
    primed(t)
    held = t.file.open(t.name)
    returned = t.file.requests("DELEGRETURN")
    try:
        t.s3.put(t.name, t.content(2))
        time.sleep(SETTLE_S)  # a recall is a request of the server's own
        opened = t.file.requests(*OPEN)
        stale = t.file.read(t.name) != t.content(2)
        if t.file.requests("DELEGRETURN") > returned or t.file.requests(*OPEN) > opened:
            return False  # the server was asked; what is stale then is the name
        return stale and lasting(lambda: t.file.read(t.name) != t.content(2))
    finally:
        _close(held)


def _close(read):
    """Close what `open` opened; the file may be gone."""
    try:
        read()
    except Exception:
        return
