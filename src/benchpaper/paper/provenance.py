"""`benchpaper explain`: from an exhibit back to the commands that measured it."""

from benchpaper import results
from benchpaper.core.errors import UserError, one_of
from benchpaper.core.revision import UNKNOWN
from benchpaper.paper import labels
from benchpaper.paper.typeset import all_exhibits


def explain(project, name, site, source):
    """Return the trail of an exhibit as plain data: what it says, the notebook, data files with digests, and per
    cell its trials and the commands of one of them. Raises `UserError` for an unknown name or nothing built."""
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
            "that is the table of all claims; benchpaper claims shows each with its value and verdict"
        )
    one_of("exhibit", name, exhibits)
    entry = exhibits[name]
    folder = project.results(site, build.name.removeprefix(f"{site}-"))
    table, _ = results.read(folder / entry["experiment"] / results.TRIALS)
    trials = by_cell(table)
    files = [
        {"path": folder / file["path"], "sha256": file["sha256"]}
        for file in entry["files"].values()
    ]
    stale = any(results.file_digest(file["path"]) != file["sha256"] for file in files)
    return {
        "name": name,
        "kind": entry["kind"],
        "says": says(entry),
        "source": entry["source"],
        "stale": stale,
        "notebook": entry["notebook"],
        "metrics": entry["metrics"],
        "warnings": entry.get("warnings", []),
        "files": [{**file, "path": str(file["path"].relative_to(project.root))} for file in files],
        "cells": [of_cell(cell, trials[cell]) for cell in entry["cells"]],
    }


def says(entry):
    """Return what an exhibit shows, as text."""
    if entry["missing"]:
        return f"not measured here: {entry['missing']}"
    if entry["kind"] != "number":
        return entry["file"]
    return f"{entry['text']} {entry['interval']}".strip() + f" (n = {entry['n']} blocks)"


def by_cell(table):
    """Return {cell: its trials, in the order of blocks} of a table of trials."""
    found = {}
    for trial in table.to_pylist(maps_as_pydicts="strict"):
        found.setdefault(trial["cell"], []).append(trial)
    return {cell: sorted(trials, key=lambda t: t["block"]) for cell, trials in found.items()}


def of_cell(cell, trials):
    """A cell's trials: their states, when they ran, and the commands of the first that was measured."""
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


def show(found):
    """Print a trail."""
    print(f"{found['kind']} {found['name']}: {found['says']}")
    print(f"  from      {found['source']}")
    if found["stale"]:
        print("  STALE     the results have changed since; run ./reproduce figures")
    print(
        f"  notebook  {found['notebook']}"
        + (f" ({', '.join(found['metrics'])})" if found["metrics"] else "")
    )
    for warning in found["warnings"]:
        print(f"  beware    of {warning}")
    for file in found["files"]:
        print(f"  data      {file['path']}  sha256 {file['sha256'][:16]}…")
    for cell in found["cells"]:
        _show_cell(cell)


def _show_cell(cell):
    states = {}
    for trial in cell["trials"]:
        states.setdefault(trial["state"], []).append(trial)
    counts = ", ".join(f"{len(trials)} {state}" for state, trials in states.items())
    first, last = cell["trials"][0], cell["trials"][-1]
    changes = "perhaps with changes" if cell["git_commit"] == UNKNOWN else "with changes"
    clean = "clean" if cell["git_clean"] else changes
    print(f"  cell      {cell['cell']}")
    print(f"    trials   {counts}, {first['started'][:19]} to {last['started'][:19]} UTC")
    print(
        f"    code     commit {cell['git_commit'][:12]} ({clean}), digest {cell['code_digest'][:16]}…"
    )
    print(
        f"    tools    {', '.join(f'{tool} {version}' for tool, version in cell['tools'].items())}"
    )
    for command in cell["commands"]:
        print(
            f"    command  [{command['host']}] {' '.join(command['argv'])}  -> {command['status']}"
        )
