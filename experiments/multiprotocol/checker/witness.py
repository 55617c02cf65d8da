"""Search for a small set of operations that proves a violation.

A smaller set proves something about the whole history only if it is fair (`fairness`). The search
starts with what is known to matter, or else with the shortest prefix of the history that is a
violation.
"""

import time
from dataclasses import dataclass

import numpy as np

from experiments.multiprotocol.checker import fairness
from experiments.multiprotocol.checker.history import CAS, NEVER, READ, WRITE
from experiments.multiprotocol.checker.search import LINEARIZABLE, UNKNOWN, VIOLATION, Bounds

CONFIGURATIONS = 20_000  # bound of each search here
READABLE = 8  # operations
CHEAP = 200  # up to so many operations, several reductions compete for the smallest witness


@dataclass
class Witness:
    """Operations that prove a violation.

    `places` are operations of the history, by time, that alone are not linearizable, even if the
    compare-and-sets at `relaxed` count as writes.
    `irreducible` is True if certainly no operation can be left out.
    """

    places: list
    irreducible: bool
    relaxed: list


@dataclass
class Kept:
    """Positions in a register that are kept.

    `relaxed` marks the compare-and-sets that count as writes.
    """

    at: np.ndarray
    relaxed: np.ndarray

    def __len__(self):
        return len(self.at)

    def only(self, mask):
        return Kept(self.at[mask], self.relaxed[mask])


def find(register, proof, certain, seconds, library=None):
    """Return the `Witness` of a violation in a `Register`.

    `proof` lists places that matter, if known. If `certain`, the violation is certain when the
    first of them completes.
    """
    deadline = time.monotonic() + seconds
    register = register.possible()
    finder = _Finder(register, deadline, library)
    start = finder.start(
        np.flatnonzero(np.isin(register.place, proof)), proof[0] if certain else None
    )
    kept, irreducible = finder.smallest(start)
    kept = kept.only(np.lexsort((register.completed[kept.at], register.invoked[kept.at])))
    places = register.place[kept.at]
    return Witness(places.tolist(), irreducible, places[kept.relaxed].tolist())


class _Finder:
    def __init__(self, register, deadline, library):
        self._ops, self._deadline, self._library = register, deadline, library
        self._writers = fairness.Writers(register)
        self._written, self._sees = register.written, register.sees
        written = np.isin(register.value, self._writers.values)
        self._has_writer = written & (register.value != register.initial)
        self._unsure = 0  # how often `_proves` could not tell

    # ---- where to begin ----

    def start(self, named, certain):
        """Return a `Kept` that proves the violation. It is small if that is easy."""
        if len(named):
            for relaxing in (True, False):
                candidate = self._with_writers(named, relaxing)
                if self._proves(candidate):
                    return candidate
        ops = self._ops
        return self._near(
            int(ops.completed[ops.place == certain][0])
            if certain is not None
            else self._end_of_prefix()
        )

    def _end_of_prefix(self):
        """Return the time at which the shortest wrong prefix ends, as far as that is known.

        In a prefix, what completes later has an unknown outcome. If it is wrong, so is every longer
        one.
        """
        ends = np.unique(self._ops.completed[self._ops.completed != NEVER])
        low, high = 0, len(ends) - 1
        while low < high and self._left() > 0:
            middle = (low + high) // 2
            part = self._ops.until(ends[middle]).possible()
            word = part.decide(Bounds(self._left() / 4, CONFIGURATIONS), self._library).word
            if word == UNKNOWN:
                break
            low, high = (low, middle) if word == VIOLATION else (middle + 1, high)
        return int(ends[high])

    def _near(self, end):
        """Return the last few operations before `end` that are wrong by themselves.

        Their number doubles until they are wrong, or until all are taken.
        """
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
        """Return the chosen operations and all writers of the values that they see.

        With `relaxing`, a compare-and-set counts as a write if it comes in this way, or if its
        outcome is unknown (it might see much). Otherwise the writers of what it saw come in as
        well, and so on, until there are more than `most` operations or the time is up.
        """
        ops, kept, new = self._ops, np.zeros(len(self._ops), bool), chosen
        kept[chosen] = True
        blind = (ops.kind == CAS) & (ops.completed == NEVER) & relaxing
        while len(new):
            new = self._writers.of(ops.value[new[self._sees[new] & ~blind[new]]])
            new = new[~kept[new]]
            kept[new] = True
            if relaxing or self._left() <= 0 or (most and kept.sum() > most):
                break
        at = np.flatnonzero(kept)
        return Kept(at, blind[at] | (~np.isin(at, chosen) & (ops.kind[at] == CAS) & relaxing))

    # ---- what a set proves ----

    def _left(self):
        return self._deadline - time.monotonic()

    def _proves(self, kept):
        """True if this set is known to prove the violation; `_unsure` counts the unknown cases."""
        word = self._word(kept)
        if word == LINEARIZABLE or not fairness.fair(self._ops, self._writers, kept, self._left):
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
        return part.decide(Bounds(left, CONFIGURATIONS), self._library).word

    # ---- making it smaller ----

    def smallest(self, start):
        """Return (`Kept`, whether it is irreducible): the smallest result of several orders.

        A set without relaxed compare-and-sets is easier to read, so it wins unless it is much
        larger.
        """
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
        """Count compare-and-sets as writes where possible, so that more can be left out."""
        for number in np.flatnonzero((self._ops.kind[kept.at] == CAS) & ~kept.relaxed):
            if self._left() <= 0:
                break
            relaxed = kept.relaxed.copy()
            relaxed[number] = True
            if self._proves(Kept(kept.at, relaxed)):
                kept = Kept(kept.at, relaxed)
        return kept

    def _better(self, best, start, by, relaxing, given):
        if self._left() < 2 / 3 * given:
            return best
        other = self._reduce(start, by, relaxing)
        return other if other[1] and len(other[0]) < len(best[0]) else best

    def _reduce(self, kept, by, relaxing):
        """Leave out what can be left out, in the order of `by`.

        This tries halves, quarters, and at last single operations. Returns (`Kept`, whether
        certainly no single operation can be left out).
        """
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
        """Leave out `dropped`, then whatever sees a value that none of the rest writes.

        With `relaxing`, such a compare-and-set stays as a write.
        """
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
