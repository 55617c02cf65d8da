"""`benchpaper explain`: from an exhibit back to the commands that measured it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchpaper import results
from benchpaper.core.errors import UserError, one_of
from benchpaper.core.project import Project
from benchpaper.core.revision import UNKNOWN
from benchpaper.paper import labels
from benchpaper.paper.gather import all_exhibits

if TYPE_CHECKING:
    import pyarrow as pa

Trail = dict[str, Any]  # plain data, which `--json` prints
Trial = dict[str, Any]  # a row of a table of trials


def explain(project: Project, name: str, site: str, source: str) -> Trail:
    """Return the trail of an exhibit: its text, notebook, data files, cells, trials, commands.

    `name` is that of an exhibit or a label in the PDF. Each file has its digest; each cell has the
    commands of one of its trials. Raises `UserError` when the name is unknown or nothing is built.
    """
    build = project.build(site, source)
    exhibits = all_exhibits(build)
    if not exhibits:
        raise UserError(
            f"nothing is built in build/{build.name}; run ./reproduce figures (or --from reference)"
        )
    if labels.is_printed(name) or ":" in name:
        [name, *_] = labels.exhibits(project, build, name)
    if name == "claims":
        raise UserError(
            "that is the table of all claims; "
            "benchpaper claims shows each with its value and verdict"
        )
    one_of("exhibit", name, exhibits)
    entry = exhibits[name]
    folder = project.results(site, build.name.removeprefix(f"{site}-"))
    table, _ = results.read(folder / entry["experiment"] / results.TRIALS)
    trials = by_cell(table)
    return {
        "name": name,
        "kind": entry["kind"],
        "says": says(entry),
        "source": entry["source"],
        "stale": any(
            results.file_digest(folder / file["path"]) != file["sha256"]
            for file in entry["files"].values()
        ),
        "notebook": entry["notebook"],
        "metrics": entry["metrics"],
        "warnings": entry.get("warnings", []),
        "files": [_file(project, folder, file) for file in entry["files"].values()],
        "cells": [of_cell(cell, trials[cell]) for cell in entry["cells"]],
    }


def _file(project: Project, folder: Path, file: Mapping[str, str]) -> dict[str, str]:
    path = (folder / file["path"]).relative_to(project.root)
    return {"path": str(path), "sha256": file["sha256"]}


def says(entry: Mapping[str, Any]) -> str:
    """Return what an exhibit shows, as text."""
    if entry["missing"]:
        return f"not measured here: {entry['missing']}"
    if entry["kind"] != "number":
        return entry["file"]
    return f"{entry['text']} {entry['interval']}".strip() + f" (n = {entry['n']} blocks)"


def by_cell(table: "pa.Table") -> dict[str, list[Trial]]:
    """Return {cell: its trials, in the order of blocks} from a table of trials."""
    cells: dict[str, list[Trial]] = {}
    for trial in table.to_pylist(maps_as_pydicts="strict"):
        cells.setdefault(trial["cell"], []).append(trial)
    return {cell: sorted(trials, key=lambda t: t["block"]) for cell, trials in cells.items()}


def of_cell(cell: str, trials: Sequence[Trial]) -> Trail:
    """Return a cell's trials: states, start times, and the commands of the first measured trial."""
    shown = next((t for t in trials if t["state"] == results.MEASURED), trials[0])
    return {
        "cell": cell,
        "trials": [
            {key: t[key] for key in ("block", "position", "state", "reason", "seconds")}
            | {"started": str(t["started"])}
            for t in trials
        ],
        "commands_of_block": shown["block"],
        "commands": shown["commands"],
        "code_digest": shown["code_digest"],
        "git_commit": shown["git_commit"],
        "git_clean": shown["git_clean"],
        "tools": shown["tools"],
    }


def show(trail: Trail) -> None:
    """Print a trail."""
    metrics = f" ({', '.join(trail['metrics'])})" if trail["metrics"] else ""
    print(f"{trail['kind']} {trail['name']}: {trail['says']}")
    print(f"  from      {trail['source']}")
    if trail["stale"]:
        print("  STALE     the results have changed since; run ./reproduce figures")
    print(f"  notebook  {trail['notebook']}{metrics}")
    for warning in trail["warnings"]:
        print(f"  beware    of {warning}")
    for file in trail["files"]:
        print(f"  data      {file['path']}  sha256 {file['sha256'][:16]}…")
    for cell in trail["cells"]:
        _show_cell(cell)


def _show_cell(cell: Trail) -> None:
    states: dict[str, int] = {}
    for trial in cell["trials"]:
        states[trial["state"]] = states.get(trial["state"], 0) + 1
    counts = ", ".join(f"{count} {state}" for state, count in states.items())
    first, last = cell["trials"][0], cell["trials"][-1]
    changes = "perhaps with changes" if cell["git_commit"] == UNKNOWN else "with changes"
    clean = "clean" if cell["git_clean"] else changes
    commit, digest = cell["git_commit"][:12], cell["code_digest"][:16]
    tools = ", ".join(f"{tool} {version}" for tool, version in cell["tools"].items())
    print(f"  cell      {cell['cell']}")
    print(f"    trials   {counts}, {first['started'][:19]} to {last['started'][:19]} UTC")
    print(f"    code     commit {commit} ({clean}), digest {digest}…")
    print(f"    tools    {tools}")
    for command in cell["commands"]:
        words = " ".join(command["argv"])
        print(f"    command  [{command['host']}] {words}  -> {command['status']}")
