"""Figures, tables, and numbers of the paper, each saved with its trail.

A notebook makes one `Exhibits` of its results and saves everything through it. Without a folder it
only shows figures and prints numbers and tables. With a folder it also saves each exhibit there,
and enters it in the manifest exhibits.json with its notebook, files (with digests), and cells.
"""

import json
import math
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from benchpaper.analysis.latex_tables import TEX_SPECIAL as TEX_SPECIAL
from benchpaper.analysis.latex_tables import booktabs
from benchpaper.analysis.latex_tables import cell_text as cell_text
from benchpaper.analysis.latex_tables import tex as tex
from benchpaper.analysis.manifests import (
    MANIFEST,
    Exhibit,
    FileExhibit,
    Manifest,
    Number,
    ResultsFile,
    StoredResults,
    TableNumber,
)
from benchpaper.analysis.recomputing import recipe
from benchpaper.analysis.values import Estimate, with_unit
from benchpaper.core.atomic_write import atomic_write, replacing
from benchpaper.core.errors import UserError
from benchpaper.core.project import slug

if TYPE_CHECKING:  # these import pandas and matplotlib, and commands import this module
    import pandas as pd
    from matplotlib.figure import Figure

    from benchpaper.analysis.estimates import Results, Summary
    from benchpaper.analysis.sites import Sites

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
NOTHING_ASKED = "nothing was asked of the results"
METADATA: dict[str, dict[str, None]] = {  # without the date and program that differ between runs
    ".pdf": {"CreationDate": None, "Producer": None},
    ".png": {"Software": None},
}


class ExhibitError(UserError):
    """An exhibit cannot be saved; the text says why."""


class Exhibits:
    """Saves the exhibits of one notebook in `folder`; None only shows them.

    Its methods raise `ExhibitError` for a name that TeX cannot hold or that is saved twice.
    """

    def __init__(
        self, results: "Results | Sites", folder: str | os.PathLike[str] | None = None
    ) -> None:
        self._results, self._others = results.own, results.others
        self._folder = Path(folder) if folder else None
        self._entries: dict[str, Exhibit] = {}
        if self._folder:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._save_manifest(self._folder)

    def number(
        self,
        name: str,
        estimate: Estimate | Mapping[str, Estimate] | float,
        unit: str | None = None,
    ) -> None:
        """Save an `Estimate`, or a plain number with its `unit`, and print it.

        The unit is "count" for an integer, and "1" for a pure number. {site: estimate}, which
        `Sites` returns, saves the run's own under `name`, and each under SITE/`name`.
        """
        if isinstance(estimate, Mapping):
            self.number(name, estimate[self._results.site])
            for site, its_own in estimate.items():
                self._number(f"{site}/{name}", its_own)
            return
        if not isinstance(estimate, Estimate):
            if unit is None:
                raise ExhibitError(
                    f'number "{name}": a plain number needs a unit (unit="1" for a pure one)'
                )
            if not math.isfinite(estimate):
                raise ExhibitError(f'number "{name}": {estimate} is not a finite number')
            estimate = Estimate(float(estimate), None, None, self._results.blocks, unit, "", ())
        self._check(name)
        self._number(name, estimate)

    def _number(self, name: str, estimate: Estimate) -> None:
        self._enter(name, number_of(estimate), [estimate])
        print(f"{name}: {estimate}")

    def table(
        self, name: str, frame: "pd.DataFrame", estimates: "Iterable[Estimate | Summary]"
    ) -> None:
        """Save a data frame of texts and `Estimate`s as a LaTeX table, and print it.

        `estimates` are the sources of the table. If none of them was measured, the paper shows
        that instead.
        """
        self._check(name)
        made_from = _flat(estimates)
        exhibit = FileExhibit(
            kind="table",
            missing=_why_missing(made_from),
            file=f"{name}.tex",
            numbers=_numbers_in(frame),
        )
        shown = frame.map(cell_text)
        if self._folder and not exhibit.missing:
            atomic_write(self._folder / exhibit.file, booktabs(shown))
        self._enter(name, exhibit, made_from)
        print(f"table {name}: {exhibit.missing}".rstrip(": "))
        if not exhibit.missing:
            import pandas as pd

            with pd.option_context(
                "display.width", 200, "display.max_columns", 20, "display.max_colwidth", 60
            ):
                print(shown.to_string(index=False))

    def figure(self, name: str, draw: "Callable[..., Figure]", *summaries: "Summary") -> None:
        """Save the figure that `draw(*frames)` returns, as PDF and PNG, and show it.

        `frames` are the measured rows of each summary. If no cell was measured, `draw` is not
        called, and the paper says why.
        """
        made_from = _flat(summaries)
        exhibit = FileExhibit(kind="figure", missing=_why_missing(made_from), file=f"{name}.pdf")
        self._check(name)
        measured = sum(e.value is not None for e in made_from)
        shown = f"{measured} of {len(made_from)} values measured"
        print(f"figure {name}: {exhibit.missing or shown}")
        if not exhibit.missing:
            self._save_figure(name, draw(*(summary.measured for summary in summaries)))
        self._enter(name, exhibit, made_from)

    def _save_figure(self, name: str, figure: "Figure") -> None:
        import matplotlib.pyplot as plt
        from IPython.display import display

        if self._folder:
            for ending, metadata in METADATA.items():
                with replacing(self._folder / f"{name}{ending}") as part:
                    figure.savefig(part, format=ending[1:], dpi=200, metadata=metadata)
        display(figure)  # type: ignore[no-untyped-call]  # IPython has no type hints
        plt.close(figure)

    def _enter(self, name: str, exhibit: Exhibit, made_from: list[Estimate]) -> None:
        """Enter an exhibit in the manifest, with the trail of the estimates it was made from."""
        cells = _cells_of(self._results, [each for each in made_from if not each.site])
        elsewhere = {
            site: _cells_of(results, here)
            for site, results in self._others.items()
            if (here := [each for each in made_from if each.site == site])
        }
        metrics = dict.fromkeys(estimate.metric for estimate in made_from if estimate.metric)
        of_sites = {site: (self._others[site], cells) for site, cells in elsewhere.items()}
        warnings = warnings_of({"": (self._results, cells), **of_sites}) if self._folder else ()
        self._entries[name] = replace(
            exhibit,
            metrics=tuple(metrics),
            cells=cells,
            warnings=tuple(warnings),
            elsewhere=elsewhere,
        )
        if self._folder:
            self._save_manifest(self._folder)

    def _check(self, name: str) -> None:
        if not NAME.fullmatch(name):
            raise ExhibitError(
                f'exhibit name "{name}" must be lower-case words, digits and single hyphens '
                "(latency-4k): it is typeset as \\result{name}, "
                "and TeX cannot hold other characters there"
            )
        if name in self._entries:
            raise ExhibitError(
                f'exhibit "{name}" is saved twice in this notebook; give each its own name'
            )

    def _save_manifest(self, folder: Path) -> None:
        manifest = manifest_of(self._results, self._entries, self._others)
        atomic_write(folder / MANIFEST, json.dumps(manifest.to_json(), indent=1))


