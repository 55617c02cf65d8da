"""Kinds of anomaly against I5: what a door acknowledged is lost through the other door."""

import threading
import time

from experiments.multiprotocol.anomalies.registry import kind
from experiments.multiprotocol.anomalies.severity import Seen
from experiments.multiprotocol.anomalies.tries import (
    PATIENCE_S,
    SETTLE_S,
    agreed,
    answered,
    primed,
    settled,
    within,
)

DESCRIBED = ("image/png", {"colour": "red"})  # content type and metadata of an object
PRIVATE = 0o600
COLOUR = b"red"

# ---- updates ----


@kind("I5", loses=True)
def lost_update(t):
    """PUT with the ETag from before a file write succeeds, and the file's content is gone."""
    tag = primed(t)
    t.file.write(t.name, t.content(2))
    return _replaced(t, tag)


def _replaced(t, tag):
    """Return whether a PUT with this ETag succeeds, and version 2 is gone; None if that is open."""
    if not tag:
        return None
    if t.s3.put(t.name, t.content(3), tag=tag) is None:
        return False
    content = agreed(t)
    return None if content is None else content != t.content(2)


@kind("I5", loses=True)
def saved_update_lost(t):
    """PUT with the ETag from before the file side saved as editors do (a new file, renamed over the old) succeeds, and the saved content is gone."""  # noqa: E501  (the paper prints this line)
    tag = primed(t)
    t.file.save(t.name, t.content(2))
    return _replaced(t, tag)


@kind("I5", loses=True)
def put_undone(t):
    """A PUT over a file that was just written succeeds, and later the file's content is there again."""  # noqa: E501  (the paper prints this line)
    primed(t)
    t.file.write(t.name, t.content(2))
    t.s3.put(t.name, t.content(3))
    if settled(t, t.content(3)):
        return False
    # Reading the file would put off that it is written back.
    undone = within(t.patience_s, lambda: (t.s3.get(t.name) or (None,))[0] == t.content(2))
    return undone or (False if t.patience_s >= PATIENCE_S else None)


@kind("I5", loses=True)
def exclusive_twice(t):
    """An exclusive create of the file side (O_EXCL) and a PUT with If-None-Match: * make the same name, and both succeed."""  # noqa: E501  (the paper prints this line)
    first, second = f"{t.name}-s3", f"{t.name}-file"
    t.s3.put(first, t.content(1), create=True)
    if t.file.create(first, t.content(2)):
        return True
    if t.file.create(second, t.content(1)) and (
        t.s3.put(second, t.content(2), create=True) is not None
    ):
        return True
    made, start = [], threading.Barrier(2)

    def create():
        start.wait()
        made.append(t.file2.create(t.name, t.content(1)))

    thread = threading.Thread(target=create)
    thread.start()
    start.wait()
    put = t.s3.put(t.name, t.content(2), create=True) is not None
    thread.join()
    return put and made == [True]


# ---- writes to a part ----


@kind("I5", loses=True)
def append_lost(t):
    """After the file side appends to an object that it sees, something else is there than the whole or the old."""  # noqa: E501  (the paper prints this line)
    primed(t)
    t.file.append(t.name, t.content(2))
    whole = t.content(1) + t.content(2)
    got = t.s3.get(t.name)
    return t.file.read(t.name) != whole or not got or got[0] not in (whole, t.content(1))


@kind("I5", loses=True)
def appends_collide(t):
    """Two clients of the file side append to an object at the same time, and the data of one are gone."""  # noqa: E501  (the paper prints this line)
    primed(t)
    failed = []

    def append():
        try:
            t.file2.append(t.name, t.content(3))
        except Exception as error:
            failed.append(error)

    thread = threading.Thread(target=append)
    thread.start()
    t.file.append(t.name, t.content(2))
    thread.join()
    if failed:
        raise failed[0]
    content = agreed(t)
    if content is None:
        return None
    return t.content(2) not in content or t.content(3) not in content


