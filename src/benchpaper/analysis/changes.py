"""Which sources and inputs of an experiment changed since its results were measured."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchpaper import results
from benchpaper.core.project import REFERENCE, Project
from benchpaper.design import catalog, inputs
from benchpaper.design.inputs import Input
from benchpaper.results import accepted


def changed_since_reference(project: Project, name: str, site: str = "local") -> list[str]:
    """Return what changed of an experiment since its reference was measured; see `changed_since`.

    The list is empty without a reference at this site.
    """
    path = project.results(site, REFERENCE) / name / results.TRIALS
    return changed_since(project, name, path) if path.exists() else []


def changed_since(project: Project, name: str, path: Path) -> list[str]:
    """Return the sources and inputs that changed since the trials in `path` were measured.

    A source is its path below the project, and an input "input PATH". Sources count as unchanged if
    somebody accepted the change (`results.accepted`).
    """
    table, described = results.read(path)
    if results.IMPORTED in described:
        return []  # it ran none of our code
    commits = table.column("git_commit").unique().to_pylist()
    [site, *_] = table.column("site").unique().to_pylist()
    codes = set(table.column("code_digest").to_pylist())
    sources = catalog.changed(project, name, described, commits)
    if sources and codes <= accepted.same_as(
        accepted.read(path.parent), catalog.digest(project, name)
    ):
        sources = []
    return [*sources, *(f"input {path}" for path in changed_inputs(project, site, described))]


def changed_inputs(project: Project, site: str, described: Mapping[str, Any]) -> list[str]:
    """Return the inputs of results that are here with another digest.

    An input that is not here has not changed. One that is declared anew has changed the code.
    """
    then = {item["path"]: item["sha256"] for item in described.get(results.INPUTS, ())}
    listed = [Input(path, sha256) for path, sha256 in then.items()]
    states = inputs.states(project, site, described["name"], listed)
    return [
        state.input.path
        for state in states
        if state.contents and state.contents.sha256 != then[state.input.path]
    ]
