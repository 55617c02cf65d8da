"""Recomputes what the manifests of an archive state, from its Parquet files and by our own code."""

import json
import math
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from benchpaper.analysis import recomputing
from benchpaper.analysis.estimates import Results
from benchpaper.analysis.exhibits import (
    METADATA,
    NAME,
    cell_text,
    manifest_of,
    number_of,
    tex,
    warnings_of,
)
from benchpaper.analysis.manifests import MANIFEST
from benchpaper.analysis.recipes import Recipe
from benchpaper.analysis.values import Estimate
from benchpaper.artifact.bundle import confined, notebook_check
from benchpaper.artifact.bundle.archive import NotVerified
from benchpaper.artifact.bundle.generated import difference
from benchpaper.core.errors import UserError
from benchpaper.core.project import REFERENCE, Project, slug
from benchpaper.design.replication import OVER_TIME
from benchpaper.paper import gather

FACTORS = {1.0, 60.0, 3600.0, 8.0, 1 / 8} | {1024.0**power for power in (-3, -2, -1, 1, 2, 3)}
PLAIN_UNITS = {"1", "count", ""}  # units of plain numbers, which may replace each other
NOT_MEASURED = re.compile(r"needs |(all )?\d+ trials failed")  # reasons that trials give
TRAIL = {
    "kind",
    "metrics",
    "cells",
    "warnings",
    "elsewhere",
}  # of a number's entry, checked elsewhere
ROUNDING = 1e-9  # relative; a product of factors may round otherwise than one after the other

Entry = Mapping[str, Any]


def check(
    project: Project, build: Path, measured: Mapping[str, Results], read: Mapping[Path, Results]
) -> str:
    """Check all manifests against the results `measured`, {experiment: results}.

    `read` are all results inside, by folder: those of other sites are among them. Returns a line on
    success. Raises `NotVerified` at the first difference.
    """
    manifests = {name: saved.to_json() for name, saved in gather.manifests(build).items()}
    if unlike := sorted(set(manifests) ^ {slug(name) for name in measured}):
        raise NotVerified(f'"{unlike[0]}" has exhibits or results, but not both')
    numbers, alone = 0, list[str]()
    for name, results in measured.items():
        manifest = manifests[slug(name)]
        confined.reading(f"the exhibits of {name}")
        folder = build / "exhibits" / slug(name)
        others = _others(project, name, manifest, read)
        _check_origin(manifest, results, others)
        _check_files(folder, manifest)
        shown = {
            key: _checked(key, entry, folder, results, others)
            for key, entry in manifest["exhibits"].items()
        }
        _check_warnings(manifest, results, others)
        notebook_check.check(project, build, name, manifest, {k: e for k, (e, _) in shown.items()})
        numbers += sum(count for _, count in shown.values())
        alone += [
            key
            for key, entry in manifest["exhibits"].items()
            if entry["kind"] == "number" and not entry["how"] and not entry["missing"]
        ]
    return f"{numbers} numbers follow from the data inside; " + (
        f"{len(alone)} more were computed by their notebooks alone (--figures runs these)"
        if alone
        else "no other number is shown"
    )


def _others(
    project: Project, experiment: str, manifest: Entry, read: Mapping[Path, Results]
) -> dict[str, Results]:
    """Return {site: its stored results} of the other sites that a manifest names."""
    folders = {
        site: project.results(site, REFERENCE) / experiment for site in manifest.get("sites", {})
    }
    for site, folder in folders.items():
        if folder not in read:
            raise NotVerified(f'{experiment} shows site "{site}", whose results are not inside')
    return {site: read[folder] for site, folder in folders.items()}


def _check_origin(manifest: Entry, results: Results, others: Mapping[str, Results]) -> None:
    """Check what a manifest says of results, hosts, tools, dates, and files."""
    given = {key: value for key, value in manifest.items() if key != "exhibits"}
    expected = json.loads(json.dumps(manifest_of(results, {}, others).to_json()))
    del expected["exhibits"]
    if where := difference(given, expected):
        raise NotVerified(f"{MANIFEST} of {results.experiment}: {where}")