@kind("I5", loses=True)
def write_in_place_lost(t):
    """After the file side writes into an object that it sees, something else is there than the new or the old."""  # noqa: E501  (the paper prints this line)
    primed(t)
    size = len(t.content(1))
    t.file.write_at(t.name, size // 2, b"!")
    changed = t.content(1)[: size // 2] + b"!" + t.content(1)[size // 2 + 1 :]
    got = t.s3.get(t.name)
    return t.file.read(t.name) != changed or not got or got[0] not in (changed, t.content(1))


# ---- what belongs to a content ----


@kind("I5", loses=True)
def metadata_lost(t):
    """After a file write over an object, its content type or the user's metadata differ."""
    t.s3.put_described(t.name, t.content(1), *DESCRIBED)
    before = t.s3.description(t.name)
    if before != DESCRIBED:
        return None  # the server keeps neither
    t.file.read(t.name)
    t.file.write(t.name, t.content(2))
    if not settled(t, t.content(2)):
        return None
    return t.s3.description(t.name) != before


@kind("I5", loses=True)
def attribute_lost(t):
    """After a PUT over a file, an extended attribute that the file side had set is gone."""
    t.file.write(t.name, t.content(1))
    t.file.set_attribute(t.name, COLOUR)
    if t.file.attribute(t.name) != COLOUR:
        return None
    t.s3.put(t.name, t.content(2))
    if not settled(t, t.content(2)):
        return None
    return t.file.attribute(t.name) != COLOUR


@kind("I5", loses=True)
def permissions_lost(t):
    """After a PUT over a file, more users may read it than the file side had allowed."""
    t.file.write(t.name, t.content(1))
    t.file.set_mode(t.name, PRIVATE)
    if t.file.mode(t.name) != PRIVATE:
        return None
    t.s3.put(t.name, t.content(2))
    if not settled(t, t.content(2)):
        return None
    return bool(t.file.mode(t.name) & ~PRIVATE)


@kind("I5")
def directory_gone(t):
    """A directory that the file side made is gone after DELETE of its last object."""
    folder = f"{t.name}-d"
    t.file.make_folder(folder)
    t.s3.put(f"{folder}/last", t.content(1))
    t.s3.delete(f"{folder}/last")

    def gone():
        return t.file.stat(folder) is None

    return Seen(gone) if within(SETTLE_S, gone) else False


# ---- deletes, locks, and uploads that break off ----


@kind("I5")
def deleted_comes_back(t):
    """A file that was written and then deleted through S3 is there again, or still."""
    t.file.write(t.name, t.content(1))
    t.s3.delete(t.name)

    def there():
        return t.file.read(t.name) is not None or t.s3.get(t.name) is not None

    return Seen(there) if within(SETTLE_S, there) else False


@kind("I5", loses=True)
def restart_loses(t):
    """A file write that was acknowledged is gone after the server of the file side was killed and started again."""  # noqa: E501  (the paper prints this line)
    t.file.write(t.name, t.content(1))
    t.restart()

    def kept():
        got = answered(lambda: t.s3.get(t.name))
        return (got or (None,))[0] == t.content(1) or answered(lambda: t.file.read(t.name)) == (
            t.content(1)
        )

    return not within(PATIENCE_S, kept)


@kind("I5")
def open_file_deleted(t):
    """A file that is open is deleted through S3, and can no longer be read by who has it open."""
    primed(t)
    read = t.file.open(t.name)
    t.s3.delete(t.name)
    try:
        return bytes(read()) != t.content(1)
    except Exception:
        return Seen(reported=True)


@kind("I5")
def lock_ignored(t):
    """A PUT replaces a file while the file side holds a lock on it."""
    primed(t)
    for step, _ in enumerate(t.file.locked(t.name)):
        if step:
            break
        put = t.s3.put(t.name, t.content(2)) is not None
    return put


@kind("I5", loses=True)
def broken_upload_destroys(t):
    """After a PUT over an object broke off halfway, the old content is gone."""
    primed(t)
    for _ in t.s3.put_in_halves(t.name, t.content(2, t.large)):
        break
    time.sleep(2 * SETTLE_S)  # the server finds out that nobody sends the rest
    return (t.s3.get(t.name) or (None,))[0] != t.content(1)
