"""The commands, and how a mistake is told."""

import errno
import shutil
import sys
import traceback
from contextlib import suppress
from pathlib import Path

import click

from benchpaper import artifact_commands, caches, catalog, output, pipeline, results, room, sources
from benchpaper.commands import Group, each, json_option, tell, tell_mistakes
from benchpaper.errors import UserError
from benchpaper.hosts import HostError
from benchpaper.lab import lab
from benchpaper.plan import DEFAULT_SEED
from benchpaper.project import REFERENCE, Project
from benchpaper.redact import Redactor
from benchpaper.sources import reference_site_option, scale_option, site_option, source_options
from benchpaper.steps import step

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


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

    Commands that read results take yours at scale quick, or those that --scale or --from reference names.
    """
    with suppress(UserError):  # a command that needs a project says so itself
        caches.keep_below(Project.find().state)


@cli.command("list")
@json_option
def list_(as_json):
    """The experiments, the question of each, and what they need.

    \b
    Example:  benchpaper list
    """
    from benchpaper import reports

    project = Project.find()
    found, mistakes = each(catalog.names(project), lambda name: reports.experiment(catalog.load(project, name)))
    if found or as_json or not mistakes:  # else it would say that there are none
        tell(found, as_json, reports.show_experiments)
    tell_mistakes(mistakes)


@cli.command()
@site_option
@json_option
def doctor(site, as_json):
    """What the site's hosts can measure, and the remedy for what not.

    \b
    Example:  benchpaper doctor
              benchpaper doctor --site local --json
    """
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
    """Cells, blocks, trials, time and disk, before anything runs.

    \b
    Example:  benchpaper plan
              benchpaper plan rdma/fabric --scale full --trials
    """
    from benchpaper import reports

    run = pipeline.Pipeline(Project.find(), site, scale or sources.DEFAULT, seed)
    chosen = run.choose(" ".join(experiments))
    run.check_site()
    found, mistakes = each(chosen, lambda name: reports.plan(run, name, with_trials))
    tell(found, as_json, reports.show_plans)
    tell_mistakes(mistakes)


@cli.command()
@click.argument("targets", nargs=-1)
@source_options
@seed_option
@click.option("-n", "--dry-run", is_flag=True, help="Show what would run.")
@click.option("--retry-failed", is_flag=True, help="Also measure again the trials that failed by their own fault.")
@click.option("--measure-again", is_flag=True, help="Remove the results of this scale, and measure them anew.")
@click.option("--profile", metavar="NAME", help='How Snakemake runs: profiles/NAME; "slurm" for a cluster.')
@json_option
def run(targets, asked, seed, dry_run, retry_failed, measure_again, profile, as_json):
    """Measure, run the notebooks, build exhibits and PDF.

    TARGETS are any of: results, figures, paper (default: these three), report, bundle, and names of experiments to
    restrict it to. What is up to date is left alone; with --from reference nothing is measured.
    Interrupt it whenever you like; the next run goes on with the trials that are missing.

    \b
    Example:  benchpaper run
              benchpaper run rdma/fabric --scale smoke
              benchpaper run --from reference figures
    """
    from benchpaper import runner

    chosen = pipeline.Pipeline(Project.find(), asked.site, asked.source, seed, profile)
    sys.exit(runner.run(chosen, targets, dry_run, as_json, retry_failed, measure_again))


@cli.command()
@click.argument("experiment")
@scale_option
@site_option
@seed_option
def pilot(experiment, scale, site, seed):
    """Measure a few blocks, and fix how many a run takes.

    The number follows from their spread and the time budget.

    \b
    Example:  benchpaper pilot rdma/fabric --scale full
    """
    from benchpaper import pilot, runner

    scale = scale or sources.DEFAULT
    run = pipeline.Pipeline(Project.find(), site, scale, seed)
    run.choose(experiment)
    folder = run.folder / experiment
    pilot.check(folder, run.experiment(experiment), scale)
    if status := runner.run(run, ("results", experiment)):
        sys.exit(status)
    found = pilot.fix(folder, run.experiment(experiment), scale)
    click.echo(f"{pilot.told(found)}; benchpaper run --scale {scale} measures the rest")


@cli.command()
@click.argument("name")
@source_options
@json_option
def explain(name, asked, as_json):
    """How do you know? The trail of a figure, table or number.

    It goes from the notebook over data and trials to the very commands. NAME is an exhibit's, or a label as it stands
    in the PDF ("Figure 3", "Table 1").

    \b
    Example:  benchpaper explain "Figure 2"
              benchpaper explain fabric-get-posix-4k --from reference
    """
    from benchpaper import trail

    project = Project.find()
    chosen = asked.built(project)
    found = trail.explain(project, name, chosen.site, chosen.source)
    tell(found, as_json, trail.show, chosen.note)


@cli.command()
@source_options
@reference_site_option
@click.option("--family-wise", is_flag=True, help="Widen the intervals: 5 % for any wrong verdict, not for each.")
@click.option("--strict", is_flag=True, help="Exit with 1 when a claim is contradicted.")
@json_option
def claims(asked, reference_site, family_wise, strict, as_json):
    """The paper's claims: the value there, the value here, the verdict.

    \b
    Example:  benchpaper claims
              benchpaper claims --from reference --strict
    """
    from benchpaper import claims, reports

    project = Project.find()
    chosen = asked.measured(project)
    here = claims.judge_all(project, chosen.site, chosen.source, family_wise)
    paper = claims.judge_all(project, sources.reference_site(project, reference_site), REFERENCE, family_wise)
    about = {"site": chosen.site, "source": chosen.source, "reference_site": reference_site}
    found = {**about, **reports.verdicts(here, paper)}
    tell(found, as_json, reports.show_verdicts, chosen.note)
    sys.exit(1 if strict and claims.failing(here) else 0)


@cli.command()
@click.argument("experiments", nargs=-1)
@source_options
@reference_site_option
@click.option("--metric", help="What to compare by (default: the experiment's first metric with a direction).")
@json_option
def compare(experiments, asked, reference_site, metric, as_json):
    """A run beside the reference: what differs, and by how much.

    It begins with what differs between the two sites; then each claim and cell, and a figure. Without EXPERIMENTS it
    takes those that both sides have.

    \b
    Example:  benchpaper compare rdma/fabric
              benchpaper compare rdma/fabric --scale full --metric latency_us
    """
    from benchpaper import compare

    project = Project.find()
    for name in experiments:
        catalog.known(project, name)
    chosen = asked.measured(project)
    reference = sources.Chosen(sources.reference_site(project, reference_site), REFERENCE)
    names = pipeline.Pipeline(project, chosen.site, chosen.source, DEFAULT_SEED).choose(" ".join(experiments))
    if not experiments:
        names = [name for name in names if all(one.has(project, name) for one in (chosen, reference))] or names[:1]
    found = [compare.compare(project, name, chosen.site, chosen.source, reference_site, metric) for name in names]
    no_figure = _not_writable()
    for one in found:
        drawn = [] if no_figure else compare.draw(project, one, chosen.site, chosen.source)
        one["figures"] = [str(path.relative_to(project.root)) for path in drawn]
    tell(found, as_json, compare.show_all)
    if no_figure:
        click.echo(f"note: no figures were drawn: {no_figure}", err=True)


@cli.command()
@click.argument("experiments", nargs=-1)
def store(experiments):
    """Store the notebooks' text outputs, which the tests compare.

    The notebooks run on the reference results.
    Do this after changing a notebook or the reference, look at the difference (git diff), and commit it.

    \b
    Example:  benchpaper store rdma/fabric
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
    """Make results measured at scale full the reference.

    They go to artifacts/reference/SITE.

    \b
    Example:  benchpaper adopt rdma/fabric
    """
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


