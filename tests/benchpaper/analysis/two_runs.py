"""Two known runs to compare."""

import json

from benchpaper.analysis import compare

STEADY = [1.00, 1.02, 0.99, 1.01, 0.98, 1.005, 0.995, 1.015]
TWIN = [1.01, 1.00, 1.00, 0.99, 1.00, 0.995, 1.01, 1.00]


def times(factor, values=STEADY):
    return [factor * value for value in values]


HERE = {
    ("a", 1): times(10),
    ("a", 2): times(20),
    ("b", 1): times(40),
    ("b", 2): times(5),
    ("c", 1): "needs rdma",
    ("c", 2): times(3),
}
REFERENCE = {
    ("a", 1): times(10), ("a", 2): times(10), ("a", 4): times(30), ("b", 1): times(50),
    ("b", 2): times(6),
    ("c", 1): times(1), ("c", 2): [None] * 8, ("c", 4): times(70),
}  # fmt: skip


def compared(known, metric=None, **places):
    return compare.compare(
        known.project, "toy/known", "local", "quick", places.get("reference_site", "local"), metric
    )


def as_json(known, metric=None):
    """Return the comparison as `benchpaper compare --json` prints it."""
    return json.loads(json.dumps(compared(known, metric).to_json()))


def by_cell(comparison):
    return {row["cell"]: row for row in comparison["cells"]}
