"""Finds a small set of operations that proves a violation.

A smaller set proves something of the whole only if what was left out could not have mended it (the set is *fair*):

- a read, or a compare-and-set that failed, can always be left out;
- of a compare-and-set, the condition can be left out (*relaxed*: it is taken as a write);
- a write can be left out when none that stays can have seen it, because it completed before the write was invoked, or
  was invoked after another write that stays and came later. One write of each value that is seen stays as well, else the
  reason could not be read from what is shown.

So every set made here is wrong only if the whole history is.
"""

import time
from dataclasses import dataclass

import numpy as np

from experiments.multiprotocol.checker.history import CAS, NEVER, READ, WRITE
from experiments.multiprotocol.checker.search import LINEARIZABLE, UNKNOWN, VIOLATION, Bounds

CONFIGURATIONS = 20_000  # bound of each search here
READABLE = 8  # operations
CHEAP = 200  # from so many operations or fewer, the smallest witness of several is taken


@dataclass
class Witness:
    """`places` are operations of the history, by time, which alone are not linearizable, even when the compare-and-sets
    among them whose places are `relaxed` are taken as writes. `irreducible`: it is certain that no one of them can be
    left out. Empty when none was found in time."""

    places: list
    irreducible: bool
    relaxed: list


@dataclass
class Kept:
    """Positions in a register that are kept, and for each whether it is a compare-and-set taken as a write."""

    at: np.ndarray
    relaxed: np.ndarray

    def __len__(self):
        return len(self.at)

    def only(self, mask):
        return Kept(self.at[mask], self.relaxed[mask])


def find(register, proof, certain, seconds, library=None):
    """Return the `Witness` of a violation in a `Register`; `proof` are places that matter, if known, and if `certain`
    the violation is certain when the first of them completes."""
    finder = _Finder(register, time.monotonic() + seconds, library)
    start = finder.start(
        np.flatnonzero(np.isin(register.place, proof)), proof[0] if certain else None
    )
    if start is None:
        return Witness([], False, [])
    kept, irreducible = finder.smallest(start)
    kept = kept.only(np.lexsort((register.completed[kept.at], register.invoked[kept.at])))
    places = register.place[kept.at]
    return Witness(places.tolist(), irreducible, places[kept.relaxed].tolist())


