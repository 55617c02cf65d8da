"""How trials end: the words for it, and their counts."""

from collections import Counter
from collections.abc import Iterable

MEASURED, FAILED, NOT_TESTABLE = "measured", "failed", "not testable here"
IMPORTED = "imported"  # the state of a trial that others ran; the scale of its results too
WITH_VALUES = (MEASURED, IMPORTED)
# How the reason of a failed trial begins that did not run, because its cell failed identically
# in every attempt before.
NOT_TRIED = "not tried again"


def shown_state(state: str, reason: str) -> str:
    """Return a trial's state as readers see it: a trial that did not run is not a failed one."""
    return NOT_TRIED if state == FAILED and reason.startswith(NOT_TRIED) else state


def count_states(shown: Iterable[str]) -> dict[str, int]:
    """Return {state: trials} of shown states, in one order whatever the order of the trials."""
    counts = Counter(shown)
    order = (MEASURED, IMPORTED, FAILED, NOT_TRIED, NOT_TESTABLE)
    return {state: counts[state] for state in order if counts[state]}
