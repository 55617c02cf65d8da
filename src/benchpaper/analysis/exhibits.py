"""Figures, tables and numbers that the paper shows, each saved with its trail.

A notebook makes one `Exhibits` of its results and saves through it alone. Without a folder nothing is written:
figures are shown in the notebook, numbers and tables printed. With one, each exhibit is saved there and entered
in the manifest exhibits.json: what it is, which notebook, files (with digests) and cells it comes from.
"""

import json
import math
import os
import re
from pathlib import Path

from benchpaper.analysis.values import Estimate, with_unit
from benchpaper.core.errors import UserError
from benchpaper.core.project import slug

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
MANIFEST = "exhibits.json"
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
    """An exhibit that cannot be saved as asked."""


def tex(text):
    """Return text with everything special to TeX escaped."""
    return "".join(TEX_SPECIAL.get(character, character) for character in str(text))


class Exhibits:
    """Saves the exhibits of one notebook. `folder` is where to (None: show only)."""

    def __init__(self, results, folder=None):
        self._results = results
        self._folder = Path(folder) if folder else None
        self._entries = {}
        if self._folder:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._save_manifest()

    def number(self, name, estimate, unit=None):
        """Save an `Estimate`, or a plain number with its `unit` ("count" for an integer), and print it."""
        if not isinstance(estimate, Estimate):
            if unit is None:
                raise ExhibitError(
                    f'number "{name}": a plain number needs a unit (unit="1" for a pure one)'
                )
            if not math.isfinite(estimate):
                raise ExhibitError(f'number "{name}": {estimate} is not a finite number')
            estimate = Estimate(float(estimate), None, None, self._results.blocks, unit, "", ())
        entry = {
            "value": estimate.value,
            "low": estimate.low,
            "high": estimate.high,
            "n": estimate.n,
            "unit": estimate.unit,
            "missing": estimate.missing,
            "failed": estimate.failed,
            "text": None if estimate.value is None else with_unit(estimate.value, estimate.unit),
            "interval": estimate.interval_text().strip() if estimate.value is not None else "",
            # With cells and metric this is enough to reckon it again from the data, without the notebook.
            "how": _how(estimate) if estimate.values and estimate.plain else None,
        }
        self._enter(name, "number", entry, [estimate])
        print(f"{name}: {estimate}")

    def table(self, name, frame, estimates):
        """Save a data frame of texts and `Estimate`s as a LaTeX table, and print it. `estimates` are those it was
        made from (a list, or `Summary`s); when none of them was measured, the table says so instead."""
        self._check(name)
        made_from = _flat(estimates)
        entry = {"missing": _why_missing(made_from), "file": f"{name}.tex"}
        shown = frame.map(lambda cell: _cell_text(cell))
        if self._folder and not entry["missing"]:
            _write(self._folder / entry["file"], _booktabs(shown).encode())
        self._enter(name, "table", entry, made_from)
        print(f"table {name}: {entry['missing'] or ''}".rstrip(": "))
        if not entry["missing"]:
            import pandas as pd

            with pd.option_context(
                "display.width", 200, "display.max_columns", 20, "display.max_colwidth", 60
            ):
                print(shown.to_string(index=False))

    def figure(self, name, draw, *summaries):
        """Save the figure that `draw(*frames)` returns, `frames` being the measured rows of each summary, as PDF and
        PNG, and show it. When no cell was measured `draw` is not called, and the paper says why."""
        made_from = _flat(summaries)
        entry = {"missing": _why_missing(made_from), "file": f"{name}.pdf"}
        self._check(name)
        measured = sum(e.value is not None for e in made_from)
        print(
            f"figure {name}: {entry['missing'] or f'{measured} of {len(made_from)} values measured'}"
        )
        if not entry["missing"]:
            self._save_figure(name, draw(*(summary.measured for summary in summaries)))
        self._enter(name, "figure", entry, made_from)

    def _save_figure(self, name, figure):
        import matplotlib.pyplot as plt
        from IPython.display import display

        if self._folder:
            for ending, about in (
                (".pdf", {"CreationDate": None, "Producer": None}),
                (".png", {"Software": None}),
            ):
                part = self._folder / f".{name}.part{ending}"
                try:
                    figure.savefig(part, dpi=200, metadata=about)
                    os.replace(part, self._folder / f"{name}{ending}")
                finally:
                    part.unlink(missing_ok=True)
        display(figure)
        plt.close(figure)

    def _enter(self, name, kind, entry, made_from):
        self._check(name)
        cells = list(dict.fromkeys(cell for estimate in made_from for cell in estimate.cells))
        metrics = list(dict.fromkeys(estimate.metric for estimate in made_from if estimate.metric))
        warnings = (
            [str(warning) for warning in self._results.warnings(cells)]
            if cells and self._folder
            else []
        )
        self._entries[name] = {
            "kind": kind,
            **entry,
            "metrics": metrics,
            "cells": cells,
            "warnings": warnings,
        }
        if self._folder:
            self._save_manifest()

    def _check(self, name):
        if not NAME.fullmatch(name):
            raise ExhibitError(
                f'exhibit name "{name}" must be lower-case words, digits and single hyphens (fabric-get-4k): '
                "it is typeset as \\result{name}, and TeX cannot hold other characters there"
            )
        if name in self._entries:
            raise ExhibitError(
                f'exhibit "{name}" is saved twice in this notebook; give each its own name'
            )

    def _save_manifest(self):
        results = self._results
        trials = results.trial_df.iloc[0]
        manifest = {
            "experiment": results.experiment,
            "notebook": f"analysis/{slug(results.experiment)}.ipynb",
            "source": results.source,
            "site": trials["site"],
            "scale": trials["scale"],
            "blocks": results.blocks,
            "hosts": dict(trials["hosts"]),
            "tools": dict(trials["tools"]),
            "measured_on": str(results.trial_df["started"].min().date()),
            "files": results.files,
            "exhibits": self._entries,
        }
        _write(self._folder / MANIFEST, json.dumps(manifest, indent=1).encode())


def _flat(items):
    flat = []
    for item in items:
        flat += [item] if isinstance(item, Estimate) else item.estimates
    return flat


def _why_missing(estimates):
    if any(estimate.value is not None for estimate in estimates):
        return ""
    return (
        "; ".join(dict.fromkeys(estimate.missing for estimate in estimates))
        or "nothing was asked of the results"
    )


def _cell_text(cell):
    if not isinstance(cell, Estimate):
        return str(cell)
    if cell.value is None:
        return cell.missing
    return f"{with_unit(cell.value, cell.unit)}{cell.interval_text()}"


def _booktabs(frame):
    """Return a frame of texts as a LaTeX tabular: text columns left, columns of numbers right."""
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


def _write(path, data):
    """Write to a temporary file beside `path`, then rename."""
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(data)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _how(estimate):
    how = {"q": estimate.q, "paired": estimate.paired, "factor": estimate.factor}
    return {**how, "tries": estimate.tries} if estimate.tries else how
