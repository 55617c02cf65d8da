"""Figures, tables, and numbers of the paper, each saved with its trail.

A notebook makes one `Exhibits` of its results and saves everything through it. Without a folder it
only shows figures and prints numbers and tables. With a folder it also saves each exhibit there,
and enters it in the manifest exhibits.json with its notebook, files (with digests), and cells.
"""

import json
import math
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from benchpaper.analysis.manifests import (
    MANIFEST,
    Exhibit,
    FileExhibit,
    Manifest,
    Number,
    ResultsFile,
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

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
METADATA: dict[str, dict[str, None]] = {  # without the date and program that differ between runs
    ".pdf": {"CreationDate": None, "Producer": None},
    ".png": {"Software": None},
}
TEX_SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "µ": r"\textmu{}",
    "×": r"$\times$",
    "≤": r"$\le$",
    "≥": r"$\ge$",
    "≈": r"$\approx$",
    "−": "$-$",
    "→": r"$\to$",
    "–": "--",
    "—": "---",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
}


class ExhibitError(UserError):
    """An exhibit cannot be saved; the text says why."""


def tex(text: object) -> str:
    """Return text with all characters special to TeX escaped."""
    return "".join(TEX_SPECIAL.get(character, character) for character in str(text))


class Exhibits:
    """Saves the exhibits of one notebook in `folder`; None only shows them."""

    def __init__(self, results: "Results", folder: str | os.PathLike[str] | None = None) -> None:
        self._results = results
        self._folder = Path(folder) if folder else None
        self._entries: dict[str, Exhibit] = {}
        if self._folder:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._save_manifest(self._folder)

    def number(self, name: str, estimate: Estimate | float, unit: str | None = None) -> None:
        """Save an `Estimate`, or a plain number with its `unit`, and print it.

        The unit is "count" for an integer, and "1" for a pure number.
        """
        if not isinstance(estimate, Estimate):
            if unit is None:
                raise ExhibitError(
                    f'number "{name}": a plain number needs a unit (unit="1" for a pure one)'
                )
            if not math.isfinite(estimate):
                raise ExhibitError(f'number "{name}": {estimate} is not a finite number')
            estimate = Estimate(float(estimate), None, None, self._results.blocks, unit, "", ())
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
            atomic_write(self._folder / exhibit.file, _booktabs(shown))
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
        self._check(name)
        cells = tuple(dict.fromkeys(cell for estimate in made_from for cell in estimate.cells))
        metrics = dict.fromkeys(estimate.metric for estimate in made_from if estimate.metric)
        warnings = self._results.warnings(cells) if cells and self._folder else []
        self._entries[name] = replace(
            exhibit, metrics=tuple(metrics), cells=cells, warnings=tuple(map(str, warnings))
        )
        if self._folder:
            self._save_manifest(self._folder)

    def _check(self, name: str) -> None:
        if not NAME.fullmatch(name):
            raise ExhibitError(
                f'exhibit name "{name}" must be lower-case words, digits and single hyphens '
                "(fabric-get-4k): it is typeset as \\result{name}, "
                "and TeX cannot hold other characters there"
            )
        if name in self._entries:
            raise ExhibitError(
                f'exhibit "{name}" is saved twice in this notebook; give each its own name'
            )

    def _save_manifest(self, folder: Path) -> None:
        manifest = manifest_of(self._results, self._entries)
        atomic_write(folder / MANIFEST, json.dumps(manifest.to_json(), indent=1))


def manifest_of(results: "Results", exhibits: Mapping[str, Exhibit]) -> Manifest:
    """Return the manifest of `exhibits`, {name: exhibit}, which were made from `results`."""
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
        measured_on=record.imported_on if record else str(results.trial_df["started"].min().date()),
        files={kind: ResultsFile(**file) for kind, file in results.files.items()},
        exhibits=exhibits,
        imported=record.to_json() if record else None,
    )


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
        if isinstance(cell, Estimate) and (how := recipe(cell))
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
    return (
        "; ".join(dict.fromkeys(estimate.missing for estimate in estimates))
        or "nothing was asked of the results"
    )


def cell_text(cell: object) -> str:
    """Return the text of a table's cell."""
    if not isinstance(cell, Estimate):
        return str(cell)
    if cell.value is None:
        return cell.missing
    return f"{with_unit(cell.value, cell.unit)}{cell.interval_text()}"


def _booktabs(frame: "pd.DataFrame") -> str:
    """Return a frame of texts as a LaTeX tabular: texts to the left, numbers to the right."""
    numeric = [
        all(text.removeprefix("-")[:1].isdigit() for text in frame[column]) for column in frame
    ]
    lines = [
        rf"\begin{{tabular}}{{{''.join('r' if right else 'l' for right in numeric)}}}",
        r"\toprule",
    ]
    lines.append(" & ".join(tex(column) for column in frame) + r" \\")
    lines.append(r"\midrule")
    lines += [
        " & ".join(tex(text) for text in row) + r" \\" for row in frame.itertuples(index=False)
    ]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])