def _cells_of(results: "Results", made_from: Iterable[Estimate]) -> tuple[str, ...]:
    """Return the cells of estimates, once each."""
    rows = (row for estimate in made_from for row in estimate.cells)
    return tuple(dict.fromkeys(map(results.cell_of, rows)))


def warnings_of(by_site: "Mapping[str, tuple[Results, Sequence[str]]]") -> list[str]:
    """Return the warnings about the trials of cells, {site: (results, cells)}.

    They name the site, unless it is "", the run's own.
    """
    return [
        f"{site}: {warning}" if site else str(warning)
        for site, (results, cells) in by_site.items()
        if cells
        for warning in results.warnings(cells)
    ]


def manifest_of(
    results: "Results",
    exhibits: Mapping[str, Exhibit],
    others: "Mapping[str, Results] | None" = None,
) -> Manifest:
    """Return the manifest of `exhibits`, {name: exhibit}, which were made from `results`.

    `others` are results of other sites that they show too.
    """
    trials, record = results.trial_df.iloc[0], results.imported
    return Manifest(
        experiment=results.experiment,
        notebook=f"analysis/{slug(results.experiment)}.ipynb",
        source=results.source,
        site=trials["site"],
        scale=trials["scale"],
        blocks=results.blocks,
        hosts=dict(trials["hosts"]),
        tools=dict(trials["tools"]),
        measured_on=_day(results),
        files={kind: ResultsFile(**file) for kind, file in results.files.items()},
        exhibits=exhibits,
        imported=record.to_json() if record else None,
        sites={
            site: StoredResults(
                stored.source,
                _day(stored),
                {kind: ResultsFile(**file) for kind, file in stored.files.items()},
            )
            for site, stored in (others or {}).items()
        },
    )


def _day(results: "Results") -> str:
    """Return the first day of measurement, or the day of an import."""
    record = results.imported
    return record.imported_on if record else str(results.trial_df["started"].min().date())


def number_of(estimate: Estimate) -> Number:
    """Return the number that shows an estimate, without its trail."""
    return Number(
        value=estimate.value,
        low=estimate.low,
        high=estimate.high,
        n=estimate.n,
        unit=estimate.unit,
        missing=estimate.missing,
        failed=estimate.failed,
        text=None if estimate.value is None else with_unit(estimate.value, estimate.unit),
        interval=estimate.interval_text().strip() if estimate.value is not None else "",
        how=recipe(estimate),
    )


def _numbers_in(frame: "pd.DataFrame") -> tuple[TableNumber, ...]:
    """Return the place and the recipe of each estimate in a table that has a recipe."""
    rows = enumerate(frame.itertuples(index=False, name=None))
    cells = ((row, column, cell) for row, values in rows for column, cell in enumerate(values))
    return tuple(
        TableNumber(row, column, how)
        for row, column, cell in cells
        if isinstance(cell, Estimate) and not cell.site and (how := recipe(cell))
    )


def _flat(items: "Iterable[Estimate | Summary]") -> list[Estimate]:
    flat: list[Estimate] = []
    for item in items:
        flat += [item] if isinstance(item, Estimate) else item.estimates
    return flat


def _why_missing(estimates: list[Estimate]) -> str:
    """Return why no estimate has a value, or "" if one has."""
    if any(estimate.value is not None for estimate in estimates):
        return ""
    return "; ".join(dict.fromkeys(estimate.missing for estimate in estimates)) or NOTHING_ASKED