def _check_files(folder: Path, manifest: Entry) -> None:
    """Check that a folder of exhibits holds the manifest's files, not empty, and no others."""
    named = {MANIFEST}
    for name, entry in manifest["exhibits"].items():
        if entry["kind"] == "figure" and not entry["missing"]:
            named |= {f"{name}{ending}" for ending in METADATA}
        if entry["kind"] == "table" and not entry["missing"]:
            named.add(f"{name}.tex")
        if entry["kind"] != "number" and entry.get("file") not in (f"{name}.pdf", f"{name}.tex"):
            raise NotVerified(
                f'exhibit "{name}" is in the file {entry.get("file")}, of another name'
            )
    there = {path.name for path in folder.iterdir()}
    if unlike := sorted(named ^ there):
        raise NotVerified(f"{unlike[0]} of {folder.name} is in its manifest or there, but not both")
    if empty := sorted(path.name for path in folder.iterdir() if not path.stat().st_size):
        raise NotVerified(f"{empty[0]} of {folder.name} is empty")


def _check_warnings(manifest: Entry, results: Results, others: Mapping[str, Results]) -> None:
    """Check the warnings of each exhibit; many exhibits share their cells."""
    of_cells: dict[str, list[str]] = {}
    for name, entry in manifest["exhibits"].items():
        by_site = {"": entry["cells"], **entry.get("elsewhere", {})}
        if unknown := sorted(set(by_site) - {"", *others}):
            raise NotVerified(f'exhibit "{name}" has cells of the unknown site "{unknown[0]}"')
        key = json.dumps(by_site)
        if key not in of_cells:
            of_cells[key] = warnings_of(
                {site: (others.get(site, results), cells) for site, cells in by_site.items()}
            )
        if entry["warnings"] != of_cells[key]:
            raise NotVerified(f'exhibit "{name}" has other warnings than its trials give')


def _checked(
    name: str, entry: Entry, folder: Path, results: Results, others: Mapping[str, Results]
) -> tuple[Estimate | None, int]:
    """Check an exhibit; return its estimate if it is a recomputed number, and how many numbers."""
    site, _, plain = name.rpartition("/")
    if site in others and entry["kind"] == "number":
        if list(entry.get("elsewhere", {})) not in ([], [site]):
            raise NotVerified(f'number "{name}" has cells of another site')
        results = others[site]
        entry = {**entry, "cells": entry.get("elsewhere", {}).get(site, [])}
    elif site and (site != results.site or entry["kind"] != "number"):
        raise NotVerified(f'exhibit "{name}" is of a site without results')
    elif entry["kind"] == "number" and entry.get("elsewhere"):
        raise NotVerified(f'number "{name}" has cells of another site')
    if not NAME.fullmatch(plain):
        raise NotVerified(f'exhibit "{name}" has no valid name')
    if entry["missing"]:
        if any(entry.get(key) for key in ("value", "low", "high", "text", "interval", "how")):
            raise NotVerified(f'exhibit "{name}" is missing and has a value')
        check_gap(f'exhibit "{name}"', entry["missing"], entry["cells"], results)
        return None, 0
    match entry["kind"]:
        case "number":
            return _number(name, entry, results)
        case "table":
            return None, _table(name, entry, folder, results)
        case "figure" if entry["numbers"]:
            raise NotVerified(f'exhibit "{name}" is a figure, and has the numbers of a table')
        case "figure":
            return None, 0
    raise NotVerified(f'exhibit "{name}" is of the unknown kind "{entry["kind"]}"')


def check_gap(what: str, missing: str, cells: Collection[str], results: Results) -> None:
    """Check that the trials of `cells` explain why a value is `missing`: that nobody hides one."""
    reasons = {results.state(cell)[1] for cell in cells} - {""}
    every = {results.state(cell)[1] for cell in results.trial_df["cell"].unique()} - {""}
    if reasons and not any(reason in missing for reason in reasons):
        raise NotVerified(f'{what} is missing ("{missing}"), but its trials say: {min(reasons)}')
    if not reasons and cells and (missing in every or NOT_MEASURED.match(missing)):
        raise NotVerified(f'{what} is missing ("{missing}"), but its cells were measured')


