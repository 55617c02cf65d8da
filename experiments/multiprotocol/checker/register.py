"""Operations on one key, as columns, and the decision whether they are linearizable."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from experiments.multiprotocol.checker import native
from experiments.multiprotocol.checker.history import CAS, FAILED_CAS, NEVER, READ, WRITE
from experiments.multiprotocol.checker.search import (
    DEFAULT_BOUNDS,
    LINEARIZABLE,
    UNKNOWN,
    VIOLATION,
    Operation,
    search,
)

WORDS = (LINEARIZABLE, VIOLATION, UNKNOWN)
BEAM = 4  # configurations kept in the first, incomplete pass
COLUMNS = ("kind", "value", "set_to", "invoked", "completed")


class Decision(NamedTuple):
    """Word LINEARIZABLE, VIOLATION, or UNKNOWN; for a violation, positions of what matters.

    If `certain`, the violation is certain at the completion of the first of these operations.
    """

    word: str
    mattering: list
    certain: bool = False


@dataclass
class Register:
    """Operations on one key that first holds the value `initial` (a number).

    `place` is the position of each in its history.
    """

    kind: np.ndarray
    value: np.ndarray
    set_to: np.ndarray
    invoked: np.ndarray
    completed: np.ndarray
    place: np.ndarray
    initial: int = 0

    def __len__(self):
        return len(self.kind)

    def take(self, chosen):
        """Return the operations at these positions (or where a mask is true)."""
        columns = {name: getattr(self, name)[chosen] for name in (*COLUMNS, "place")}
        return Register(**columns, initial=self.initial)

    @property
    def writes(self):
        return (self.kind == WRITE) | (self.kind == CAS)

    @property
    def sees(self):
        """Mask of the operations that must see exactly the value that they name."""
        return (self.kind == READ) | (self.kind == CAS)

    @property
    def fails(self):
        return self.kind == FAILED_CAS

    @property
    def written(self):
        """Value that each operation writes, if it writes."""
        return np.where(self.kind == CAS, self.set_to, self.value)

    def until(self, end):
        """Return the register as it is known at this time: what completes later is unknown yet."""
        part = self.take((self.invoked <= end) & ((self.completed <= end) | self.writes))
        part.completed = np.where(part.completed <= end, part.completed, NEVER)
        return part

    def possible(self):
        """Return the register without pending operations that cannot have taken effect.

        A compare-and-set of unknown outcome did not happen if nothing that can have happened wrote
        the value that it expects.
        """
        pending = (self.kind == CAS) & (self.completed == NEVER)
        if not pending.any():
            return self
        edges: dict[int, set[int]] = {}
        for expected, new in set(
            zip(self.value[pending].tolist(), self.set_to[pending].tolist(), strict=True)
        ):
            edges.setdefault(expected, set()).add(new)
        reached = {self.initial, *self.written[self.writes & ~pending].tolist()}
        waiting = list(reached)
        while waiting:
            new = edges.pop(waiting.pop(), set()) - reached
            reached |= new
            waiting += new
        return self.take(~pending | np.isin(self.value, list(reached)))

    def decide(self, bounds=DEFAULT_BOUNDS, library=None):
        """Return the `Decision`."""
        library = native.library() if library is None else library
        if library:
            columns = {name: np.ascontiguousarray(getattr(self, name)) for name in COLUMNS}
            word, proof, certain = native.search(
                library, columns, self.initial, bounds.seconds, bounds.configurations, BEAM
            )
            return Decision(WORDS[word], proof[proof >= 0].tolist(), bool(certain))
        rows = zip(*(getattr(self, name).tolist() for name in COLUMNS), strict=True)
        word, failed = search([Operation(*entry) for entry in rows], self.initial, bounds)
        return Decision(word, [failed], True) if word == VIOLATION else Decision(word, [])


def of(history, places):
    """Return the `Register` of the operations at these places, which must all be on one key."""
    places = np.asarray(places)
    columns = {name: getattr(history, name)[places] for name in COLUMNS}
    return Register(**columns, place=places, initial=history.initial)
