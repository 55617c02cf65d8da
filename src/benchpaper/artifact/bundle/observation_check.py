"""Checks the observations in an archive: each belongs to a measured trial, and has its form."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from benchpaper import results
from benchpaper.analysis.estimates import Results

if TYPE_CHECKING:
    import pandas as pd


def problems(measured: Results) -> Iterator[str]:
    """Yield observations without their measured trial, trials without theirs, and bad values."""
    names = ["block", "position", "cell", "twin", *measured.block_columns, *measured.factors]
    trials = measured.trial_df[measured.trial_df["state"].isin(results.WITH_VALUES)]
    observed = measured.observation_df
    left = set(trials[names].itertuples(index=False, name=None))
    right = set(observed[names].itertuples(index=False, name=None))
    if unlike := sorted(left ^ right, key=str):
        block, _, cell, *_ = unlike[0]
        yield f'the cell "{cell}" in block {block} is measured in one of its tables only'
    numbers = observed.groupby(["block", "cell"])["row"]
    if not (numbers.apply(lambda rows: sorted(rows) == list(range(len(rows))))).all():
        yield "the observations of a trial are not numbered from 0"
    yield from _rows_within(measured)
    for metric in measured.described["metrics"]:
        yield from _values(metric, observed[metric["name"]])


def _rows_within(measured: Results) -> Iterator[str]:
    """Yield observations of a trial that the levels within it do not tell apart."""
    inner = measured.described.get("within", [])
    kinds = {factor["name"]: type(factor["levels"][0]) for factor in inner}
    if not kinds:
        return
    columns = [*kinds, *(metric["name"] for metric in measured.described["metrics"])]
    for (block, cell), observed in measured.observation_df.groupby(["block", "cell"]):
        rows = results.Rows(measured.described)
        try:
            for values in observed[columns].itertuples(index=False, name=None):
                row = {n: v for n, v in zip(columns, values, strict=True) if v == v}  # not NaN
                # A column of whole numbers with gaps comes as one of fractions.
                rows.add(
                    {n: kinds[n](v) if n in kinds and v is not None else v for n, v in row.items()}
                )
        except results.InvalidObservation as error:
            yield f'the cell "{cell}" in block {block}: {error}'


def _values(metric: Mapping[str, Any], column: "pd.Series[Any]") -> Iterator[str]:
    """Yield what the schema forbids in the values of a metric."""
    name, minimum = metric["name"], metric["minimum"]
    present = column.dropna()
    if len(present) < len(column) and not metric["optional"]:
        yield f'the metric "{name}" has no value in an observation, and is not optional'
    if metric["kept"] == "all samples":
        for samples in present:
            if problem := _samples(samples["values"], samples["counts"]):
                yield f'the metric "{name}" has a distribution {problem}'
        present = present.map(lambda samples: min(samples["values"], default=0.0))
    if not (present.abs() < float("inf")).all():
        yield f'the metric "{name}" has a value that is no finite number'
    if minimum is not None and (present < minimum).any():
        yield f'the metric "{name}" has a value below its minimum of {minimum:g}'


def _samples(values: Any, counts: Any) -> str:
    """Return what is wrong with a distribution; "" if nothing is."""
    import numpy as np

    if not len(values) or len(values) != len(counts):
        return "without samples, or with a count missing"
    if not (np.isfinite(values).all() and (np.diff(values) > 0).all()):
        return "whose values are not finite and ascending"
    return "" if (np.asarray(counts) > 0).all() else "with a count below 1"
