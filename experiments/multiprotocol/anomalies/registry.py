"""Kinds of anomaly by name: the invariant that each violates, and which of them need both sides.

A kind's docstring is its meaning, as the paper's tables print it.
"""

from collections.abc import Callable

from experiments.multiprotocol.anomalies.severity import Seen
from experiments.multiprotocol.model import INVARIANTS

Kind = Callable[..., bool | Seen | None]
KINDS: dict[str, Kind] = {}
INVARIANT: dict[str, str] = {}  # of each kind, a key of `model.INVARIANTS`
LOSES: set[str] = set()  # kinds in which something acknowledged is lost
CONFORMANCE: set[str] = set()  # kinds that the S3 side shows by itself


def kind(invariant: str, *, loses: bool = False) -> Callable[[Kind], Kind]:
    """Register a kind of anomaly between both sides under its function's name.

    With `loses`, each occurrence loses content or metadata that a side had acknowledged.
    """
    if invariant not in INVARIANTS:
        raise ValueError(f"invariant {invariant!r} must be one of {', '.join(INVARIANTS)}")

    def register(function: Kind) -> Kind:
        name = function.__name__
        KINDS[name], INVARIANT[name] = function, invariant
        if loses:
            LOSES.add(name)
        return function

    return register


def conformance(invariant: str, *, loses: bool = False) -> Callable[[Kind], Kind]:
    """Register a kind that never involves the file side: a fault of the S3 server alone.

    `invariant` is the one that no pair with this server can keep.
    """
    register = kind(invariant, loses=loses)

    def also(function: Kind) -> Kind:
        CONFORMANCE.add(function.__name__)
        return register(function)

    return also
