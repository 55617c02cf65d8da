"""The commands, and how a mistake is told."""

import errno
import shutil
import sys
import traceback
from pathlib import Path

import click

from benchpaper import artifact_commands, catalog, pipeline, results, room
from benchpaper.commands import Group, each, json_option, tell, tell_mistakes
from benchpaper.errors import UserError, one_of
from benchpaper.hosts import HostError
from benchpaper.lab import lab
from benchpaper.plan import DEFAULT_SEED
from benchpaper.project import REFERENCE, Project
from benchpaper.redact import Redactor
from benchpaper.spec import SCALES
from benchpaper.steps import step

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


def site_option(function):
    return click.option("--site", default="local", show_default=True, help="Target hosts: sites/NAME.yaml.")(function)


def scale_option(function):
    return click.option(
        "--scale", default="quick", show_default=True, metavar="|".join(SCALES), help="How much to measure."
    )(function)


def seed_option(function):
    return click.option("--seed", default=DEFAULT_SEED, show_default=True, help="Decides the random order.")(function)


@click.group(cls=Group, context_settings=CONTEXT)
@click.version_option(package_name="benchpaper", message="benchpaper %(version)s")
def cli():
    """Reproduce the paper from its artifact: measure, and rebuild every figure, table and number.

    \b
    Reviewer:   benchpaper doctor          what can be measured on this machine, and what not
                benchpaper run             measure, analyse, typeset; then read the summary
    Author:     benchpaper run --from reference figures    after changing a notebook
                benchpaper explain fabric-get-posix-4k     where does this number come from?
    Co-author:  benchpaper plan rdma/fabric                what would be measured, in which order
    """


@cli.command("list")
@json_option
def list_(as_json):
    """The experiments, the question of each, and what they need."""
    from benchpaper import reports

    project = Project.find()
    found, mistakes = each(catalog.names(project), lambda name: reports.experiment(catalog.load(project, name)))
    tell(found, as_json, reports.show_experiments)
    tell_mistakes(mistakes)


@cli.command()
@site_option
@json_option
def doctor(site, as_json):
    """Facts and capabilities of the site's hosts, which cells can run there and which not, with the remedy."""
    from benchpaper import reports

    project = Project.find()
    run = pipeline.Pipeline(project, site, "full", DEFAULT_SEED)
    found, mistakes = reports.diagnosis(run)
    tell(found, as_json, reports.show_diagnosis)
    tell_mistakes(mistakes)


@cli.command()
@click.argument("experiments", nargs=-1)
@scale_option
@site_option
@seed_option
@click.option("--trials", "with_trials", is_flag=True, help="Also list every trial in its order.")
@json_option
def plan(experiments, scale, site, seed, with_trials, as_json):
    """Cells, blocks, trials, order, time and disk, before anything runs."""
    from benchpaper import reports

    run = pipeline.Pipeline(Project.find(), site, _measurable(scale), seed)
    chosen = run.choose(" ".join(experiments))
    run.check_site()
    found, mistakes = each(chosen, lambda name: reports.plan(run, name, with_trials))
    tell(found, as_json, reports.show_plans)
    tell_mistakes(mistakes)


@cli.command()
@click.argument("targets", nargs=-1)
@scale_option
@site_option
@seed_option
@click.option("--from", "source", metavar=REFERENCE, help="Use the committed reference results; measure nothing.")
@click.option("-n", "--dry-run", is_flag=True, help="Show what would run.")
@click.option("--retry-failed", is_flag=True, help="Also measure again the trials that failed.")
@click.option("--measure-again", is_flag=True, help="Remove the results of this scale, and measure them anew.")
@click.option("--profile", metavar="NAME", help='How Snakemake runs: profiles/NAME; "slurm" for a cluster.')
@json_option
def run(targets, scale, site, seed, source, dry_run, retry_failed, measure_again, profile, as_json):
    """Measure, run the notebooks, build exhibits and PDF; what is up to date is left alone.

    TARGETS are any of: results, figures, paper (default: these three), report, bundle, and names of experiments to
    restrict it to.
    Interrupt it whenever you like; the next run goes on with the trials that are missing.
    """
    from benchpaper import runner

    if source is not None and source != REFERENCE:
        raise UserError(f'--from "{source}": the only other source is "{REFERENCE}"; for a scale use --scale')
    project = Project.find()
    chosen = pipeline.Pipeline(project, site, source or _measurable(scale), seed, profile)
    sys.exit(runner.run(chosen, targets, dry_run, as_json, retry_failed, measure_again))


@cli.command()
@click.argument("experiment")
@scale_option
@site_option
@seed_option
def pilot(experiment, scale, site, seed):
    """Measure an experiment's pilot, and fix from its spread and the time budget how many blocks a run takes."""
    from benchpaper import pilot, runner

    run = pipeline.Pipeline(Project.find(), site, _measurable(scale), seed)
    run.choose(experiment)
    folder = run.folder / experiment
    pilot.check(folder, run.experiment(experiment), scale)
    if status := runner.run(run, ("results", experiment)):
        sys.exit(status)
    found = pilot.fix(folder, run.experiment(experiment), scale)
    click.echo(f"{pilot.told(found)}; benchpaper run --scale {scale} measures the rest")