class _Finder:
    def __init__(self, register, deadline, library):
        self._ops, self._deadline, self._library = register, deadline, library
        self._writes = np.flatnonzero(register.writes)
        self._written, self._sees, self._fails = register.written, register.sees, register.fails
        self._writes = self._writes[np.argsort(self._written[self._writes], kind="stable")]
        self._values = self._written[self._writes]  # sorted
        wanted = np.searchsorted(self._values, register.value)
        found = np.append(self._values, -1)[wanted] == register.value
        self._has_writer = found & (register.value != 0)  # null needs none
        self._unsure = 0  # how often `_proves` could not tell

    # ---- where to begin ----

    def start(self, named, certain):
        """Return a `Kept` that proves the violation, small if that is easy, or None when there was no time."""
        if len(named):
            for relaxing in (True, False):
                candidate = self._with_writers(named, relaxing)
                if self._proves(candidate):
                    return candidate
        if certain is None:
            word, mattering = self._ops.decide(Bounds(max(0.1, self._left())), self._library)
            return (
                self.start(np.array(mattering), self._ops.place[mattering[0]])
                if word == VIOLATION
                else None
            )
        return self._near(int(self._ops.completed[self._ops.place == certain][0]))

    def _near(self, end):
        """Return the last few operations before `end` if they are wrong by themselves, else twice as many, and so on."""
        ops = self._ops
        begun = np.flatnonzero((ops.invoked <= end) & ((ops.completed <= end) | ops.writes))
        begun = begun[np.argsort(-np.minimum(ops.completed[begun], end), kind="stable")]
        count = 8
        while count < len(begun) and self._left() > 0:
            for relaxing in (True, False):
                candidate = self._with_writers(begun[:count], relaxing)
                if self._proves(candidate):
                    return candidate
            count *= 2
        return self._with_writers(begun, relaxing=False)

    def _with_writers(self, chosen, relaxing, most=None):
        """Return the chosen operations with every operation that wrote a value which one of them sees. `relaxing`: a
        compare-and-set that comes in so, or whose outcome is unknown (it might see much), is taken as a write; else what
        it saw comes in as well, and so on, until there are more than `most` or the time is up."""
        ops, kept, new = self._ops, np.zeros(len(self._ops), bool), chosen
        kept[chosen] = True
        blind = (ops.kind == CAS) & (ops.completed == NEVER) & relaxing
        while len(new):
            new = self._writers(ops.value[new[self._sees[new] & ~blind[new]]])
            new = new[~kept[new]]
            kept[new] = True
            if relaxing or self._left() <= 0 or (most and kept.sum() > most):
                break
        at = np.flatnonzero(kept)
        return Kept(at, blind[at] | (~np.isin(at, chosen) & (ops.kind[at] == CAS) & relaxing))

    def _writers(self, values):
        """Return the positions of the operations that write one of these values."""
        values = np.unique(values)
        begin, end = (
            np.searchsorted(self._values, values),
            np.searchsorted(self._values, values, side="right"),
        )
        return np.concatenate(
            [self._writes[b:e] for b, e in zip(begin[end > begin], end[end > begin])]
            or [self._writes[:0]]
        )

    # ---- what a set proves ----

    def _left(self):
        return self._deadline - time.monotonic()

    def _proves(self, kept):
        """Whether this set is known to prove the violation; where that is not known, `_unsure` counts it."""
        word = self._word(kept)
        if word == LINEARIZABLE or not self._fair(kept):
            return False
        self._unsure += word == UNKNOWN
        return word == VIOLATION

    def _word(self, kept):
        left = self._left()
        if left <= 0:
            return UNKNOWN
        part = self._ops.take(kept.at)
        part.value = np.where(kept.relaxed, part.set_to, part.value)
        part.kind = np.where(kept.relaxed, np.uint8(WRITE), part.kind)
        return part.decide(Bounds(left, CONFIGURATIONS), self._library)[0]

    def _fair(self, kept):
        """Whether no write that is left out can have been seen by what is kept."""
        ops, at = self._ops, kept.at
        seers = at[self._sees[at] & ~kept.relaxed]
        left_out = np.setdiff1d(self._writers(ops.value[seers]), at)
        for value in np.unique(self._written[left_out]):
            if self._seen(
                left_out[self._written[left_out] == value], seers[ops.value[seers] == value], at
            ):
                return False
        failing = at[self._fails[at]]
        left_out = np.setdiff1d(self._writes, at) if len(failing) else failing
        return not any(
            self._seen(
                left_out[self._written[left_out] != value], failing[ops.value[failing] == value], at
            )
            for value in np.unique(ops.value[failing])
        )

    def _seen(self, left_out, seers, kept):
        """Whether one of the writes `left_out` can be the last before one of the `seers`, when those `kept` stay."""
        ops = self._ops
        writes = kept[ops.writes[kept] & (ops.completed[kept] != NEVER)]
        writes = writes[np.argsort(ops.invoked[writes])]
        # The earliest completion of a write that is invoked after the write left out: from then on that is not seen.
        ends = np.append(np.minimum.accumulate(ops.completed[writes][::-1])[::-1], NEVER)
        hidden = ends[np.searchsorted(ops.invoked[writes], ops.completed[left_out], side="right")]
        order = np.argsort(ops.invoked[left_out])
        latest = np.append(-NEVER, np.maximum.accumulate(hidden[order]))
        begun = np.searchsorted(ops.invoked[left_out][order], ops.completed[seers], side="right")
        return bool((latest[begun] >= ops.invoked[seers]).any())

    # ---- making it smaller ----

    def smallest(self, start):
        """Return (`Kept`, whether it is irreducible): the smallest of what several orders of leaving out come to. One
        that takes no compare-and-set as a write is easier to read, and preferred unless it is much larger."""
        given, ops = self._left(), self._ops
        best = self._reduce(start, ops.invoked, True)
        if len(start) <= CHEAP:
            for by in (-ops.invoked, ops.completed, -ops.completed):
                best = self._better(best, start, by, True, given)
        if len(best[0]) > READABLE:
            other = self._reduce(self._relax(best[0]), ops.invoked, True)
            best = other if other[1] or not best[1] else best
        if not best[0].relaxed.any():
            return best
        whole = self._with_writers(start.at, False, CHEAP)
        plain = (
            self._reduce(whole, ops.invoked, False)
            if len(whole) <= CHEAP and self._proves(whole)
            else best
        )
        return plain if plain[1] and len(plain[0]) <= max(READABLE, 2 * len(best[0])) else best

    def _relax(self, kept):
        """Take as writes all compare-and-sets that may be, for then much that they may have seen can be left out."""
        for number in np.flatnonzero((self._ops.kind[kept.at] == CAS) & ~kept.relaxed):
            relaxed = kept.relaxed.copy()
            relaxed[number] = True
            if self._left() > 0 and self._proves(Kept(kept.at, relaxed)):
                kept = Kept(kept.at, relaxed)
        return kept

    def _better(self, best, start, by, relaxing, given):
        if self._left() < 2 / 3 * given:
            return best
        other = self._reduce(start, by, relaxing)
        return other if other[1] and len(other[0]) < len(best[0]) else best

    def _reduce(self, kept, by, relaxing):
        """Leave out what can be left out, in the order of `by`: halves, quarters, and at last single operations. Returns
        (`Kept`, whether it is certain that no single one of them can be left out)."""
        kept = kept.only(np.argsort(by[kept.at], kind="stable"))
        size = max(1, len(kept) // 2)
        while True:
            changed, begin, unsure = False, 0, self._unsure
            while begin < len(kept):
                if self._left() <= 0:
                    return kept, False
                less = self._without(kept, slice(begin, begin + size), relaxing)
                if self._proves(less):
                    kept, changed = less, True
                else:
                    begin += size
            if size == 1 and not changed:
                return kept, self._unsure == unsure
            size = size if changed and size == 1 else max(1, size // 2)

    def _without(self, kept, dropped, relaxing):
        """Leave some out, and what then sees a value that none of the rest writes. `relaxing`: a compare-and-set stays
        then, as a write."""
        ops, stays = self._ops, np.ones(len(kept), bool)
        stays[dropped] = False
        while not stays.all():
            kept = kept.only(stays)
            at = kept.at
            lost = self._has_writer[at] & self._sees[at] & ~kept.relaxed
            lost &= ~np.isin(ops.value[at], self._written[at[ops.writes[at]]])
            if relaxing:
                kept = Kept(at, kept.relaxed | (lost & (ops.kind[at] == CAS)))
                lost &= ops.kind[at] == READ
            stays = ~lost
        return kept
