"""Guarantees weaker than linearizability: session guarantees, and the staleness of reads.

Session guarantees follow Terry and others (PDIS 1994). They are judged per client for one register,
from operations that do not overlap: of two operations of a client, one is before the other if it
completed before the other was invoked. Only what real time proves counts: a value is *older* than
another if its write completed before the other's write was invoked. So every reported violation is
real; values whose writes overlap never count against a system. A successful compare-and-set counts
as a write. Reads of values that were written more than once, or never, are left out and counted.
For each read, each guarantee asks for the greatest of what came before (`_latest`), so all of them
take O(n log n).

read your writes       a read never returns a value older than the client's own last write
monotonic reads        a read never returns a value older than an earlier read of the client
monotonic writes       no client reads the older of one client's two writes after the younger
writes follow reads    after a client reads a write, it never reads a value that the writer had
                       read before that write
"""

from dataclasses import dataclass, field

import numpy as np

from experiments.multiprotocol.checker.history import CAS, NEVER, READ, WRITE

GUARANTEES = ("read your writes", "monotonic reads", "monotonic writes", "writes follow reads")


@dataclass
class Sessions:
    """Violations of the session guarantees.

    `broken[guarantee]` lists (line of the read, line of what it contradicts). `left_out` counts the
    reads that were not judged.
    """

    broken: dict = field(default_factory=lambda: {name: [] for name in GUARANTEES})
    left_out: int = 0
    name = "sessions"

    def lines(self):
        """Yield the lines of the report."""
        yield "session guarantees, per client:"
        for guarantee, pairs in self.broken.items():
            summary = (
                f"broken {len(pairs)} times, first by line {pairs[0][0]} after line {pairs[0][1]}"
                if pairs
                else "kept"
            )
            yield f"  {guarantee}: {summary}"
        if self.left_out:
            yield _left_out(self.left_out)

    def as_dict(self):
        return {
            "broken": {name: len(pairs) for name, pairs in self.broken.items()},
            "left_out": self.left_out,
        }


@dataclass
class Staleness:
    """Ages of the values that reads returned.

    For each judged read, `age_ns` holds how long before its invocation the value had certainly been
    overwritten: by a write that was invoked after the value's own write had completed. It is 0 if
    the value was not overwritten. `left_out` counts the reads that were not judged.
    """

    age_ns: np.ndarray
    left_out: int = 0
    name = "staleness"

    def within(self, bound_ns):
        """True if no read returned a value that had been overwritten for more than `bound_ns`."""
        return bool((self.age_ns <= bound_ns).all())

    def lines(self):
        """Yield the lines of the report."""
        stale = self.age_ns[self.age_ns > 0]
        yield (
            f"staleness: {len(stale)} of {len(self.age_ns)} reads "
            "returned a value that had been overwritten"
        )
        if len(stale):
            yield (
                f"  for up to {stale.max() / 1e6:.3f} ms "
                f"(median of those {np.median(stale) / 1e6:.3f} ms)"
            )
        if self.left_out:
            yield _left_out(self.left_out)

    def as_dict(self):
        return {
            "stale": int((self.age_ns > 0).sum()),
            "of": len(self.age_ns),
            "most_ns": int(self.age_ns.max(initial=0)),
            "left_out": self.left_out,
        }


def _left_out(count):
    return f"  {count} reads of values written more than once, or never, are left out"


def report(history, with_sessions, with_staleness):
    """Return `Sessions` and `Staleness`, as requested."""
    return ([sessions(history)] if with_sessions else []) + (
        [staleness(history)] if with_staleness else []
    )


@dataclass
class _Reads:
    """Judged reads of a history, and the writes whose values they returned, as columns.

    Writes are numbered. The first ones are the initial values, one per key, before all time.
    """

    place: np.ndarray  # of each read in the history
    key: np.ndarray
    client: np.ndarray
    invoked: np.ndarray
    completed: np.ndarray
    of: np.ndarray  # number of the write whose value it returned
    wrote_place: np.ndarray  # of each write in the history, -1 for an initial value
    wrote_key: np.ndarray
    wrote_client: np.ndarray  # -1 for an initial value
    wrote_invoked: np.ndarray
    wrote_completed: np.ndarray
    once: np.ndarray  # whether no other write wrote the same value
    left_out: int


def _reads(history):
    writes = np.flatnonzero((history.kind == WRITE) | (history.kind == CAS))
    reads = np.flatnonzero(history.kind == READ)
    keys = np.unique(history.key[np.concatenate([writes, reads])])
    names = max(1, len(history.values))
    written = np.where(history.kind[writes] == CAS, history.set_to[writes], history.value[writes])
    named = np.concatenate(
        [
            keys.astype(np.int64) * names + history.initial,
            history.key[writes].astype(np.int64) * names + written,
        ]
    )
    distinct, first, number, counts = np.unique(
        named, return_index=True, return_inverse=True, return_counts=True
    )
    wanted = history.key[reads].astype(np.int64) * names + history.value[reads]
    index = np.minimum(np.searchsorted(distinct, wanted), max(0, len(distinct) - 1))
    judged = (
        (distinct[index] == wanted) & (counts[index] == 1) if len(distinct) else np.zeros(0, bool)
    )
    none, before = np.full(len(keys), -1), np.full(len(keys), -NEVER)
    kept = reads[judged]
    return _Reads(
        place=kept,
        key=history.key[kept],
        client=history.client[kept],
        invoked=history.invoked[kept],
        completed=history.completed[kept],
        of=first[index[judged]],
        wrote_place=np.concatenate([none, writes]),
        wrote_key=np.concatenate([keys, history.key[writes]]),
        wrote_client=np.concatenate([none, history.client[writes]]),
        wrote_invoked=np.concatenate([before, history.invoked[writes]]),
        wrote_completed=np.concatenate([before, history.completed[writes]]),
        once=counts[number] == 1,
        left_out=int((~judged).sum()),
    )


