"""Checks the five invariants of `model` in a recorded history of both doors.

    python -m experiments.multiprotocol.invariants HISTORY.jsonl --bound 60

A history is what the checker of linearizability reads as JSON lines (its `--help` describes them),
with three more members: `side` is the door, "file" or "s3"; `validator` is what a read learned to
recognise the content by, such as an ETag; `final` marks the reads at the end, made when every write
was over for longer than the bound. Values are written once.

Only what real time proves counts, so every violation is real: a write is *before* another if it
completed before the other was invoked.

I1  two reads through one door return different values of a name under one validator
I2  a read returns what a write through the other door had replaced for longer than the bound
I3  a read returns a value that was written to other names only
I4  a read returns a value that nobody wrote
I5  at the end no door returns a value of a name's last writes; or a compare-and-set succeeded
    although its expected value had been replaced by a write that was acknowledged

exit status: 0 all are kept, 1 one is violated, 2 bad input
"""

import argparse
import json
import sys
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from experiments.multiprotocol.model import INVARIANTS

Row = dict[str, Any]
NEVER = float("inf")
BOUND_S = 60.0
SIDES = ("file", "s3")


class BadHistory(Exception):
    """A line that is not an operation of a history."""


@dataclass
class Verdict:
    """How many reads or writes were checked, and the lines of those that violate the invariant."""

    checked: int = 0
    lines: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Write:
    """A write, delete, or successful compare-and-set; its effect came until `completed`."""

    value: Any
    side: str
    invoked: float
    completed: float


BEFORE_ALL = Write(None, "", -NEVER, -NEVER)  # each name first holds nothing


class _Writes:
    """The writes of one name through some doors; answers when a value was replaced."""

    def __init__(self, writes: Iterable[Write]):
        self._writes = sorted(writes, key=lambda write: write.invoked)
        self._invoked = [write.invoked for write in self._writes]
        ends = [write.completed for write in reversed(self._writes)]
        self._ends = list(accumulate(ends, min))[::-1]  # the first completion from here on

    def replaced(self, write: Write) -> float:
        """Return when a write that came certainly after this one was complete, or NEVER."""
        after = bisect_right(self._invoked, write.completed)
        return self._ends[after] if after < len(self._ends) else NEVER


class _Name:
    """All that was done to one name."""

    def __init__(self) -> None:
        self.writes: dict[Any, Write] = {}
        self.deletes: list[Write] = []
        self.reads: list[tuple[int, Row]] = []
        self.swaps: list[tuple[int, Row]] = []

    def of(self, value: Any) -> Write | None:
        """Return the write of a value; None if that is not certain."""
        if value is None:
            return None if self.deletes else BEFORE_ALL
        return self.writes.get(value)

    def all_by(self, *sides: str) -> _Writes:
        every = [*self.writes.values(), *self.deletes]
        return _Writes(write for write in every if write.side in sides)


def check(rows: Iterable[Row], bound_s: float = BOUND_S) -> dict[str, Verdict]:
    """Return {invariant: its verdict} for the operations of a history; they count from 1."""
    names = _by_name(enumerate(rows, 1))
    written = {value for name in names.values() for value in name.writes}
    verdicts = {invariant: Verdict() for invariant in INVARIANTS}
    for name in names.values():
        _validators(name, verdicts["I1"])
        _visibility(name, verdicts["I2"], 1e9 * bound_s)
        for line, row in name.reads:
            value = row.get("result")
            strange = value is not None and value not in name.writes
            for invariant, violated in (
                ("I3", strange and value in written),
                ("I4", strange and value not in written),
            ):
                verdicts[invariant].checked += 1
                verdicts[invariant].lines += [line] * violated
        _final(name, verdicts["I5"])
        _swapped(name, verdicts["I5"])
    return verdicts


def _by_name(numbered: Iterable[tuple[int, Row]]) -> dict[str, _Name]:
    names: dict[str, _Name] = defaultdict(_Name)
    for line, row in numbered:
        try:
            _note(names[row["key"]], line, row)
        except (KeyError, TypeError, AttributeError) as error:
            raise BadHistory(f"line {line}: not an operation with a side: {error!r}") from None
    return names


