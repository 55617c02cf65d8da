"""Which sources of an experiment changed since its results were measured."""

from benchpaper import results
from benchpaper.core.project import REFERENCE
from benchpaper.design import catalog


def changed_since_reference(project, name, site="local"):
    """Return the sources of an experiment that differ from those that its reference results were measured by; empty
    without such results."""
    path = project.results(site, REFERENCE) / name / results.TRIALS
    return changed_since(project, name, path) if path.exists() else []


def changed_since(project, name, path):
    """Return the sources of an experiment that differ from those by which the trials in the file `path` were measured."""
    table, described = results.read(path)
    return catalog.changed(
        project, name, described, table.column("git_commit").unique().to_pylist()
    )
