"""Kinds of anomaly, each a function that tries once. `KINDS` has them all.

A function acts on a fresh name through both sides. It returns whether the anomaly occurred: True, a
`severity.Seen` that knows more about it, or False. It returns None if a precondition did not hold
and the try cannot be judged. The docstring of a kind is its meaning, as the paper's table prints
it. Each module has the kinds against one invariant of `model.INVARIANTS`; `conformance` has those
that need no file side.

The views record everything that a try does, so the record of a try with the anomaly is its witness.
"""

from experiments.multiprotocol.anomalies import (  # noqa: F401  (they register)
    conformance,
    kept,
    names,
    states,
    validators,
    visible,
)
from experiments.multiprotocol.anomalies.registry import CONFORMANCE, INVARIANT, KINDS, LOSES

__all__ = ["CONFORMANCE", "INVARIANT", "KINDS", "LOSES"]