def _latest(item_groups, item_times, scores, groups, times):
    """Return, for each query (group, time), the highest-scored earlier item of its group, or -1.

    The item is given by its number; an earlier item has a smaller time. A group is a tuple of
    columns.
    """
    count = len(scores)
    by_score = np.argsort(scores, kind="stable")
    rank = np.empty(count, np.int64)
    rank[by_score] = np.arange(1, count + 1)
    columns = [np.concatenate(pair) for pair in zip(item_groups, groups, strict=True)]
    when = np.concatenate([item_times, times])
    is_item = np.arange(len(when)) < count
    order = np.lexsort((is_item, when, *columns))  # at a tie the query comes first
    differs = np.zeros(len(when), bool)
    for column in columns:
        differs[1:] |= np.diff(column[order]) != 0
    offset = np.cumsum(differs) * (count + 1)
    greatest = (
        np.maximum.accumulate(
            offset + np.concatenate([rank, np.zeros(len(times), np.int64)])[order]
        )
        - offset
    )
    latest = np.empty(len(when), np.int64)
    latest[order] = greatest
    return np.append(-1, by_score)[latest[count:]]


def sessions(history):
    """Return the `Sessions` of a history."""
    reads, result = _reads(history), Sessions()
    result.left_out = reads.left_out
    older_than = reads.wrote_completed[reads.of]
    seen = reads.wrote_invoked[reads.of]  # when the value that each read returned was written

    own = np.flatnonzero(reads.once & (reads.wrote_client >= 0) & (reads.wrote_completed != NEVER))
    mine = (reads.key, reads.client)
    writer = (reads.wrote_key[own], reads.wrote_client[own])
    best = _latest(
        writer, reads.wrote_completed[own], reads.wrote_invoked[own], mine, reads.invoked
    )
    broken = (best >= 0) & (np.append(reads.wrote_invoked[own], 0)[best] > older_than)
    result.broken["read your writes"] = _lines(
        history, reads.place[broken], reads.wrote_place[own[best[broken]]]
    )

    for guarantee, group in (
        ("monotonic reads", mine),
        ("monotonic writes", (*mine, reads.wrote_client[reads.of])),
    ):
        best = _latest(group, reads.completed, seen, group, reads.invoked)
        broken = (best >= 0) & (np.append(seen, 0)[best] > older_than)
        result.broken[guarantee] = _lines(history, reads.place[broken], reads.place[best[broken]])
    result.broken["writes follow reads"] = _lines(history, *_writes_follow_reads(reads, seen))
    return result


def _writes_follow_reads(reads, seen):
    """Return (places of reads that break it, places of the reads that they contradict).

    The question for each read, and for each other client that had read the same value: had the
    reader already seen a value that this client wrote afterwards?
    """
    order = np.lexsort((reads.completed, reads.client, reads.of))
    of, client = reads.of[order], reads.client[order]
    first = np.append(True, (np.diff(of) != 0) | (np.diff(client) != 0))[: len(order)]
    # Keep each client's first read of each value.
    order, of, client = order[first], of[first], client[first]
    begin, end = np.searchsorted(of, reads.of), np.searchsorted(of, reads.of, side="right")
    count = end - begin
    asking = np.repeat(np.arange(len(count)), count)
    other = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count - begin, count)
    others = client[other] != reads.client[asking]
    asking, other = asking[others], other[others]
    best = _latest(
        (reads.key, reads.client, reads.wrote_client[reads.of]),
        reads.completed,
        seen,
        (reads.key[asking], reads.client[asking], client[other]),
        reads.invoked[asking],
    )
    broken = (best >= 0) & (np.append(seen, 0)[best] > reads.completed[order[other]])
    which, at = np.unique(asking[broken], return_index=True)
    return reads.place[which], reads.place[best[broken][at]]


def _lines(history, places, contradicted):
    lines = history.line[places].tolist(), history.line[contradicted].tolist()
    return list(zip(*lines, strict=True))


def staleness(history):
    """Return the `Staleness` of a history."""
    reads = _reads(history)
    sure = np.flatnonzero((reads.wrote_place >= 0) & (reads.wrote_completed != NEVER))
    # Among the writes invoked after the value's own write had completed, the first to complete.
    best = _latest(
        (reads.wrote_key[sure],),
        -reads.wrote_invoked[sure],
        -reads.wrote_completed[sure],
        (reads.key,),
        -reads.wrote_completed[reads.of],
    )
    overwritten = np.append(reads.wrote_completed[sure], NEVER)[best]
    age = np.where(
        overwritten < reads.invoked, reads.invoked - np.minimum(overwritten, reads.invoked), 0
    )
    return Staleness(age.astype(np.int64), reads.left_out)
