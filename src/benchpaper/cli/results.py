"""The commands that read results, store, or adopt them.

They are explain, claims, compare, store, adopt, and accept-change.
"""

import sys

import click

from benchpaper.cli import sources
from benchpaper.cli.common import json_option, print_result, why_not_writable
from benchpaper.cli.sources import Request, reference_site_option, site_option, source_options
from benchpaper.core import settings
from benchpaper.core.errors import UserError
from benchpaper.core.project import REFERENCE, Project
from benchpaper.design import catalog
from benchpaper.design.plan import DEFAULT_SEED
from benchpaper.workflow import pipeline


@click.command()
@click.argument("name")
@source_options
@json_option
def explain(name: str, request: Request, as_json: bool) -> None:
    """How do you know? The trail of a figure, table or number.

    It leads from the notebook through data and trials to the commands. NAME is the name of an
    exhibit, or a label in the PDF ("Figure 3", "Table 1").

    \b
    Example:  benchpaper explain "Figure 2"
              benchpaper explain latency-small --from reference
    """
    from benchpaper.paper import provenance

    project = Project.find()
    chosen = request.built(project)
    trail = provenance.explain(project, name, chosen.site, chosen.source)
    print_result(trail, as_json, provenance.show, chosen.note)


@click.command()
@source_options
@reference_site_option
@click.option(
    "--family-wise",
    is_flag=True,
    help="Widen the intervals: 5 % for any wrong verdict, not for each.",
)
@click.option("--strict", is_flag=True, help="Exit with 1 when a claim is contradicted.")
@click.option(
    "--history",
    "of_git",
    is_flag=True,
    help="By git: when each sentence and bound was written, and its reference measured.",
)
@json_option
def claims(
    request: Request,
    reference_site: str,
    family_wise: bool,
    strict: bool,
    of_git: bool,
    as_json: bool,
) -> None:
    """The paper's claims: the value there, the value here, the verdict.

    Findings come first, since they could have come out otherwise; checks of theory and of the
    harness follow.

    \b
    Example:  benchpaper claims
              benchpaper claims --from reference --strict
              benchpaper claims --history
    """
    if of_git:
        _show_history(as_json)
        return
    from benchpaper.analysis import claims as judging
    from benchpaper.cli import views

    project = Project.find()
    chosen = request.measured(project)
    here = judging.judge_all(project, chosen.site, chosen.source, family_wise)
    paper = judging.judge_all(
        project, sources.reference_site(project, reference_site), REFERENCE, family_wise
    )
    place = {"site": chosen.site, "source": chosen.source, "reference_site": reference_site}
    verdicts = {**place, **views.verdicts(here, paper)}
    print_result(verdicts, as_json, views.show_verdicts, chosen.note)
    sys.exit(1 if strict and judging.failing(here) else 0)


def _show_history(as_json: bool) -> None:
    """Print when the claims were written, and when the results that judge them were measured."""
    from benchpaper.analysis import history
    from benchpaper.analysis.claims import load_claims
    from benchpaper.cli import history_view

    project = Project.find()
    described = history_view.described(load_claims(project), history.of(project))
    print_result(described, as_json, history_view.show)


@click.command()
@click.argument("experiments", nargs=-1)
@source_options
@reference_site_option
@click.option(
    "--metric", help="What to compare by (default: the experiment's first metric with a direction)."
)
@json_option
def compare(
    experiments: tuple[str, ...],
    request: Request,
    reference_site: str,
    metric: str | None,
    as_json: bool,
) -> None:
    """A run next to the reference: what differs, and by how much.

    It begins with the differences between the two sites; then each claim and cell, and a figure; at
    the end a picture of each family's claims. Without EXPERIMENTS it compares those that both sides
    have.

    \b
    Example:  benchpaper compare net/latency
              benchpaper compare net/latency --scale full --metric latency_us
    """
    from benchpaper.analysis import compare as comparing

    project = Project.find()
    for name in experiments:
        catalog.known(project, name)
    chosen = request.measured(project)
    reference = sources.Chosen(sources.reference_site(project, reference_site), REFERENCE)
    names = pipeline.Pipeline(project, chosen.site, chosen.source, DEFAULT_SEED).choose(
        " ".join(experiments)
    )
    if not experiments:
        both = [
            name for name in names if chosen.has(project, name) and reference.has(project, name)
        ]
        names = both or names[:1]
    comparisons = [
        comparing.compare(project, name, chosen.site, chosen.source, reference_site, metric)
        for name in names
    ]
    no_figure = why_not_writable()
    if not no_figure:
        comparisons = [
            comparing.drawn(project, comparison, chosen.site, chosen.source)
            for comparison in comparisons
        ]
    print_result(comparisons, as_json, comparing.show_all)
    if not (no_figure or as_json):
        families = comparing.drawn_families(project, comparisons, chosen.site, chosen.source)
        for family, path in families.items():
            click.echo(f"the claims of {family}: {path}")
    if no_figure:
        click.echo(f"note: no figures were drawn: {no_figure}", err=True)


