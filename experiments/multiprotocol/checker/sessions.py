"""Weaker promises than linearizability: what each client may count on, and how old a value is that a read returns.

Session guarantees after Terry and others (PDIS 1994), told per client for one register, from its operations that do not
overlap (a client is taken as one session in order of invocation). They are decided with what real time proves: a value
is *older* than another when its write completed before the other's was invoked. So a violation that is reported is one;
values whose writes overlap are never held against a system. Values that are written more than once are left out, and
counted.

read your writes       a read never returns a value older than the client's own last write
monotonic reads        a read never returns a value older than one that the client read before
monotonic writes       no client reads the older of two writes of one client after the younger
writes follow reads    no client reads a value that another client had read before it wrote what was read already
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

import numpy as np

from experiments.multiprotocol.checker.history import CAS, NEVER, READ, WRITE

GUARANTEES = ("read your writes", "monotonic reads", "monotonic writes", "writes follow reads")


@dataclass
class Sessions:
    """`broken[guarantee]` are (line of the read, line of what it contradicts); `left_out` counts reads not judged."""

    broken: dict = field(default_factory=lambda: {name: [] for name in GUARANTEES})
    left_out: int = 0
    name = "sessions"

    def lines(self):
        yield "session guarantees, per client:"
        for guarantee, found in self.broken.items():
            told = f"broken {len(found)} times, first by line {found[0][0]} after line {found[0][1]}" if found else "kept"
            yield f"  {guarantee}: {told}"
        if self.left_out:
            yield f"  {self.left_out} reads of values written more than once are left out"

    def as_dict(self):
        return {"broken": {name: len(found) for name, found in self.broken.items()}, "left_out": self.left_out}


@dataclass
class Staleness:
    """`age_ns` has for each judged read how long before its invocation the value was overwritten for sure (0: it was
    not): by a write that was invoked after the value's own had completed."""

    age_ns: np.ndarray
    left_out: int = 0
    name = "staleness"

    def within(self, bound_ns):
        """Whether no read returned a value that had been overwritten for more than `bound_ns`."""
        return bool((self.age_ns <= bound_ns).all())

    def lines(self):
        stale = self.age_ns[self.age_ns > 0]
        yield f"staleness: {len(stale)} of {len(self.age_ns)} reads returned a value that had been overwritten"
        if len(stale):
            yield f"  for up to {stale.max() / 1e6:.3f} ms (median of those {np.median(stale) / 1e6:.3f} ms)"

    def as_dict(self):
        return {"stale": int((self.age_ns > 0).sum()), "of": len(self.age_ns), "most_ns": int(self.age_ns.max(initial=0))}


def report(history, with_sessions, with_staleness):
    """Return the asked ones of `Sessions` and `Staleness`."""
    return ([sessions(history)] if with_sessions else []) + ([staleness(history)] if with_staleness else [])


@dataclass(frozen=True)
class _Value:
    """When a value was written: from, to, and its place in the history (-1: the initial null)."""

    invoked: int
    completed: int
    place: int

    def older(self, other):
        return self.completed < other.invoked


def _written(history, places):
    """Return ({value number: _Value} of values written once, the initial null among them if nothing deletes)."""
    values, counts = {0: _Value(-NEVER, -NEVER, -1)}, Counter({0: 1})
    for place in places:
        if history.kind[place] in (WRITE, CAS):
            number = int(history.set_to[place] if history.kind[place] == CAS else history.value[place])
            values[number] = _Value(int(history.invoked[place]), int(history.completed[place]), int(place))
            counts[number] += 1
    return {number: value for number, value in values.items() if counts[number] == 1}


def _keys(history):
    by_key = defaultdict(list)
    for place in np.argsort(history.invoked, kind="stable").tolist():
        if history.kind[place] in (READ, WRITE, CAS):
            by_key[int(history.key[place])].append(place)
    return by_key.values()


def sessions(history):
    """Return the `Sessions` of a history."""
    found = Sessions()
    for places in _keys(history):
        _judge_key(history, places, found)
    return found


def _judge_key(history, places, found):
    values = _written(history, places)
    own, read, before = {}, defaultdict(list), _before(history, places, values)
    for place in places:
        client, kind = int(history.client[place]), history.kind[place]
        if kind == WRITE or kind == CAS:
            number = int(history.set_to[place] if kind == CAS else history.value[place])
            if number in values and history.completed[place] != NEVER:
                own[client] = values[number]
            continue
        value = values.get(int(history.value[place]))
        if value is None:
            found.left_out += 1
            continue
        line, mine = int(history.line[place]), own.get(client)
        earlier = [(v, p) for v, p in read[client] if history.completed[p] < history.invoked[place]]
        if mine and mine.completed < history.invoked[place] and value.older(mine):
            found.broken["read your writes"].append((line, int(history.line[mine.place])))
        for guarantee, hit in _against(value, earlier, before):
            found.broken[guarantee].append((line, int(history.line[hit])))
        read[client] = _youngest(earlier, read[client]) + [(value, place)]


def _against(value, earlier, before):
    """Yield (guarantee, place of the earlier read) for what reading `value` after the `earlier` reads breaks."""
    told = set()
    for seen, place in earlier:
        kinds = [("monotonic reads", value.older(seen))]
        kinds += [(kind, value.place in before[kind].get(seen.place, ())) for kind in ("monotonic writes", "writes follow reads")]
        for kind, broken in kinds:
            if broken and kind not in told:
                told.add(kind)
                yield kind, place


def _youngest(earlier, reads, most=8):
    return reads[-most:]


def _before(history, places, values):
    """Return {guarantee: {place of a write: places of writes that are before it in that guarantee's sense}}."""
    before = {"monotonic writes": defaultdict(set), "writes follow reads": defaultdict(set)}
    last_write, last_read = {}, {}
    for place in places:
        client, kind = int(history.client[place]), history.kind[place]
        if kind == READ:
            value = values.get(int(history.value[place]))
            if value is not None and value.place >= 0:
                last_read[client] = (value.place, place)
            continue
        for name, last in (("monotonic writes", last_write), ("writes follow reads", last_read)):
            if client in last and history.completed[last[client][1]] < history.invoked[place] and last[client][0] != place:
                before[name][place].add(last[client][0])
        last_write[client] = (place, place)
    return before


def staleness(history):
    """Return the `Staleness` of a history."""
    ages, left_out = [], 0
    for places in _keys(history):
        values = _written(history, places)
        writes = sorted((v for v in values.values() if v.completed != NEVER), key=lambda v: v.invoked)
        invoked = np.array([v.invoked for v in writes])
        # The earliest completion among the writes invoked from here on.
        ends = np.minimum.accumulate(np.array([v.completed for v in writes])[::-1])[::-1]
        for place in places:
            if history.kind[place] != READ:
                continue
            value = values.get(int(history.value[place]))
            if value is None:
                left_out += 1
                continue
            at = np.searchsorted(invoked, value.completed, side="right")
            ages.append(max(0, int(history.invoked[place]) - int(ends[at])) if at < len(ends) else 0)
    return Staleness(np.array(ages, np.int64), left_out)