def _number(name: str, entry: Entry, results: Results) -> tuple[Estimate | None, int]:
    estimate = None
    if entry["how"]:
        estimate = compute(f'number "{name}"', Recipe.from_json(entry["how"]), results)
        expected = _entry(estimate)
        rows = entry["how"]["cells"]
        trail = entry["how"]["metric"], list(dict.fromkeys(map(results.cell_of, rows)))
        if ([trail[0]], trail[1]) != (entry["metrics"], entry["cells"]):
            raise NotVerified(f'number "{name}" has another metric or other cells than its recipe')
        if entry["how"]["unit"] != entry["unit"]:
            raise NotVerified(f'number "{name}" has another unit than its recipe')
    else:
        expected = _as_stated(entry, results)
    for key, value in expected.items():
        if not _equal(entry[key], value):
            shown = f"{entry['text']} {entry['interval']} (n = {entry['n']})"
            source = f"the data inside give {estimate}" if estimate else f"its {key} is {value}"
            raise NotVerified(f'number "{name}" is {shown}, with {key} {entry[key]}, but {source}')
    return estimate, 1 if estimate else 0


def _as_stated(entry: Entry, results: Results) -> dict[str, Any]:
    """Return the texts that follow from the values of a number that a notebook computed."""
    low, high = entry["low"], entry["high"]
    all_equal = low == high
    shown = not all_equal or results.block_over != OVER_TIME  # else there is nothing to show
    stated = Estimate(
        entry["value"],
        low if shown else None,
        high if shown else None,
        min(entry["n"], results.blocks) if entry["metrics"] else results.blocks,
        entry["unit"],
        "",
        (),
        failed=sum(results.state(cell)[0] for cell in entry["cells"]),
        values=(low,) if all_equal and low is not None else (),
        over=results.block_over,
    )
    return {**_entry(stated), "low": low, "high": high}


def _entry(estimate: Estimate) -> dict[str, Any]:
    """Return what a manifest says of the number that shows an estimate, without its trail."""
    entry = number_of(estimate).to_json()
    return {key: value for key, value in entry.items() if key not in TRAIL}


def compute(what: str, recipe: Recipe, results: Results) -> Estimate:
    """Return the estimate of a recipe after checking that its factor changes only the unit."""
    try:
        estimate = recomputing.compute(results, recipe)
        unit = recomputing.unit_before(results, recipe)
    except UserError as error:
        raise NotVerified(f"{what}: {error}") from None
    if list(estimate.cells) != list(recipe.cells):
        raise NotVerified(f"{what} has other cells than its recipe")
    _check_factor(what, recipe, unit)
    return estimate


def _check_factor(what: str, recipe: Recipe, unit: str) -> None:
    """Check that a factor can turn `unit` into the unit of the recipe.

    Between two units it must be a power of ten or a usual factor; for the same unit it must be 1.
    """
    factor = recipe.factor
    power = math.log10(factor) if factor > 0 else math.nan
    if factor == 1.0 and {unit, recipe.unit} <= PLAIN_UNITS:
        return
    is_usual = math.isfinite(power) and (factor in FACTORS or abs(power - round(power)) < 1e-9)
    if not is_usual or (unit == recipe.unit) != (factor == 1.0):
        raise NotVerified(f"{what}: a factor of {factor:g} does not turn {unit} into {recipe.unit}")


def _equal(given: Any, expected: Any) -> bool:
    if isinstance(given, float) and isinstance(expected, float):
        return math.isclose(given, expected, rel_tol=ROUNDING, abs_tol=0)
    return bool(given == expected)


def _table(name: str, entry: Entry, folder: Path, results: Results) -> int:
    """Check the cells of a LaTeX table that have a recipe; return how many."""
    rows = list(tex_rows((folder / entry["file"]).read_text()))
    for number in entry["numbers"]:
        row, column = number["row"], number["column"]
        what = f'table "{name}", row {row + 1}, column {column + 1}'
        expected = tex(cell_text(compute(what, Recipe.from_json(number["how"]), results)))
        if row + 1 >= len(rows) or rows[row + 1][column : column + 1] != [expected]:
            raise NotVerified(f"{what} is not {expected}, which the data inside give")
    return len(entry["numbers"])


def tex_rows(text: str) -> Iterator[list[str]]:
    """Yield the cells of each row of a table that `Exhibits.table` wrote, the header first."""
    for line in text.splitlines():
        if line.endswith(r" \\"):
            yield line.removesuffix(r" \\").split(" & ")
