"""Kinds of anomaly, each a function that tries once.

A function acts on a fresh name through both sides. It returns whether the anomaly occurred, or None
if a precondition did not hold and the try cannot be judged. `KINDS` has them all. The docstring of
a kind is its meaning, as the paper's table prints it.

The views record everything that a try does, so the record of a try with the anomaly is its witness.
"""

import hashlib
import time

from experiments.multiprotocol.anomalies import conformance, everyday  # noqa: F401  (they register)
from experiments.multiprotocol.anomalies.registry import CONFORMANCE, KINDS, kind
from experiments.multiprotocol.anomalies.tries import (
    answered,
    meanwhile,
    primed,
    settled,
    there_and_back,
)
from experiments.multiprotocol.s3_view import PART

__all__ = ["CONFORMANCE", "KINDS"]
SETTLE_S = 0.15  # how long a deleted object, or what should stay, is watched
DOCUMENTED = (".accesslog", ".config", ".stats", ".trash")  # control files of JuiceFS
DESCRIBED = ("image/png", {"colour": "red"})  # content type and metadata of an object


# ---- staleness ----


@kind
def stale_file_read(t):
    """After a PUT over a file that was read, the file side reads the old content."""
    primed(t)
    t.s3.put(t.name, t.content(2))
    return t.file.read(t.name) != t.content(2)


@kind
def stale_s3_read(t):
    """After a file write over an object that was read, GET returns the old content."""
    primed(t)
    t.s3.get(t.name)
    t.file.write(t.name, t.content(2))
    got = t.s3.get(t.name)
    return not got or got[0] != t.content(2)


@kind
def stale_negative_file(t):
    """A name looked up by the file side in vain stays missing there after its PUT."""
    t.file.read(t.name)
    t.s3.put(t.name, t.content(1))
    return t.file.read(t.name) is None


@kind
def stale_negative_s3(t):
    """A key looked up by GET in vain stays missing there after the file was written."""
    t.s3.get(t.name)
    t.file.write(t.name, t.content(1))
    return t.s3.get(t.name) is None


@kind
def listing_misses(t):
    """A listing on one side lacks a name that was created on the other."""
    other = f"{t.name}-f"
    t.file.names(t.folder), t.s3.names(t.folder + "/")
    t.s3.put(t.name, t.content(1))
    missed = t.name not in t.file.names(t.folder)
    t.file.write(other, t.content(1))
    return missed or other not in t.s3.names(t.folder + "/")


@kind
def listing_invents(t):
    """A listing on the file side has a name that was deleted through S3."""
    primed(t)
    t.file.names(t.folder)
    t.s3.delete(t.name)
    return t.name in t.file.names(t.folder)


@kind
def deleted_comes_back(t):
    """A file that was written and then deleted through S3 is there again, or still."""
    t.file.write(t.name, t.content(1))
    t.s3.delete(t.name)
    end = time.monotonic() + SETTLE_S
    while True:
        if t.file.read(t.name) is not None or t.s3.get(t.name) is not None:
            return True
        if time.monotonic() > end:
            return False
        time.sleep(0.02)


# ---- validators ----


@kind
def etag_unchanged(t):
    """GET returns what the file side wrote, under the ETag of what was there before."""
    tag = primed(t)
    t.file.write(t.name, t.content(2))
    if not tag or not settled(t, t.content(2)):
        return None
    now = t.s3.get(t.name)[1]
    return now == tag if now else None  # a GET without an ETag is a kind of its own


@kind
def lost_update(t):
    """PUT with the ETag from before a file write succeeds, and the file's content is gone."""
    tag = primed(t)
    t.file.write(t.name, t.content(2))
    return t.s3.put(t.name, t.content(3), tag=tag) is not None if tag else None


# ---- atomicity ----


@kind
def missing_while_overwritten(t):
    """While an object is overwritten by PUT the file side finds no file."""
    t.s3.put(t.name, t.content(1, t.large))
    t.file.stat(t.name)
    return None in meanwhile(
        lambda: t.s32.put(t.name, t.content(2, t.large)), lambda: t.file.stat(t.name)
    )


@kind
def half_written(t):
    """While an object is overwritten by PUT the file side sees a part of it."""
    t.s3.put(t.name, t.content(1, t.large))
    sizes = meanwhile(lambda: t.s32.put(t.name, t.content(2, t.large)), lambda: t.file.stat(t.name))
    return any(got and got[0] != t.large for got in sizes)


@kind
def torn_s3_read(t):
    """While the file side overwrites in place, by one call, GET returns a mixture of old and new."""  # noqa: E501  (the paper prints this line)
    t.s3.put(t.name, t.content(1, t.large))
    t.file.read(t.name)
    whole = {t.content(1, t.large), t.content(2, t.large)}

    reads = meanwhile(
        lambda: t.file2.write_at(t.name, 0, t.content(2, t.large)),
        lambda: answered(lambda: t.s3.get(t.name)),
    )
    contents = [got[0] for got in reads if got]
    if reads and not contents:
        return None  # every read was refused
    return any(content not in whole for content in contents)


