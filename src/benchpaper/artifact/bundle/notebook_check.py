"""Compares an executed notebook with its source, and what it printed with its manifest."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchpaper.analysis.exhibits import tex
from benchpaper.analysis.values import Estimate
from benchpaper.artifact.bundle import strict
from benchpaper.artifact.bundle.archive import NotVerified
from benchpaper.core.project import Project, slug

INJECTED = "injected-parameters"  # papermill's tag of the cell that it adds
CUT = "..."  # pandas ends a long text so


def check(
    project: Project,
    build: Path,
    experiment: str,
    manifest: Mapping[str, Any],
    recomputed: Mapping[str, Estimate | None],
) -> None:
    """Check the executed notebook of an experiment.

    `recomputed` are the estimates of the manifest's numbers, None for an exhibit that has no
    recipe. Raises `NotVerified` at the first difference.
    """
    name = f"{slug(experiment)}.ipynb"
    executed = _read(build / "notebooks" / name)
    given, source = _cells(executed), _cells(_read(project.analysis / name))
    if [cell for cell in given if cell[2] != [INJECTED]] != source:
        raise NotVerified(f"the executed notebook {name} is not analysis/{name}, as it would run")
    parameters = executed["metadata"].get("papermill", {}).get("parameters", {})
    folders = {
        "results_dir": _results_folder(manifest, build),
        "exhibits_dir": f"build/{build.name}/exhibits/{slug(experiment)}",
    }
    injected = [text for _, text, tags in given if tags == [INJECTED]]
    if parameters != folders or injected != [_parameter_cell(folders)]:
        raise NotVerified(f"the executed notebook {name} ran with other parameters: {parameters}")
    lines = _printed(executed, name)
    for exhibit, entry in manifest["exhibits"].items():
        expected = _line(exhibit, entry, recomputed[exhibit])
        if not any(line == expected or _continues(line, expected) for line in lines):
            raise NotVerified(f"the executed notebook {name} does not print: {expected}")
        if entry["kind"] == "table" and not entry["missing"]:
            text = (build / "exhibits" / slug(experiment) / entry["file"]).read_text()
            _check_table(name, exhibit, lines[lines.index(expected) + 1 :], text)


def _results_folder(manifest: Mapping[str, Any], build: Path) -> str:
    """Return the folder of the results, relative to the project, as the pipeline passes it."""
    project = Project(build.parents[1])
    source = build.name.removeprefix(f"{manifest['site']}-")
    return project.results(manifest["site"], source).relative_to(project.root).as_posix()


def _parameter_cell(parameters: Mapping[str, str]) -> str:
    """Return the source of the cell that papermill adds."""
    lines = (f'{name} = "{value}"' for name, value in parameters.items())
    return "\n".join(["# Parameters", *lines])


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise NotVerified(f"it has no {path.parent.name}/{path.name}")
    notebook = strict.from_json(path.read_bytes(), path.name)
    if not isinstance(notebook, dict):
        raise NotVerified(f"{path.name} is no notebook")
    return notebook


def _cells(notebook: Mapping[str, Any]) -> list[tuple[str, str, list[str]]]:
    """Return (kind, source, tags) of each cell."""
    return [
        (cell["cell_type"], _text(cell["source"]).rstrip(), cell["metadata"].get("tags", []))
        for cell in notebook["cells"]
    ]


def _text(value: str | list[str]) -> str:
    return value if isinstance(value, str) else "".join(value)


def _printed(notebook: Mapping[str, Any], name: str) -> list[str]:
    """Return the lines that a notebook printed."""
    lines: list[str] = []
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            if output["output_type"] == "error":
                raise NotVerified(f"the executed notebook {name} holds an error")
            if output.get("name") == "stdout":
                lines += _text(output["text"]).splitlines()
    return lines


def _line(name: str, entry: Mapping[str, Any], recomputed: Estimate | None) -> str:
    """Return the line that saving an exhibit prints; of a number by notebook alone, its begin."""
    if entry["kind"] == "figure":
        return f"figure {name}: {entry['missing']}"
    if entry["kind"] == "table":
        return f"table {name}: {entry['missing']}".rstrip(": ")
    if entry["missing"]:
        return f"{name}: not measured here: {entry['missing']}"
    if recomputed:
        return f"{name}: {recomputed}"
    interval = f" {entry['interval']}" if entry["interval"] else ""
    return f"{name}: {entry['text']}{interval} (n = {entry['n']}"


def _continues(line: str, begin: str) -> bool:
    """Return whether a line is `begin`, and then words of which the manifest keeps no text."""
    rest = line.removeprefix(begin)
    return rest != line and bool(
        re.fullmatch(r"(, all equal)?(, \d+ failed)?\)|\d+ of \d+ values measured", rest)
    )


def _check_table(notebook: str, name: str, lines: list[str], latex: str) -> None:
    """Compare a printed table with the LaTeX one, without the spaces that align columns."""
    rows = [line.removesuffix(r" \\") for line in latex.splitlines() if line.endswith(r" \\")]
    if len(lines) < len(rows):
        raise NotVerified(f'the executed notebook {notebook} prints table "{name}" in part')
    for row, line in zip(rows, lines, strict=False):
        written = re.sub(r"\s", "", row.replace(" & ", ""))
        parts = [re.sub(r"\s", "", tex(part)) for part in line.split(CUT)]
        if not re.fullmatch(".*".join(map(re.escape, parts)), written):
            raise NotVerified(
                f'the executed notebook {notebook} prints table "{name}" with another row: '
                f"{' '.join(line.split())}"
            )
