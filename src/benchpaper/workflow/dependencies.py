"""The files on which steps of the pipeline depend; Snakemake runs a step again if one changes.

All paths are relative to the project.
"""

from functools import cache
from pathlib import Path

from benchpaper import results
from benchpaper.artifact import importing
from benchpaper.core import syntax
from benchpaper.core.project import Project
from benchpaper.design import catalog
from benchpaper.results import accepted
from benchpaper.workflow.pipeline import Pipeline


def block_files(run: Pipeline, name: str) -> list[Path]:
    """Return the files from which an experiment's results are collected.

    These are the Parquet files of all blocks; of an import, its record, table, and declaration.
    """
    if not run.measures(name):
        imported = importing.sources(run.project, run.site_name, name)
        return [path.relative_to(run.project.root) for path in imported] + sources(run, name)
    folder = (run.folder / name).relative_to(run.project.root)
    kinds = (results.OBSERVATIONS, results.TRIALS)
    return [
        results.block_file(folder, block, kind)
        for block in range(len(run.plan(name).blocks))
        for kind in kinds
    ]


def accepted_changes(run: Pipeline, names: list[str]) -> list[Path]:
    """Return the existing files of accepted changes."""
    paths = [run.folder / name / accepted.FILE for name in names]
    return [path.relative_to(run.project.root) for path in paths if path.exists()]


def stored_elsewhere(run: Pipeline, name: str) -> list[Path]:
    """Return the reference results of other sites, which an experiment's notebook may show."""
    stored = results.stored_sites(run.project, name)
    return [
        (folder / name / table).relative_to(run.project.root)
        for site, folder in stored.items()
        if site != run.site_name
        for table in (results.OBSERVATIONS, results.TRIALS)
    ]


def sources(run: Pipeline, name: str) -> list[Path]:
    """Return the files that an experiment runs."""
    return [path.relative_to(run.project.root) for path in catalog.sources(run.project, name)]


@cache
def code(run: Pipeline, module: str, *users: str) -> list[str]:
    """Return the framework's files that `module` runs, or that the project's files `users` run."""
    source = run.project.root / "src"
    if not (source / "benchpaper").is_dir():
        return []  # the framework is an installed package, whose files do not change
    tree = _tree(source)
    start = [*tree.files({module}, ()), *(run.project.root / user for user in users)]
    return sorted(
        path.relative_to(run.project.root).as_posix()
        for path in syntax.reached(start, source, "benchpaper", tree)
        if path.is_relative_to(source)
    )


@cache
def _tree(source: Path) -> syntax.Tree:
    return syntax.Tree(source)


def paper_sources(project: Project) -> list[Path]:
    """Return the project's files that LaTeX reads."""
    kinds = (".tex", ".sty", ".bib")
    paths = [path for path in project.paper.rglob("*") if path.suffix in kinds]
    return sorted(path.relative_to(project.root) for path in paths)