@cli.command()
@click.argument("name")
@site_option
@click.option("--source", help="smoke, quick, full or reference (default: the one built last).")
@json_option
def explain(name, site, source, as_json):
    """How do you know? The trail of a figure, table or number: notebook, data, trials, the very commands.

    NAME is an exhibit's, or a label as it stands in the PDF ("Figure 3", "Table 1").
    """
    from benchpaper import trail

    if source:
        one_of("source", source, (*SCALES, REFERENCE))
    found = trail.explain(Project.find(), name, site, source)
    tell(found, as_json, trail.show)


@cli.command()
@site_option
@click.option("--source", default="quick", show_default=True, help="smoke, quick, full or reference.")
@click.option("--reference-site", default="local", show_default=True, help="The site of the reference results.")
@click.option("--family-wise", is_flag=True, help="Widen the intervals: 5 % for any wrong verdict, not for each.")
@click.option("--strict", is_flag=True, help="Exit with 1 when a claim is contradicted.")
@json_option
def claims(site, source, reference_site, family_wise, strict, as_json):
    """The paper's claims, each with its value in the paper, its value here, and the verdict."""
    from benchpaper import claims, reports

    project = Project.find()
    source = pipeline.Pipeline(project, site, source, DEFAULT_SEED).source
    here = claims.judge_all(project, site, source, family_wise)
    paper = claims.judge_all(project, reference_site, REFERENCE, family_wise)
    found = reports.verdicts(here, paper)
    tell(found, as_json, reports.show_verdicts)
    sys.exit(1 if strict and claims.failing(here) else 0)


@cli.command()
@click.argument("experiments", nargs=-1)
@site_option
@click.option("--source", default="quick", show_default=True, help="smoke, quick or full: the run to compare.")
@click.option("--reference-site", default="local", show_default=True, help="The site of the reference results.")
@click.option("--metric", help="What to compare by (default: the experiment's first metric with a direction).")
@json_option
def compare(experiments, site, source, reference_site, metric, as_json):
    """This run beside the reference: what differs between the sites, each claim and cell by how much, and a figure."""
    from benchpaper import compare

    project = Project.find()
    chosen = pipeline.Pipeline(project, site, source, DEFAULT_SEED).choose(" ".join(experiments))
    found = [compare.compare(project, name, site, source, reference_site, metric) for name in chosen]
    for one in found:
        one["figures"] = [str(path.relative_to(project.root)) for path in compare.draw(project, one, site, source)]
    tell(found, as_json, compare.show_all)


@cli.command()
@click.argument("experiments", nargs=-1)
def store(experiments):
    """Run notebooks on the reference results and store their text outputs, which the tests compare.

    Do this after changing a notebook or the reference, look at the difference (git diff), and commit it.
    """
    from benchpaper import notebook

    project = Project.find()
    run = pipeline.Pipeline(project, "local", REFERENCE, DEFAULT_SEED)
    for name in run.choose(" ".join(experiments)):
        click.echo(f"stored {notebook.store(project, name).relative_to(project.root)}")


@cli.command()
@click.argument("experiments", nargs=-1)
@site_option
def adopt(experiments, site):
    """Make the results measured at scale full the reference results (artifacts/reference/)."""
    project = Project.find()
    run = pipeline.Pipeline(project, site, "full", DEFAULT_SEED)
    for name in run.choose(" ".join(experiments)):
        for kind in (results.OBSERVATIONS, results.TRIALS):
            table, _ = results.read(run.folder / name / kind)  # refuses what is missing or broken first
        if not all(table.column("git_clean").to_pylist()):
            click.echo(
                f"note: {name} was measured with uncommitted changes; nobody can check out what was measured", err=True
            )
        target = project.results(site, REFERENCE) / name
        target.mkdir(parents=True, exist_ok=True)
        for kind in (results.OBSERVATIONS, results.TRIALS):
            shutil.copyfile(run.folder / name / kind, target / kind)
            click.echo(f"{(target / kind).relative_to(project.root)}: {(target / kind).stat().st_size / 1e6:.2f} MB")


cli.add_command(lab)
for command in artifact_commands.COMMANDS:
    cli.add_command(command)
cli.add_command(step)


def _measurable(scale):
    if scale == REFERENCE:
        raise UserError('"reference" is not a scale to measure at; use --from reference')
    return one_of("scale", scale, SCALES)


def main():
    """Run the command line; a user's mistake is one line and exit status 2. No error shows a secret."""
    try:
        cli.main(standalone_mode=False)
    except UserError as error:
        _fail(str(error), 2)
    except click.exceptions.Abort:
        _fail("interrupted; what is finished is kept: the same command goes on from here", 130)
    except click.ClickException as error:
        _fail(error.format_message(), 2)
    except HostError as error:
        _fail(str(error), 1)
    except OSError as error:
        _fail(os_error(error), 1)
    except Exception:  # a mistake of the program itself
        _fail(traceback.format_exc(), 1)


def _fail(text, status):
    click.echo(f"benchpaper: {Redactor(Path.cwd()).without_secrets(text)}", err=True)
    sys.exit(status)


def os_error(error):
    """Return an error of the operating system as one line with the next step."""
    what = error.strerror or str(error)
    where = f": {Path(error.filename).name}" if error.filename else ""
    if error.errno == errno.ENOSPC:
        return f"{what}{where}; {room.NEXT_STEP}"
    return f"{what}{where}"
