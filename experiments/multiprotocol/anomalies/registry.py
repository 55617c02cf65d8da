"""Kinds of anomaly by name, and which of them need both sides.

A kind's docstring is its meaning, as the paper's tables print it.
"""

from collections.abc import Callable

Kind = Callable[..., bool | None]
KINDS: dict[str, Kind] = {}
CONFORMANCE: set[str] = set()  # kinds that the S3 side shows by itself


def kind(function: Kind) -> Kind:
    """Register a kind of anomaly between both sides under its function's name."""
    KINDS[function.__name__] = function
    return function


def conformance(function: Kind) -> Kind:
    """Register a kind that never involves the file side: a fault of the S3 server alone."""
    CONFORMANCE.add(function.__name__)
    return kind(function)
