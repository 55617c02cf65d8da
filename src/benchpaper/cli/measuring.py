"""The commands that measure, or prepare it: list, doctor, plan, run, pilot, fetch."""

import sys

import click

from benchpaper.cli.common import Function, each, json_option, print_result, raise_mistakes
from benchpaper.cli.sources import Request, scale_option, site_option, source_options
from benchpaper.core import settings
from benchpaper.core.project import Project
from benchpaper.design import catalog
from benchpaper.design.plan import DEFAULT_SEED
from benchpaper.hosts import site as sites
from benchpaper.workflow import pipeline


def seed_option(function: Function) -> Function:
    """Add --seed to a command, as the argument `seed`."""
    return click.option(
        "--seed", default=DEFAULT_SEED, show_default=True, help="Decides the random order."
    )(function)


@click.command("list")
@json_option
def list_(as_json: bool) -> None:
    """The experiments, the question of each, and what they need.

    \b
    Example:  benchpaper list
    """
    from benchpaper.cli import views

    project = Project.find()
    scale = settings.scales(project.root).paper
    experiments, mistakes = each(
        catalog.names(project), lambda name: views.experiment(catalog.load(project, name), scale)
    )
    if experiments or as_json or not mistakes:  # else it would say that there are none
        print_result(experiments, as_json, views.show_experiments)
    raise_mistakes(mistakes)


@click.command()
@site_option
@json_option
def doctor(site: str, as_json: bool) -> None:
    """What the site's hosts can measure, and how to add the rest.

    \b
    Example:  benchpaper doctor
              benchpaper doctor --site local --json
    """
    from benchpaper.cli import views
    from benchpaper.cli.diagnosis_text import show_diagnosis

    project = Project.find()
    run = pipeline.Pipeline(project, site, settings.scales(project.root).paper, DEFAULT_SEED)
    diagnosis, mistakes = views.diagnosis(run)
    print_result(diagnosis, as_json, show_diagnosis)
    raise_mistakes(mistakes)


@click.command()
@click.argument("experiments", nargs=-1)
@scale_option
@site_option
@seed_option
@click.option("--trials", "with_trials", is_flag=True, help="Also list every trial in its order.")
@json_option
def plan(
    experiments: tuple[str, ...],
    scale: str | None,
    site: str,
    seed: int,
    with_trials: bool,
    as_json: bool,
) -> None:
    """Cells, blocks, trials, time and disk, before anything runs.

    \b
    Example:  benchpaper plan
              benchpaper plan net/latency --scale full --trials
    """
    from benchpaper.workflow import plans

    project = Project.find()
    run = pipeline.Pipeline(project, site, scale or settings.scales(project.root).default, seed)
    chosen = run.choose(" ".join(experiments))
    run.check_site()
    made, mistakes = each(chosen, lambda name: plans.plan(run, name, with_trials))
    print_result(made, as_json, plans.show_plans)
    raise_mistakes(mistakes)


@click.command()
@click.argument("targets", nargs=-1)
@source_options
@seed_option
@click.option("-n", "--dry-run", is_flag=True, help="Show what would run.")
@click.option(
    "--retry-failed",
    is_flag=True,
    help="Also measure again the trials that failed through their own fault.",
)
@click.option(
    "--measure-again", is_flag=True, help="Remove the results of this scale, and measure again."
)
@click.option(
    "--profile",
    metavar="NAME",
    default="default",
    help='How Snakemake runs: "default", "slurm" for a cluster, or your profiles/NAME.',
)
@json_option
def run(
    targets: tuple[str, ...],
    request: Request,
    seed: int,
    dry_run: bool,
    retry_failed: bool,
    measure_again: bool,
    profile: str,
    as_json: bool,
) -> None:
    """Measure, run the notebooks, build exhibits and PDF.

    TARGETS are any of: results, figures, paper (default: these three), report, bundle, and names
    of experiments to restrict it to. It leaves alone what is up to date; with --from reference it
    measures nothing. Interrupt it whenever you like; the next run continues with the missing
    trials.

    \b
    Example:  benchpaper run
              benchpaper run net/latency --scale smoke
              benchpaper run --from reference figures
    """
    from benchpaper.workflow import runner

    chosen = pipeline.Pipeline(Project.find(), request.site, request.source, seed, profile)
    sys.exit(runner.run(chosen, targets, dry_run, as_json, retry_failed, measure_again))


@click.command()
@click.argument("experiment")
@scale_option
@site_option
@seed_option
def pilot(experiment: str, scale: str | None, site: str, seed: int) -> None:
    """Measure a few blocks, and fix how many a run takes.

    The number follows from their spread and the time budget.

    \b
    Example:  benchpaper pilot net/latency --scale full
    """
    from benchpaper.workflow import pilot as pilots
    from benchpaper.workflow import runner

    project = Project.find()
    scale = scale or settings.scales(project.root).default
    run = pipeline.Pipeline(project, site, scale, seed)
    run.choose(experiment)
    folder = run.folder / experiment
    pilots.check(folder, run.experiment(experiment), scale)
    if status := runner.run(run, ("results", experiment)):
        sys.exit(status)
    fixed = pilots.fix(folder, run.experiment(experiment), scale)
    click.echo(f"{pilots.describe(fixed)}; benchpaper run --scale {scale} measures the rest")


@click.command()
@click.argument("experiments", nargs=-1)
@site_option
@json_option
def fetch(experiments: tuple[str, ...], site: str, as_json: bool) -> None:
    """Get the inputs that experiments declare, and check them all.

    An input is a file or a folder that trials read: inputs=[Input("data/x.zst", sha256=...,
    url=...)]. This fetches those that are missing and have a url, goes on with a download that was
    cut off, and checks the digest of each. Without EXPERIMENTS it takes all. A run does the same
    before it measures.

    \b
    Example:  benchpaper fetch
              benchpaper fetch caching/replay --site cloudlab
    """
    from benchpaper.workflow import input_files

    project = Project.find()
    sites.load(project, site)  # raises for an unknown one
    run = pipeline.Pipeline(project, site, settings.scales(project.root).default, DEFAULT_SEED)
    made = input_files.fetch(
        run, run.choose(" ".join(experiments)), lambda text: click.echo(text, err=True)
    )
    print_result(made, as_json, input_files.show)
    sys.exit(1 if any(item["problem"] for item in made) else 0)


COMMANDS = (list_, doctor, plan, run, pilot, fetch)
