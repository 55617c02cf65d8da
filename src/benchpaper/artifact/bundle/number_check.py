"""Recomputes the numbers of an archive from its Parquet files, without running a notebook."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchpaper import results
from benchpaper.analysis.estimates import Results, load
from benchpaper.analysis.manifests import How, Number
from benchpaper.analysis.values import Estimate, with_unit
from benchpaper.artifact.bundle.archive import NotVerified
from benchpaper.paper import gather

if TYPE_CHECKING:
    import pandas as pd

FACTORS = {1.0, 60.0, 3600.0, 8.0, 1 / 8} | {1024.0**power for power in (-3, -2, -1, 1, 2, 3)}
PLAIN_UNITS = {"1", "count", ""}  # units of plain numbers, which may replace each other


def check_numbers(build: Path, folder: Path) -> str:
    """Recompute each number that is an estimate, and compare its text; return a line on success.

    `folder` holds the results. Raises `NotVerified` at the first difference.
    """
    recomputed = others = 0
    for manifest in gather.manifests(build).values():
        for file in manifest.files.values():
            if results.file_digest(folder / file.path) != file.sha256:
                raise NotVerified(
                    f"the exhibits of {manifest.notebook} were not made from the {file.path} inside"
                )
        measured = load(manifest.experiment, folder)
        for name, number in manifest.exhibits.items():
            if not isinstance(number, Number) or number.missing:
                continue
            if not number.how or not number.cells:
                others += 1
                continue
            _compare(name, number, _recomputed(name, number, number.how, measured))
            recomputed += 1
    return (
        f"{recomputed} numbers follow from the data inside; {others} more were computed by their "
        "notebooks alone (--figures runs these)"
    )


def _recomputed(name: str, number: Number, how: How, measured: Results) -> Estimate:
    [metric] = number.metrics
    known = measured.trial_df.drop_duplicates("cell").set_index("cell")
    if missing := [cell for cell in number.cells if cell not in known.index]:
        raise NotVerified(f'number "{name}": the data have no cell "{missing[0]}"')
    if how.paired:
        of, to = (_levels(measured, known, cell) for cell in number.cells)
        estimate = measured.ratio(metric, of=of, to=to, q=how.q)
    elif how.tries:
        [cell] = number.cells
        estimate = measured.pooled_share(metric, how.tries, **_levels(measured, known, cell))
    else:
        [cell] = number.cells
        estimate = measured.of_cell(metric, cell, how.q)
    _check_factor(name, how.factor, estimate.unit, number.unit)
    if how.factor == 1.0 or estimate.value is None:
        return estimate
    return estimate.scaled(how.factor, number.unit)


def _levels(measured: Results, known: "pd.DataFrame", cell: str) -> dict[str, Any]:
    row = known.loc[cell]
    return {factor: row[factor] for factor in measured.factors} | {"twin": bool(row["twin"])}


def _check_factor(name: str, factor: float, unit: str, shown_unit: str) -> None:
    """Check that a factor can turn `unit` into the unit that is shown.

    Between two units it must be a power of ten or a usual factor; for the same unit it must be 1.
    """
    power = math.log10(factor) if factor > 0 else math.nan
    if factor == 1.0 and {unit, shown_unit} <= PLAIN_UNITS:
        return
    is_usual = math.isfinite(power) and (factor in FACTORS or abs(power - round(power)) < 1e-9)
    if not is_usual or (unit == shown_unit) != (factor == 1.0):
        raise NotVerified(
            f'number "{name}": a factor of {factor:g} does not turn {unit} into {shown_unit}'
        )


def _compare(name: str, number: Number, estimate: Estimate) -> None:
    texts = estimate.value is not None and (
        with_unit(estimate.value, number.unit),
        estimate.interval_text().strip(),
        estimate.n,
    )
    if texts != (number.text, number.interval, number.n):
        shown = f"{number.text} {number.interval} (n = {number.n})"
        raise NotVerified(f'number "{name}" is {shown}, but the data inside give {estimate}')
