"""Which sources of an experiment changed since its results were measured."""

from pathlib import Path

from benchpaper import results
from benchpaper.core.project import REFERENCE, Project
from benchpaper.design import catalog


def changed_since_reference(project: Project, name: str, site: str = "local") -> list[str]:
    """Return the sources of an experiment that changed since its reference was measured.

    The list is empty without a reference at this site.
    """
    path = project.results(site, REFERENCE) / name / results.TRIALS
    return changed_since(project, name, path) if path.exists() else []


def changed_since(project: Project, name: str, path: Path) -> list[str]:
    """Return the sources of an experiment that changed since the trials in `path` were measured."""
    table, described = results.read(path)
    if results.IMPORTED in described:
        return []  # it ran none of our code
    commits = table.column("git_commit").unique().to_pylist()
    return list(catalog.changed(project, name, described, commits))
