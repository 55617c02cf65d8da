"""Decision whether a register's history is linearizable, by a search with memory.

The search follows Wing and Gong (J. Parallel Distrib. Comput. 17, 1993) and Lowe (Concurrency
Computat. 29, 2017). It goes through the history in order of time, keeps every configuration that
the register could be in, and linearizes an operation only when it must: at its completion. A
configuration is the value held, the operations that still have to be linearized (`owed`), and those
that may still change the value (`usable`). Four observations keep the configurations few:

- An operation that changes nothing (a read of the held value, a compare-and-set that fails there)
  is linearized at once.
- When a write is linearized, every other open write may have happened right before it: none of them
  is owed any longer, and each stays usable until it completes.
- Values that no operation will see any more count as one value.
- A configuration is dropped if another one with the same value owes no more and can use no less.

A first pass keeps only a few configurations at a time. If it reaches the end, the history is
linearizable; otherwise the complete pass decides. The problem is NP-complete in general (Gibbons
and Korach), so the search is bounded, and UNKNOWN is an answer.
"""

import time
from collections import Counter
from dataclasses import dataclass

from experiments.multiprotocol.checker.history import CAS, FAILED_CAS, NEVER, READ, WRITE

LINEARIZABLE, VIOLATION, UNKNOWN = "linearizable", "not linearizable", "unknown"
COMPARED = 64  # configurations that a new one is compared with
BEAM = 64  # configurations kept in the first, incomplete pass
UNWATCHED = 1000  # steps of work, some milliseconds at most, between two looks at the clock
UNSEEN = object()  # stands for any value that no operation will see any more


@dataclass(frozen=True)
class Operation:
    """One operation on one register.

    `value` was read, written, or expected; `set_to` is what a compare-and-set writes.
    """

    kind: int
    value: object
    set_to: object
    invoked: int
    completed: int

    @property
    def written(self):
        """Value that it writes, if it writes (kind WRITE or CAS)."""
        return self.set_to if self.kind == CAS else self.value


@dataclass(frozen=True)
class Bounds:
    """Limits of a search: seconds, and configurations kept at one time."""

    seconds: float = 20.0
    configurations: int = 2_000_000


DEFAULT_BOUNDS = Bounds()


class OutOfBounds(Exception):
    """The search would exceed its bounds of time or memory."""


def search(operations, initial, bounds=DEFAULT_BOUNDS):
    """Return (verdict, index of the operation at whose completion no configuration is left).

    The verdict is LINEARIZABLE, VIOLATION, or UNKNOWN; the index is None unless it is VIOLATION.
    """
    deadline = time.monotonic() + bounds.seconds
    try:
        quick = _Search(operations, initial, deadline, bounds.configurations, beam=BEAM)
        failed = quick.run()
        if failed is not None and quick.cut:
            failed = _Search(operations, initial, deadline, bounds.configurations).run()
    except OutOfBounds:
        return UNKNOWN, None
    return (LINEARIZABLE, None) if failed is None else (VIOLATION, failed)


