"""Finds a small set of operations that proves a violation.

Leaving out a read is always fair. Leaving out a write is fair only when no operation that stays can have seen it: else
the smaller history would be wrong for want of that write, and prove nothing about the whole. So every subset made here
is wrong only if the whole history is (`fair`).
"""

import time
from collections import defaultdict
from dataclasses import dataclass, replace

from experiments.multiprotocol.checker.history import CAS, FAILED_CAS, NEVER, READ, WRITE
from experiments.multiprotocol.checker.search import VIOLATION, Bounds, search

LATER = 2  # writes after the violation that are shown with it


@dataclass
class Witness:
    """`places` are operations of the history, by time, which alone are not linearizable. `irreducible`: no one of them
    can fairly be left out. Empty when none was found in time."""

    places: list
    irreducible: bool


def find(operations, proof, seconds):
    """Return the `Witness` of a violation in `operations` (of one key); `proof` names places that matter, if known."""
    deadline = time.monotonic() + seconds
    start = _start(operations, proof, deadline)
    if not start:
        return Witness([], False)
    kept, irreducible = _reduce(operations, start, deadline)
    shown = _with_writes(operations, kept)
    if len(kept) < len(shown) <= len(kept) + LATER:  # what was read before it was written is best seen with its write
        kept = shown
    return Witness([op.place for op in sorted(kept, key=lambda op: (op.invoked, op.completed))], irreducible)


def _start(operations, proof, deadline):
    mattering = set(proof)
    named = [op for op in operations if op.place in mattering]
    if named:
        candidate = _with_writes(operations, named)
        if fair(operations, candidate) and _violated(candidate, deadline):
            return candidate
    word, failed = search(operations, 0, Bounds(max(0.1, deadline - time.monotonic())))
    if word != VIOLATION:
        return None
    return _near(_until(operations, operations[failed].completed), deadline)


def _until(operations, end):
    """Return the operations as they look at the time `end`: what had not completed is open, and what was read then
    constrains nothing."""
    begun = [op for op in operations if op.invoked <= end]
    return [
        op if op.completed <= end else replace(op, completed=NEVER)
        for op in begun if op.completed <= end or op.kind in (WRITE, CAS)
    ]  # fmt: skip


def _near(operations, deadline):
    """Return the last few operations if they are wrong by themselves, else twice as many, and so on."""
    last = max(op.invoked for op in operations)
    by_end = sorted(operations, key=lambda op: -min(op.completed, last))
    count = 8
    while count < len(by_end) and time.monotonic() < deadline:
        candidate = _with_writes(operations, by_end[:count])
        if fair(operations, candidate) and _violated(candidate, deadline):
            return candidate
        count *= 2
    return operations


def _with_writes(operations, chosen):
    """Return `chosen` with every operation that wrote a value which one of them saw or expected, and so on."""
    writers = defaultdict(list)
    for op in operations:
        if op.kind in (WRITE, CAS):
            writers[op.written].append(op)
    kept, todo = {}, list(chosen)
    while todo:
        op = todo.pop()
        if op.place in kept:
            continue
        kept[op.place] = op
        if op.kind in (READ, CAS):
            todo += writers[op.value]
    return list(kept.values())


def fair(operations, kept):
    """Whether each write that is not kept can be left out."""
    places = {op.place for op in kept}
    return all(_omissible(op, kept) for op in operations if op.place not in places)


def _omissible(left_out, kept):
    if left_out.kind not in (WRITE, CAS):
        return True
    written = {op.written for op in kept if op.kind in (WRITE, CAS)}
    ends = min((op.completed for op in kept if op.kind in (WRITE, CAS) and op.invoked > left_out.completed), default=NEVER)
    for op in kept:
        same = op.kind in (READ, CAS) and op.value == left_out.written
        if same and op.value not in written:
            return False  # what an operation saw stays with it, else the reason could not be read from what is kept
        if not same and not (op.kind == FAILED_CAS and op.value != left_out.written):
            continue
        if op.completed >= left_out.invoked and not ends < op.invoked:
            return False
    return True


def _violated(operations, deadline):
    left = deadline - time.monotonic()
    return left > 0 and search(operations, 0, Bounds(left, 20_000))[0] == VIOLATION


def _reduce(operations, kept, deadline):
    """Leave out what can be left out: halves, quarters, and at last single operations. Returns (kept, irreducible)."""
    kept = sorted(kept, key=lambda op: op.invoked)
    writes = [op for op in operations if op.kind in (WRITE, CAS)]
    size = max(1, len(kept) // 2)
    while True:
        changed, at = False, 0
        while at < len(kept):
            if time.monotonic() > deadline:
                return kept, False
            less = kept[:at] + kept[at + size :]
            if _violated(less, deadline) and fair(writes, less):
                kept, changed = less, True
            else:
                at += size
        if size == 1 and not changed:
            return kept, True
        size = size if changed and size == 1 else max(1, size // 2)