@kind
def rename_half_done(t):
    """While a file is renamed, a listing through S3 has both names or neither."""
    new = f"{t.name}-new"
    primed(t)
    pair = {t.name, new}
    listings = meanwhile(
        lambda: there_and_back(t.file2, t.name, new), lambda: t.s3.names(t.folder + "/")
    )
    return any(len(pair & names) != 1 for names in [*listings, t.s3.names(t.folder + "/")])


@kind
def directory_rename_half_done(t):
    """After or while a directory is renamed, a listing by prefix has some of its files twice, or not at all."""  # noqa: E501  (the paper prints this line)
    old, new = f"{t.folder}/d{t.number}", f"{t.folder}/e{t.number}"
    for number in range(4):
        t.s3.put(f"{old}/{number}", t.content(1))
    t.file.names(old)
    listings = meanwhile(
        lambda: there_and_back(t.file2, old, new), lambda: t.s3.names(t.folder + "/")
    )
    moved = [
        {name for name in names if name.startswith((old + "/", new + "/"))}
        for names in [*listings, t.s3.names(t.folder + "/")]
    ]
    return any(len(names) != 4 or len({name[: len(old)] for name in names}) != 1 for names in moved)


@kind
def multipart_seen_partly(t):
    """A multipart upload that is not complete can be seen."""
    rest = t.content(1, 1 << 16)
    for step, _ in enumerate(t.s3.upload(t.name, t.content(1, PART), rest)):
        if step:
            break
        time.sleep(0.05)
        seen = t.file.stat(t.name) is not None or t.s3.head(t.name) is not None
    return seen


# ---- agreement ----


@kind
def attributes_disagree(t):
    """Size, time, ETag and content of a file that both sides read alike do not belong together."""
    primed(t)
    t.file.write(t.name, t.content(22))
    if not settled(t, t.content(22)):
        return None
    if not t.s3.get(t.name)[1]:
        return None  # a kind of its own
    content, head, stat = t.file.read(t.name), t.s3.head(t.name), t.file.stat(t.name)
    if content is None or head is None or stat is None:
        return True
    digest = (head[1] or "").strip('"')
    wrong_digest = len(digest) == 32 and digest != hashlib.md5(content).hexdigest()
    return (
        head[0] != len(content)
        or stat[0] != len(content)
        or abs(head[2] - stat[1]) > 2
        or wrong_digest
    )


@kind
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


@kind
def directory_gone(t):
    """A directory that the file side made is gone after DELETE of its last object."""
    folder = f"{t.name}-d"
    t.file.make_folder(folder)
    t.s3.put(f"{folder}/last", t.content(1))
    t.s3.delete(f"{folder}/last")
    end = time.monotonic() + SETTLE_S
    while t.file.stat(folder) is not None:
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


@kind
def directory_listed_otherwise(t):
    """HEAD of "dir/" and a flat listing disagree whether an empty directory of the file side is there."""  # noqa: E501  (the paper prints this line)
    folder = f"{t.name}-e"
    t.file.make_folder(folder)
    time.sleep(0.02)
    return t.s3.has_key(f"{folder}/") != (f"{folder}/" in t.s3.keys(folder))


@kind
def names_invented(t):
    """While a multipart upload is open, the file side lists a name that nobody made, and no document names."""  # noqa: E501  (the paper prints this line)
    if t.file.top() is None:
        return None
    made = {t.top, t.name, *DOCUMENTED, *t.file.names(t.folder)}
    for step, _ in enumerate(t.s3.upload(t.name, t.content(1, PART), t.content(1, 1 << 16))):
        if step:
            break
        time.sleep(0.05)
        listed = t.file.top() | t.file.names(t.folder)
    return not listed <= made


# ---- the file side's own promises ----


@kind
def open_file_deleted(t):
    """A file that is open is deleted through S3, and can no longer be read by who has it open."""
    primed(t)
    read = t.file.open(t.name)
    t.s3.delete(t.name)
    try:
        return bytes(read()) != t.content(1)
    except Exception:
        return True


@kind
def append_lost(t):
    """After the file side appends to an object that it sees, something else is there than the whole or the old."""  # noqa: E501  (the paper prints this line)
    primed(t)
    t.file.append(t.name, t.content(2))
    whole = t.content(1) + t.content(2)
    got = t.s3.get(t.name)
    return t.file.read(t.name) != whole or not got or got[0] not in (whole, t.content(1))


@kind
def write_in_place_lost(t):
    """After the file side writes into an object that it sees, something else is there than the new or the old."""  # noqa: E501  (the paper prints this line)
    primed(t)
    size = len(t.content(1))
    t.file.write_at(t.name, size // 2, b"!")
    changed = t.content(1)[: size // 2] + b"!" + t.content(1)[size // 2 + 1 :]
    got = t.s3.get(t.name)
    return t.file.read(t.name) != changed or not got or got[0] not in (changed, t.content(1))
