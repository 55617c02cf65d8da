"""Whether a part of a register's history proves something about the whole.

It does if what is left out could not have repaired it (the part is *fair*):

- A read, or a compare-and-set that failed, can always be left out.
- The condition of a compare-and-set can be dropped (*relaxed*: it counts as a write).
- A write can be left out if no operation that stays can have seen it: each such operation completed
  before the write was invoked, or was invoked after a later write that stays. One write of each
  value that is seen stays as well; otherwise the part would not show the reason.
- An operation of unknown outcome that cannot have taken effect is left out beforehand.

So every fair part is a violation only if the whole history is.
"""

import itertools

import numpy as np

from experiments.multiprotocol.checker.history import NEVER


class Writers:
    """Positions of the operations of a register that write, by value."""

    def __init__(self, register):
        writes, written = np.flatnonzero(register.writes), register.written
        self.all = writes[np.argsort(written[writes], kind="stable")]
        self.values = written[self.all]  # sorted

    def of(self, values):
        """Return the positions of the operations that write one of these values."""
        values = np.unique(values)
        begin, end = (
            np.searchsorted(self.values, values),
            np.searchsorted(self.values, values, side="right"),
        )
        return np.concatenate(
            [self.all[b:e] for b, e in zip(begin, end, strict=True) if b < e] or [self.all[:0]]
        )


def fair(register, writers, kept, left):
    """True if nothing that is kept can have seen a write that is left out.

    When no time is `left()`, nothing more is known to be fair.
    """
    at, written = kept.at, register.written
    hiding = _hiding(register, at)
    seers = at[register.sees[at] & ~kept.relaxed]
    left_out = np.setdiff1d(writers.of(register.value[seers]), at)
    written_by, seen_by = _by_value(written, left_out), _by_value(register.value, seers)
    failing = at[register.fails[at]]
    others = np.setdiff1d(writers.all, at) if len(failing) else failing
    pairs = itertools.chain(
        ((places, seen_by[value]) for value, places in written_by.items()),
        (
            (others[written[others] != value], fails)
            for value, fails in _by_value(register.value, failing).items()
        ),
    )
    return not any(left() <= 0 or _seen(register, *pair, hiding) for pair in pairs)


def _hiding(register, kept):
    """Return when the kept writes were invoked, and the earliest end from each of them on."""
    writes = kept[register.writes[kept] & (register.completed[kept] != NEVER)]
    writes = writes[np.argsort(register.invoked[writes])]
    ends = np.append(np.minimum.accumulate(register.completed[writes][::-1])[::-1], NEVER)
    return register.invoked[writes], ends


def _seen(register, left_out, seers, hiding):
    """True if a write in `left_out` can be the last one before one of the `seers`.

    Of the other writes, only those count that `hiding` describes.
    """
    invoked, completed, (begins, ends) = register.invoked, register.completed, hiding
    # A left-out write is hidden from the earliest completion of a kept write invoked after it.
    hidden = ends[np.searchsorted(begins, completed[left_out], side="right")]
    order = np.argsort(invoked[left_out])
    latest = np.append(-NEVER, np.maximum.accumulate(hidden[order]))
    begun = np.searchsorted(invoked[left_out][order], completed[seers], side="right")
    return bool((latest[begun] >= invoked[seers]).any())


def _by_value(values, places):
    """Return {value: those of the places that have it}."""
    if not len(places):
        return {}
    places = places[np.argsort(values[places], kind="stable")]
    distinct, begins = np.unique(values[places], return_index=True)
    return dict(zip(distinct.tolist(), np.split(places, begins[1:]), strict=True))
