"""Kinds of anomaly that the S3 side shows by itself: the S3 server's conformance.

They matter to a pair of sides, because what one side does not promise alone the pair cannot promise
either: the invariant of each is the one that no pair with this server can keep. But they are no
fault of the pair.
"""

import threading
import unicodedata

from experiments.multiprotocol.anomalies.registry import conformance
from experiments.multiprotocol.anomalies.severity import lasting

# ---- preconditions ----


@conformance("I5", loses=True)
def ignored_if_none_match(t):
    """PUT with If-None-Match: * replaces an existing object."""
    t.s3.put(t.name, t.content(1))
    return t.s3.put(t.name, t.content(2), create=True) is not None


@conformance("I5", loses=True)
def ignored_if_match(t):
    """PUT with the ETag of an earlier version (If-Match) succeeds."""
    old = t.s3.put(t.name, t.content(1))
    t.s3.put(t.name, t.content(2))
    return t.s3.put(t.name, t.content(3), tag=old) is not None if old else None


@conformance("I5", loses=True)
def two_winners(t):
    """Of two concurrent PUTs with the same If-Match both succeed."""
    tag = t.s3.put(t.name, t.content(1))
    return _winners(t, 2, tag=tag) == 2 if tag else None


@conformance("I5", loses=True)
def several_winners(t):
    """Of four concurrent PUTs with If-None-Match: * more than one succeeds."""
    return _winners(t, 4, create=True) > 1


def _winners(t, count, **condition):
    """Return how many of so many concurrent PUTs succeed."""
    won, start = [], threading.Barrier(count)

    def put(side, version):
        start.wait()
        won.append(side.put(t.name, t.content(version), **condition))

    sides = [
        threading.Thread(target=put, args=((t.s3, t.s32)[number % 2], 2 + number))
        for number in range(count)
    ]
    for thread in sides:
        thread.start()
    for thread in sides:
        thread.join()
    return sum(tag is not None for tag in won)


@conformance("I1")
def get_ignores_if_match(t):
    """GET with the ETag of an earlier version (If-Match) returns the object."""
    old = t.s3.put(t.name, t.content(1))
    t.s3.put(t.name, t.content(2))
    return t.s3.get_if(t.name, old) is not None if old else None


@conformance("I5", loses=True)
def delete_ignores_if_match(t):
    """DELETE with the ETag of an earlier version (If-Match) deletes the object."""
    old = t.s3.put(t.name, t.content(1))
    t.s3.put(t.name, t.content(2))
    if not old:
        return None
    t.s3.delete_if(t.name, old)
    return t.s3.get(t.name) is None


@conformance("I5", loses=True)
def complete_ignores_if_none_match(t):
    """CompleteMultipartUpload with If-None-Match: * replaces an existing object."""
    t.s3.put(t.name, t.content(1))
    return t.s3.upload_if_absent(t.name, t.content(2))


@conformance("I1")
def etag_missing(t):
    """GET or HEAD gives no ETag of an object whose PUT answered with one."""
    tag = t.s3.put(t.name, t.content(1))
    if not tag:
        return None
    return lasting(lambda: not t.s3.get(t.name)[1] or not t.s3.head(t.name)[1])


# ---- names ----


@conformance("I2")
def listing_out_of_order(t):
    """A listing is not in the order of its keys' bytes."""
    names = [f"{t.name}/{name}" for name in ("b-", "b/x", "b0", "Z", "a", "\u00e9", "z")]
    for name in names:
        t.s3.put_key(name, t.content(1))
    if len(t.s3.keys(f"{t.name}/")) < 2:
        return None
    return lasting(lambda: not _in_order(t.s3.keys(f"{t.name}/")))


def _in_order(names):
    return names == sorted(names, key=str.encode)


@conformance("I3", loses=True)
def collide_slash(t):
    """PUTs of two keys that differ in a slash, a backslash or a newline both succeed, and one of the two cannot be read."""  # noqa: E501  (the paper prints this line)
    pairs = [
        ("", "/b"),
        ("m", "m/"),
        ("p/y", "p//y"),
        ("q/b", "q\\b"),
        ("r/b", "r/\\b"),
        ("n/\nx", "n/\u240ax"),  # rclone stores a newline as the symbol for it
    ]
    return any(_collide(t, *(t.name + end for end in pair)) for pair in pairs)


@conformance("I3", loses=True)
def collide_case(t):
    """PUTs of two keys that differ in case both succeed, and one of the two cannot be read."""
    return _collide(t, f"{t.name}x", f"{t.name}X")


@conformance("I3", loses=True)
def collide_unicode(t):
    """PUTs of two keys that are normal forms of one name both succeed, and one of the two cannot be read."""  # noqa: E501  (the paper prints this line)
    name = f"{t.name}\u00e9"
    return _collide(t, unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name))


def _collide(t, first, second):
    for key, version in ((first, 1), (second, 2)):
        if not t.s3.put_key(key, t.content(version)):
            return False  # refusing the second is no anomaly
    return t.s3.get_key(first) != t.content(1) or t.s3.get_key(second) != t.content(2)