@click.command()
@click.argument("experiments", nargs=-1)
def store(experiments: tuple[str, ...]) -> None:
    """Store the notebooks' text outputs, which the tests compare.

    The notebooks run on the reference results. Do this after changing a notebook or the reference,
    look at the difference (git diff), and commit it.

    \b
    Example:  benchpaper store net/latency
    """
    from benchpaper.paper import notebook

    project = Project.find()
    run = pipeline.Pipeline(project, "local", REFERENCE, DEFAULT_SEED)
    for name in run.choose(" ".join(experiments)):
        click.echo(f"stored {notebook.store(project, name).relative_to(project.root)}")


@click.command()
@click.argument("experiments", nargs=-1)
@click.option("--why", default="", help="Why it was measured, or measured again.")
@site_option
def adopt(experiments: tuple[str, ...], why: str, site: str) -> None:
    """Make results measured at the paper's scale the reference.

    They go to artifacts/reference/SITE. A reference that others replace needs a reason, which
    artifacts/reference/CHANGES.md keeps, and claims --history shows. Commit it with them.

    \b
    Example:  benchpaper adopt net/latency
              benchpaper adopt net/latency --why "the client reads with O_DIRECT"
    """
    from benchpaper.workflow import adoption

    project = Project.find()
    run = pipeline.Pipeline(project, site, settings.scales(project.root).paper, DEFAULT_SEED)
    names = run.choose(" ".join(experiments))
    if not experiments:  # what is imported is in the reference already
        names = [name for name in names if run.measures(name)] or names
    for name, row in adoption.check(run, names, why).items():
        if not adoption.is_clean(run, name):
            click.echo(
                f"note: {name} was measured with uncommitted changes; "
                "nobody can check out the code that was measured",
                err=True,
            )
        for path in adoption.adopt(run, name, row):
            megabytes = path.stat().st_size / 1e6
            click.echo(f"{path.relative_to(project.root)}: {megabytes:.2f} MB")


@click.command("accept-change")
@click.argument("experiment")
@click.option("--why", default="", help="Why the change alters nothing that was measured.")
@source_options
@json_option
def accept_change(experiment: str, why: str, request: Request, as_json: bool) -> None:
    """Keep results although their code changed.

    You say why the change of the code alters nothing that was measured: a helper was renamed, a
    message reworded. The old and the new digest, your reason, and the date go into
    accepted-changes.json next to the results. Commit it with them: explain, the appendix, the
    report, and verify show it. If anything besides code changed (levels, blocks, counts, tools,
    inputs, the machine), the results stay stale.

    \b
    Example:  benchpaper accept-change net/latency --from reference --why "renamed a helper"
              benchpaper accept-change net/latency --scale full --why "reworded an error message"
    """
    from benchpaper.workflow import acceptance

    project = Project.find()
    catalog.known(project, experiment)
    chosen = request.measured(project)
    if chosen.note:  # nobody accepts a change of the reference unawares
        raise UserError(
            f'no run of yours on site "{chosen.site}" yet; '
            "choose --from reference to accept the change for the authors' results"
        )
    run = pipeline.Pipeline(project, chosen.site, chosen.source, DEFAULT_SEED)
    changes = acceptance.accept(run, experiment, why)
    print_result(changes, as_json, acceptance.show)


COMMANDS = (explain, claims, compare, store, adopt, accept_change)
