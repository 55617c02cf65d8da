"""The commands of the artifact's authors: check, init, upgrade, lock, new, watch, changed."""

import shlex
import sys
from pathlib import Path

import click

from benchpaper.cli.common import json_option, print_result
from benchpaper.cli.sources import Request, site_option, source_options
from benchpaper.core.project import Project
from benchpaper.core.revision import known_revision


@click.command()
@click.argument("experiment", required=False)
@click.option(
    "--fast",
    is_flag=True,
    help="Leave out the slow parts: the clean clone, or the run at the quickest scale.",
)
@json_option
def check(experiment: str | None, fast: bool, as_json: bool) -> None:
    """The committee's checklist, or an EXPERIMENT's contracts.

    It prints a line for each point, with the remedy if it fails.

    \b
    Example:  benchpaper check --fast
              benchpaper check net/latency
    """
    from benchpaper.artifact import checklist, experiment_checks

    project = Project.find()
    points = (
        experiment_checks.run(project, experiment, not fast)
        if experiment
        else checklist.run(project, not fast)
    )
    if as_json:
        click.echo(checklist.as_json(points))
        good = not any(wrong for _, wrong in points)
    else:
        good = checklist.show(points)
    sys.exit(0 if good else 1)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=".")
@click.option("--title", help="The paper's title.")
@click.option(
    "--author", "authors", multiple=True, metavar="NAME", help="An author; give it once for each."
)
@click.option("--licence", default="Apache-2.0", show_default=True, help="Its SPDX name.")
@click.option(
    "--experiment",
    default="first/pipe_cost",
    show_default=True,
    metavar="FAMILY/NAME",
    help="The name of the experiment to start from.",
)
def init(
    folder: Path,
    title: str | None,
    authors: tuple[str, ...],
    licence: str,
    experiment: str,
) -> None:
    """Start a paper of your own in FOLDER (default: here).

    It writes 15 files, all yours to change: an experiment, a notebook, a claim, a test, and a paper
    that prints their results. The project runs as it is. On a terminal, it asks for the title and
    the author if you give none.

    \b
    Example:  benchpaper init my-paper --title "What a pipe costs" --author Anonymous
              cd my-paper && ./reproduce
    """
    from benchpaper.artifact import start

    asks = sys.stdin.isatty()
    title = title or (click.prompt("title", default="Untitled") if asks else "Untitled")
    authors = authors or (
        (click.prompt("author", default="Anonymous"),) if asks else ("Anonymous",)
    )
    paper = start.Description(title, authors, licence, experiment)
    for path in start.init(folder, paper):
        click.echo(path)
    click.echo(f"next: cd {shlex.quote(str(folder))} && git init && ./reproduce")


@click.command()
def upgrade() -> None:
    """Show what a newer benchpaper changes in your files, as a patch.

    They are the files that `benchpaper init` writes alike for every paper: Snakefile, reproduce,
    .ci/run, .gitignore. It changes nothing; `patch -p1` applies what it prints. Everything else is
    yours alone.

    \b
    Example:  benchpaper upgrade
    """
    from benchpaper.artifact import start

    patch = start.upgrade(Project.find())
    if patch:
        click.echo(patch, nl=False)
    else:
        click.echo("nothing differs from what this version writes", err=True)


@click.command()
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    help="What pip install --report FILE wrote.",
)
@click.option(
    "--find-links",
    "folders",
    type=click.Path(path_type=Path, file_okay=False),
    multiple=True,
    metavar="FOLDER",
    help="A folder with wheels that no index has; give it once for each.",
)
def lock(report: Path | None, folders: tuple[Path, ...]) -> None:
    """Write requirements.lock: the packages here, with digests.

    It lists the packages that pyproject.toml names, and all that they need, in the versions of this
    environment. The digests come from the index that pip uses. ./reproduce calls it when
    pyproject.toml has changed.

    \b
    Example:  benchpaper lock
              benchpaper lock --find-links ../wheels
    """
    from benchpaper.artifact import locking

    written = locking.write(Project.find(), report, folders)
    for note in written.notes:
        click.echo(f"benchpaper: {note}", err=True)
    state = f"has {len(written.pins)} packages" if written.changed else "is up to date"
    click.echo(f"{locking.LOCK} {state}")


@click.command()
@click.argument("name")
def new(name: str) -> None:
    """Write a new experiment that runs as it is.

    NAME is FAMILY/NAME. The experiment comes with a notebook, a claim, and a test; change them.

    \b
    Example:  benchpaper new caching/ttl
    """
    from benchpaper.artifact import scaffold

    project = Project.find()
    for path in scaffold.new(project, name):
        click.echo(path.relative_to(project.root))
    click.echo(f"next: benchpaper check {name} measures it at the quickest scale; then change it")


@click.command()
@source_options
def watch(request: Request) -> None:
    """Rebuild the outputs of a file when you save it.

    The files are notebooks, claims, and the paper's sections. Kernels stay warm, so that figures,
    numbers, and PDF follow in seconds.

    \b
    Example:  benchpaper watch --from reference
    """
    from benchpaper.workflow import watch as watching

    project = Project.find()
    chosen = request.built(project)
    if chosen.note:
        click.echo(chosen.note)
    watching.watch(project, chosen.site, chosen.source, click.echo)


@click.command()
@source_options
@click.option(
    "--class",
    "venue",
    required=True,
    metavar="acm|usenix",
    help="The class of the venue; TeX must have it.",
)
def typeset(request: Request, venue: str) -> None:
    """Typeset the paper in the class of a venue, from what is built.

    The PDF is build/SITE-SOURCE/paper-CLASS.pdf. `benchpaper run paper` makes the paper itself, in
    the class that its main file asks for.

    \b
    Example:  benchpaper typeset --class acm --from reference
    """
    from benchpaper.paper import venues

    project = Project.find()
    chosen = request.built(project)
    if chosen.note:
        click.echo(chosen.note)
    path = venues.typeset(project, chosen.site, chosen.source, venue)
    click.echo(path.relative_to(project.root))


@click.command()
@site_option
@click.option("--against", default="HEAD", show_default=True, help="The commit to compare with.")
@json_option
def changed(site: str, against: str, as_json: bool) -> None:
    """Numbers of the paper that have changed since the last commit.

    They come from the reference results. It shows each with its old and new value.

    \b
    Example:  benchpaper changed
              benchpaper changed --against HEAD~3
    """
    from benchpaper.paper import number_diff

    project = Project.find()
    known_revision(project)  # it raises with the reason if git refuses
    chosen = Request(site, None, reference=True).built(project)
    numbers = number_diff.changed(project, chosen.site, against)
    print_result(numbers, as_json, number_diff.show)


COMMANDS = (check, init, upgrade, lock, new, watch, typeset, changed)