def _note(name: _Name, line: int, row: Row) -> None:
    op, side, answered = row["op"], row["side"], row["completed_ns"] is not None
    if side not in SIDES:
        raise BadHistory(f'line {line}: side "{side}" must be one of {", ".join(SIDES)}')
    completed = row["completed_ns"] if answered else NEVER
    for name_of, at in (("invoked_ns", row["invoked_ns"]), ("completed_ns", completed)):
        if not isinstance(at, int) and at != NEVER:
            raise BadHistory(f"line {line}: {name_of} must be a whole number of nanoseconds")
    if op == "read":
        hash(row.get("result"))  # values are compared, and must be plain
        if answered:
            name.reads.append((line, row))
        return
    if answered and row.get("result") in (False, "fail"):
        return  # it has changed nothing
    value = None if op == "delete" else row[{"write": "value", "cas": "new"}[op]]
    write = Write(value, side, row["invoked_ns"], completed)
    if op == "delete":
        name.deletes.append(write)
        return
    if value in name.writes:
        raise BadHistory(f"line {line}: {json.dumps(value)} was written before; write values once")
    name.writes[value] = write
    if op == "cas" and answered:
        hash(row["expected"])
        name.swaps.append((line, row))


def _validators(name: _Name, verdict: Verdict) -> None:
    first: dict[tuple[str, str], Any] = {}
    for line, row in name.reads:
        if not row.get("validator") or row.get("result") not in name.writes:
            continue
        verdict.checked += 1
        if first.setdefault((row["side"], row["validator"]), row["result"]) != row["result"]:
            verdict.lines.append(line)


def _visibility(name: _Name, verdict: Verdict, bound_ns: float) -> None:
    by_other = {"file": name.all_by("s3"), "s3": name.all_by("file")}
    for line, row in name.reads:
        write = name.of(row.get("result"))
        if write is None:
            continue
        verdict.checked += 1
        if by_other[row["side"]].replaced(write) + bound_ns < row["invoked_ns"]:
            verdict.lines.append(line)


def _final(name: _Name, verdict: Verdict) -> None:
    """Judge a name by its reads at the end: a door that is late loses nothing that another has."""
    final = [(line, name.of(row.get("result"))) for line, row in name.reads if row.get("final")]
    certain = [(line, write) for line, write in final if write is not None]
    if not certain:
        return
    verdict.checked += 1
    writes = name.all_by(*SIDES)
    if all(writes.replaced(write) < NEVER for _, write in certain):
        verdict.lines.append(certain[0][0])


def _swapped(name: _Name, verdict: Verdict) -> None:
    writes = name.all_by(*SIDES)
    for line, row in name.swaps:
        expected = name.of(row["expected"])
        if expected is not None:
            verdict.checked += 1
            verdict.lines += [line] * (writes.replaced(expected) < row["invoked_ns"])


def report(verdicts: dict[str, Verdict]) -> Iterator[str]:
    """Yield a line for each invariant."""
    for invariant, verdict in verdicts.items():
        if not verdict.checked:
            said = "not checked: the history has nothing to check it by"
        elif verdict.lines:
            said = (
                f"violated {len(verdict.lines)} times of {verdict.checked}, "
                f"first in line {min(verdict.lines)}"
            )
        else:
            said = f"kept, {verdict.checked} checked"
        yield f"{invariant}  {said}. {INVARIANTS[invariant]}"


def main(arguments: list[str] | None = None) -> int:
    """Check a file; return the exit status."""
    made = argparse.ArgumentParser(
        prog="python -m experiments.multiprotocol.invariants",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("history", metavar="HISTORY")
    made.add_argument("--bound", type=float, default=BOUND_S, metavar="S", help="for I2, in s")
    options = made.parse_args(arguments)
    try:
        with open(options.history, encoding="utf-8") as file:
            verdicts = check([json.loads(line) for line in file if line.strip()], options.bound)
    except (OSError, ValueError, BadHistory) as error:
        print(f"{options.history}: {error}", file=sys.stderr)
        return 2
    print(*report(verdicts), sep="\n")
    return int(any(verdict.lines for verdict in verdicts.values()))


if __name__ == "__main__":
    sys.exit(main())
