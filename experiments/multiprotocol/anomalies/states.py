"""Kinds of anomaly against I4: a door shows a state that nobody wrote."""

import hashlib
import time

from experiments.multiprotocol.anomalies.registry import kind
from experiments.multiprotocol.anomalies.severity import lasting
from experiments.multiprotocol.anomalies.tries import (
    answered,
    meanwhile,
    primed,
    settled,
    there_and_back,
    within,
)
from experiments.multiprotocol.s3_view import PART

DOCUMENTED = (".accesslog", ".config", ".stats", ".trash")  # control files of JuiceFS
MISSING = (None, None)  # what GET returns of no object
AGREE_S = 0.2

# ---- while something is overwritten ----


@kind("I4")
def missing_while_overwritten(t):
    """While an object is overwritten by PUT the file side finds no file."""
    t.s3.put(t.name, t.content(1, t.large))
    t.file.stat(t.name)
    return None in meanwhile(
        lambda: t.s32.put(t.name, t.content(2, t.large)), lambda: t.file.stat(t.name)
    )


@kind("I4")
def half_written(t):
    """While an object is overwritten by PUT the file side sees a part of it."""
    t.s3.put(t.name, t.content(1, t.large))
    sizes = meanwhile(lambda: t.s32.put(t.name, t.content(2, t.large)), lambda: t.file.stat(t.name))
    return any(got and got[0] != t.large for got in sizes)


@kind("I4")
def torn_s3_read(t):
    """While the file side overwrites in place, by one call, GET returns a mixture of old and new."""  # noqa: E501  (the paper prints this line)
    t.s3.put(t.name, t.content(1, t.large))
    t.file.read(t.name)
    return _seen_otherwise(t, lambda: t.file2.write_at(t.name, 0, t.content(2, t.large)))


@kind("I4")
def save_half_done(t):
    """While the file side saves as editors do (a new file, renamed over the old), GET finds no object, or a mixture."""  # noqa: E501  (the paper prints this line)
    t.s3.put(t.name, t.content(1, t.large))
    t.file.read(t.name)
    return _seen_otherwise(t, lambda: t.file2.save(t.name, t.content(2, t.large)), missing=True)


def _seen_otherwise(t, act, missing=False):
    """Return whether GET returns anything but versions 1 and 2 meanwhile; None if it never answers.

    An object that is not there counts only with `missing`.
    """
    whole = {t.content(1, t.large), t.content(2, t.large)}
    reads = meanwhile(act, lambda: answered(lambda: t.s3.get(t.name) or MISSING))
    contents = [got[0] for got in reads if got and (missing or got is not MISSING)]
    if reads and not contents:
        return None
    return any(content not in whole for content in contents)


@kind("I4")
def truncation_seen(t):
    """While the file side overwrites as most programs do (truncate, then write), GET returns an empty object, or a part."""  # noqa: E501  (the paper prints this line)
    primed(t)
    new = t.content(2, 1 << 16)
    contents = []
    for _ in t.file.rewrite(t.name, new):
        got = answered(lambda: t.s3.get(t.name))
        contents.append(got and got[0])
    judged = [content for content in contents if content is not None]
    return any(content not in (t.content(1), new) for content in judged) if judged else None


@kind("I4")
def rename_half_done(t):
    """While a file is renamed, a listing through S3 has both names or neither."""
    new = f"{t.name}-new"
    primed(t)
    pair = {t.name, new}
    listings = meanwhile(
        lambda: there_and_back(t.file2, t.name, new), lambda: t.s3.names(t.folder + "/")
    )
    return any(len(pair & names) != 1 for names in [*listings, t.s3.names(t.folder + "/")])


@kind("I4")
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


# ---- while something is uploaded ----


@kind("I4")
def multipart_seen_partly(t):
    """A multipart upload that is not complete can be seen."""
    rest = t.content(1, 1 << 16)
    for step, _ in enumerate(t.s3.upload(t.name, t.content(1, PART), rest)):
        if step:
            break
        time.sleep(0.05)
        seen = t.file.stat(t.name) is not None or t.s3.head(t.name) is not None
    return seen


@kind("I4")
def upload_seen_early(t):
    """While a new object is uploaded by PUT, the file side sees an empty file, or a part."""
    content = t.content(1, t.large)
    sizes = set()
    for step, _ in enumerate(t.s3.put_in_halves(t.name, content)):
        if step:
            break
        sizes = {t.file.stat(t.name)}
        time.sleep(0.05)
        sizes.add(t.file.stat(t.name))
    return any(got and got[0] != len(content) for got in sizes)


@kind("I4")
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


# ---- in peace ----


@kind("I4")
def attributes_disagree(t):
    """Size, time, ETag and content of a file that both sides read alike do not belong together."""
    primed(t)
    t.file.write(t.name, t.content(22))
    if not settled(t, t.content(22)):
        return None
    if not t.s3.get(t.name)[1]:
        return None  # a kind of its own
    return lasting(lambda: _disagree(t))


def _disagree(t):
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


@kind("I4", loses=True)
def hole_filled(t):
    """After the file side cuts an object and extends it by a hole, GET returns other bytes than its beginning and zeros."""  # noqa: E501  (the paper prints this line)
    old = t.content(1, 3000)
    t.s3.put(t.name, old)
    if not within(AGREE_S, lambda: t.file.read(t.name) == old):
        return None
    t.file.truncate(t.name, 100)
    t.file.truncate(t.name, 5000)
    new = old[:100] + bytes(4900)

    def now():
        return (t.s3.get(t.name) or MISSING)[0]

    within(AGREE_S, lambda: now() == new)
    return now() not in (old, old[:100], new)  # that S3 shows it late is a kind of its own