class _Search:
    def __init__(self, operations, initial, deadline, most, beam=None):
        self._beam, self.cut = beam, False
        self._ops, self._deadline, self._most = operations, deadline, most
        self._observers = Counter(op.value for op in operations if op.kind != WRITE)
        self._failing_left = sum(op.kind == FAILED_CAS for op in operations)
        self._configurations = {(self._seen(initial), 0, 0)}
        self._bit, self._free, self._op_of = {}, [], {}
        self._reads, self._failing = {}, {}  # masks of open operations, by value
        self._all_failing = self._writes = 0
        self._work = 0

    def _seen(self, value):
        return value if self._observers[value] else UNSEEN

    def run(self):
        """Return the index of the operation that cannot be linearized, or None."""
        events = []
        for index, op in enumerate(self._ops):
            events.append((op.invoked, 0, index))
            if op.completed != NEVER:
                events.append((op.completed, 1, index))
        for _, completes, index in sorted(events):
            if not completes:
                self._open(index)
                continue
            self._complete(index)
            self._watch()
            if not self._configurations:
                return index
        return None

    def _open(self, index):
        op = self._ops[index]
        bit = self._free.pop() if self._free else 1 << len(self._bit)
        while bit in self._op_of:  # operations that never complete keep their bits
            bit <<= 1
        self._bit[index], self._op_of[bit] = bit, op
        owed = bit if op.completed != NEVER else 0
        usable = bit if op.kind in (WRITE, CAS) else 0
        if op.kind == READ:
            self._reads[op.value] = self._reads.get(op.value, 0) | bit
        elif op.kind == FAILED_CAS:
            self._failing[op.value] = self._failing.get(op.value, 0) | bit
            self._all_failing |= bit
        elif op.kind == WRITE:
            self._writes |= bit
        opened = set()
        for value, was_owed, was_usable in self._configurations:
            done = (op.kind == READ and value == op.value) or (
                op.kind == FAILED_CAS and value != op.value
            )
            opened.add((value, was_owed if done else was_owed | owed, was_usable | usable))
            self._watch()
        self._configurations = opened

    def _complete(self, index):
        op, bit = self._ops[index], self._bit.pop(index)
        seen = set(self._configurations)
        # A configuration that can use the operation, but does not owe it, must use it now or never.
        last_chance = op.kind in (WRITE, CAS) and (
            self._observers[op.written] or self._failing_left
        )
        todo = [c for c in seen if c[1] & bit or (last_chance and c[2] & bit)]
        while todo:
            for following in self._following(todo.pop(), bit):
                if following not in seen:
                    seen.add(following)
                    if following[1] & bit or (last_chance and following[2] & bit):
                        todo.append(following)
            if len(seen) > self._most:
                raise OutOfBounds
            if self._beam and len(seen) > 20 * self._beam:
                self.cut = True
                break
        self._close(op, bit)
        done = {
            (self._seen(value), owed, usable & ~bit)
            for value, owed, usable in seen
            if not owed & bit
        }
        self._configurations = self._undominated(done)
        if self._beam and len(self._configurations) > self._beam:
            self.cut = True
            self._configurations = set(sorted(self._configurations, key=_burden)[: self._beam])

    def _close(self, op, bit):
        del self._op_of[bit]
        self._free.append(bit)
        self._observers[op.value] -= op.kind != WRITE
        self._failing_left -= op.kind == FAILED_CAS
        if op.kind == READ:
            self._reads[op.value] &= ~bit
        elif op.kind == FAILED_CAS:
            self._failing[op.value] &= ~bit
            self._all_failing &= ~bit
        elif op.kind == WRITE:
            self._writes &= ~bit

    def _following(self, configuration, goal):
        """Yield configurations, one change of the value away, that may help to linearize `goal`."""
        value, owed, usable = configuration
        tried: dict[tuple, tuple] = {}
        left = usable
        while left:
            bit = left & -left
            left ^= bit
            op = self._op_of[bit]
            self._watch()
            same = (op.kind, op.value, op.set_to)
            # Of equal operations, only the first to complete matters.
            if same not in tried or op.completed < tried[same][0]:
                tried[same] = (op.completed, bit, op)
        expected = {op.value for _, _, op in tried.values() if op.kind == CAS}
        for _, bit, op in tried.values():
            if op.kind == CAS:
                if op.value == value:
                    yield self._holding(op.set_to, owed & ~bit, usable & ~bit)
            elif (
                bit == goal
                or self._worthwhile(op.value, value, owed, expected)
                or self._same(op, goal)
            ):
                yield self._holding(op.value, owed & ~bit & ~self._writes, usable & ~bit)

    def _same(self, op, goal):
        wanted = self._op_of[goal]
        return wanted.kind == WRITE and wanted.value == op.value

    def _worthwhile(self, written, value, owed, expected):
        """True if holding `written` for a moment can help; other writes can go last."""
        return (
            written in expected
            or owed & self._reads.get(written, 0)
            or (written != value and owed & self._all_failing)
        )

    def _holding(self, value, owed, usable):
        owed &= ~self._reads.get(value, 0)
        owed &= ~(self._all_failing & ~self._failing.get(value, 0))
        return self._seen(value), owed, usable

    def _undominated(self, configurations):
        """Return the configurations without those that another one makes superfluous."""
        if len(configurations) < 2:
            return configurations
        kept: dict = {}
        for value, owed, usable in sorted(configurations, key=_burden):
            self._watch(COMPARED)
            others = kept.setdefault(value, [])
            if not any(o & owed == o and u & usable == usable for o, u in others[:COMPARED]):
                others.append((owed, usable))
        return {(value, *other) for value, others in kept.items() for other in others}

    def _watch(self, work=1):
        """Count the work, in numbers of any size that are handled, and look at the clock."""
        # A set of operations is one number, with a bit for each that has ever been open at a time.
        self._work += work * (1 + len(self._bit) // 4096)
        if self._work >= UNWATCHED:
            self._work = 0
            if time.monotonic() > self._deadline:
                raise OutOfBounds


def _burden(configuration):
    """Sort key: the less a configuration owes and the more it can use, the better."""
    return configuration[1].bit_count() - configuration[2].bit_count()
