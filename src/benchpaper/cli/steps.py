"""Single steps of the pipeline, as the Snakefile calls them: `benchpaper step ...`."""

import json
import os
import signal
from typing import Any

import click

from benchpaper import results
from benchpaper.artifact import importing
from benchpaper.cli.common import Function, Group
from benchpaper.core import checksums, events, output, settings
from benchpaper.core.atomic_write import atomic_write
from benchpaper.core.capabilities import find_capability
from benchpaper.core.errors import one_of
from benchpaper.core.processes import die_with_parent
from benchpaper.core.project import REFERENCE, Project
from benchpaper.design import catalog
from benchpaper.design.plan import DEFAULT_SEED
from benchpaper.measure import mistakes
from benchpaper.workflow import ownership, pipeline


@click.group(cls=Group)
def step() -> None:
    """Single steps of the pipeline, as the Snakefile calls them.

    \b
    Example:  benchpaper step judge --site local --source quick
    """
    output.plain()
    parent = os.environ.get(ownership.STEPS_OF)
    die_with_parent(int(parent) if parent else None)  # a step ends even if its run was killed
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a stopped step cleans up


def step_options(function: Function) -> Function:
    """Add --site and --source to a step."""
    function = click.option(
        "--source", required=True, callback=_source, help="A scale, or reference."
    )(function)
    return click.option("--site", required=True, help="Target hosts: sites/NAME.yaml.")(function)


def experiments_argument(function: Function) -> Function:
    """Add EXPERIMENTS to a step, checked against the catalogue."""

    def known(
        _context: click.Context, _argument: click.Parameter, names: tuple[str, ...]
    ) -> tuple[str, ...]:
        project = Project.find()
        return tuple(catalog.known(project, name) for name in names)

    return click.argument("experiments", nargs=-1, callback=known)(function)


def _source(_context: click.Context, _option: click.Parameter, value: str) -> str:
    return one_of("source", value, (*settings.scales_here().names, REFERENCE))


@step.command()
@click.argument("experiment")
def build(experiment: str) -> None:
    """Compile an experiment's programs."""
    project = Project.find()
    with events.step("build", experiment=experiment):
        loaded = catalog.load(project, experiment)
        folder = project.programs(experiment)
        folder.mkdir(parents=True, exist_ok=True)
        missing = [name for name in loaded.build_needs if not find_capability(name).check()[0]]
        if loaded._build and not missing:
            loaded._build(folder)
        built = {"built": bool(loaded._build and not missing), "missing": missing}
        atomic_write(folder / "built.json", json.dumps(built) + "\n")
        checksums.note(folder, "build", folder.rglob("*"))


@step.command()
@click.argument("experiment")
@click.option("--block", type=int, required=True)
@click.option("--seed", type=int, required=True)
@step_options
def measure(experiment: str, block: int, seed: int, site: str, source: str) -> None:
    """Measure the trials of one block that the journal lacks."""
    run = pipeline.Pipeline(Project.find(), site, source, seed)
    one_of(f"block of {experiment}", block, range(len(run.plan(experiment).blocks)))

    def report(event: str, **facts: Any) -> None:
        events.emit(event, experiment=experiment, **facts)
        if event != "start":
            click.echo(f"{event} {' '.join(f'{key}={value}' for key, value in facts.items())}")

    with events.step("measure", experiment=experiment, block=block):
        what = f"measuring {experiment} at scale {source}"
        with (
            mistakes.stopping(run.folder / experiment, os.environ.get(ownership.RUN, "")),
            run.connected() as fleet,
            fleet.measuring(what, lambda holder: report("waiting", message=holder)),
        ):
            run.block(experiment, block, report).measure(fleet)


@step.command()
@click.argument("experiment")
@step_options
def collect(experiment: str, site: str, source: str) -> None:
    """Join the blocks of an experiment into two Parquet files."""
    run = pipeline.Pipeline(Project.find(), site, source, DEFAULT_SEED)
    with events.step("collect", experiment=experiment):
        if not run.measures(experiment):
            importing.collect(run.project, site, source, experiment)
            return
        results.collect(
            run.folder / experiment, len(run.plan(experiment).blocks), run.blocks_fixed(experiment)
        )


@step.command()
@click.argument("experiment")
@step_options
def analyse(experiment: str, site: str, source: str) -> None:
    """Run an experiment's notebook."""
    from benchpaper.paper import kernel_server

    project = Project.find()
    with events.step("analyse", experiment=experiment):
        if not kernel_server.ask(project, site, source, experiment):
            from benchpaper.paper import notebook

            notebook.analyse(project, site, source, experiment)


@step.command()
@step_options
def judge(site: str, source: str) -> None:
    """Give each claim its verdict."""
    from benchpaper.analysis import claims

    with events.step("judge"):
        claims.save(Project.find(), site, source)


@step.command()
@experiments_argument
@step_options
def gather(experiments: tuple[str, ...], site: str, source: str) -> None:
    """Gather the exhibits of all notebooks for the paper."""
    from benchpaper.paper import gather

    with events.step("gather"):
        gather.gather(Project.find(), site, source, experiments)


@step.command()
@experiments_argument
@step_options
def appendix(experiments: tuple[str, ...], site: str, source: str) -> None:
    """Write the artifact appendix."""
    from benchpaper.artifact import appendix

    with events.step("appendix"):
        appendix.write(Project.find(), site, source, experiments)


@step.command()
@experiments_argument
@step_options
def report(experiments: tuple[str, ...], site: str, source: str) -> None:
    """Build the web pages."""
    from benchpaper.paper import html

    with events.step("report"):
        html.build(Project.find(), site, source, experiments)


@step.command()
@step_options
def typeset(site: str, source: str) -> None:
    """Typeset the paper."""
    from benchpaper.paper import latex

    with events.step("typeset"):
        latex.typeset(Project.find(), site, source)