def main():
    """Run the command line; a user's mistake is one line and exit status 2. No error shows a secret."""
    output.guard()
    try:
        status = _run()
        sys.stdout.flush()
    except output.OutputError as error:
        status = _failed(str(error), error.status) if str(error) else error.status
    sys.exit(status)


def _run():
    """Run the command and return its exit status; whatever goes wrong is told here."""
    try:
        return cli.main(standalone_mode=False) or 0
    except SystemExit as end:
        return end.code
    except output.OutputError:
        raise
    except UserError as error:
        return _failed(str(error), 2)
    except click.exceptions.Abort:
        return _failed("interrupted; what is finished is kept: the same command goes on from here", 130)
    except click.exceptions.NoArgsIsHelpError as error:  # a group without a command
        click.echo(error.format_message(), err=True)
        return 2
    except click.ClickException as error:
        return _failed(error.format_message(), 2)
    except HostError as error:
        return _failed(str(error), 1)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EROFS) and (why := _not_writable()):
            return _failed(why, 2)
        return _failed(os_error(error), 1)
    except Exception:  # a mistake of the program itself
        return _failed(traceback.format_exc(), 1)


def _failed(text, status):
    click.echo(f"benchpaper: {Redactor(Path.cwd()).without_secrets(text)}", err=True)
    return status


def _not_writable() -> str:
    """Return the one line about a project that this user cannot write; empty for one that is writable, or for none."""
    try:
        Project.find().check_writable()
    except UserError as error:
        return str(error)
    return ""


def os_error(error):
    """Return an error of the operating system as one line with the next step."""
    what = error.strerror or str(error)
    where = f": {Path(error.filename).name}" if error.filename else ""
    if room.is_full(error):
        return f"{what}{where}; {room.NEXT_STEP}"
    return f"{what}{where}"
