"""Operations on one key, as columns, and the decision whether they are linearizable."""

from dataclasses import dataclass

import numpy as np

from experiments.multiprotocol.checker import native
from experiments.multiprotocol.checker.history import CAS, FAILED_CAS, READ, WRITE
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


@dataclass
class Register:
    """Operations on one key that first holds null.

    `place` is the position of each in its history.
    """

    kind: np.ndarray
    value: np.ndarray
    set_to: np.ndarray
    invoked: np.ndarray
    completed: np.ndarray
    place: np.ndarray

    def __len__(self):
        return len(self.kind)

    def take(self, chosen):
        """Return the operations at these positions (or where a mask is true)."""
        return Register(*(getattr(self, name)[chosen] for name in (*COLUMNS, "place")))

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

    def decide(self, bounds=DEFAULT_BOUNDS, library=None):
        """Return the verdict and, for a violation, the positions of operations that matter.

        The verdict is LINEARIZABLE, VIOLATION, or UNKNOWN. The violation is certain at the
        completion of the first of these operations.
        """
        library = native.library() if library is None else library
        columns = {name: getattr(self, name) for name in COLUMNS}
        if library:
            word, mattering = native.search(
                library, columns, 0, bounds.seconds, bounds.configurations, BEAM
            )
            return WORDS[word], mattering if WORDS[word] == VIOLATION else []
        rows = zip(*(column.tolist() for column in columns.values()), strict=True)
        word, failed = search(
            [Operation(*entry) for entry in rows],
            0,
            bounds,
        )
        return word, [failed] if word == VIOLATION else []


def of(history, places):
    """Return the `Register` of the operations at these places, which must all be on one key."""
    places = np.asarray(places)
    columns = {name: getattr(history, name)[places] for name in COLUMNS}
    return Register(**columns, place=places)
