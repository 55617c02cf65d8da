"""Addresses of observations within a trial: a cell together with a level of each inner factor.

Where trials observe a metric at each level of `within`, every level of a cell has an id of its own,
"way=pipe at second=3", which estimates take like the id of a cell.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Levels = Mapping[str, Any]


def products(within: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield every combination of the levels of the inner factors, as described, in their order."""
    factors = list(within)
    for levels in itertools.product(*(factor["levels"] for factor in factors)):
        yield {factor["name"]: level for factor, level in zip(factors, levels, strict=True)}


def row_id(cell: str, levels: Levels) -> str:
    """Return the id of a cell at some levels of the inner factors; without levels, the cell's."""
    at = " ".join(f"{name}={level}" for name, level in levels.items())
    return f"{cell} at {at}" if at else cell
