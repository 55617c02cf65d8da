"""The commands of the artifact and its authors: bundle, verify, check, init, new, …"""

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from benchpaper import results
from benchpaper.cli.common import json_option, print_result
from benchpaper.cli.sources import Request, site_option, source_options
from benchpaper.core.errors import UserError
from benchpaper.core.project import REFERENCE, Project
from benchpaper.core.revision import known_revision
from benchpaper.design.plan import DEFAULT_SEED
from benchpaper.workflow import pipeline

if TYPE_CHECKING:
    from benchpaper.artifact.bundle import Made


@click.command()
@source_options
@click.option(
    "--anonymous",
    is_flag=True,
    help="Without names, hosts, users, paths and origins, for double-blind review.",
)
@click.option(
    "--also",
    multiple=True,
    metavar="WORD",
    help="With --anonymous: a further word that must not be in it.",
)
@click.option(
    "--keep",
    multiple=True,
    metavar="WORD",
    help="With --anonymous: a part of a name that may stay, because here it is an ordinary word.",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path, allow_dash=True, dir_okay=False),
    help="With --anonymous: write what was searched for, changed, and left to this file (- to "
    "print it). It holds the names, so it never goes into the archive.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="Where to (default: build/SITE-SOURCE/bundle.zip).",
)
def bundle(
    request: Request,
    anonymous: bool,
    also: tuple[str, ...],
    keep: tuple[str, ...],
    report: Path | None,
    output: Path | None,
) -> None:
    """One archive for a committee, with all that the paper rests on.

    It holds sources, lock, results, notebooks, exhibits, PDF, verdicts, and an RO-Crate; the same
    files give the same bytes. It bundles existing outputs: run ./reproduce (--from reference)
    first.

    \b
    Example:  benchpaper bundle --from reference
              benchpaper bundle --from reference --anonymous --report changes.md
    """
    if (also or keep or report) and not anonymous:
        raise click.UsageError("--also, --keep, and --report need --anonymous")
    project = Project.find()
    known_revision(project)  # raises without a commit, whatever is built
    chosen = request.built(project)
    if chosen.note:
        click.echo(chosen.note)
    _check_whole(pipeline.Pipeline(project, chosen.site, chosen.source, DEFAULT_SEED))
    if anonymous:
        made = _anonymous(project, chosen.site, chosen.source, output, also, keep, report)
    else:
        from benchpaper.artifact import bundle as bundles

        made = bundles.make(project, chosen.site, chosen.source, output)
    path, digest, count, clean = made
    if not clean:
        click.echo(
            "note: the work tree has uncommitted changes; nobody can check out the bundled code",
            err=True,
        )
    click.echo(f"{path}: {count} files, {Path(path).stat().st_size / 1e6:.1f} MB\nsha256 {digest}")


def _anonymous(
    project: Project,
    site: str,
    source: str,
    output: Path | None,
    also: tuple[str, ...],
    keep: tuple[str, ...],
    report: Path | None,
) -> "Made":
    """Make the anonymous archive, and write the report even if the archive is refused."""
    from benchpaper.artifact.bundle import anonymous as nameless
    from benchpaper.artifact.bundle.anonymity import report as reports

    if report and str(report) != "-":
        reports.check(report, project)  # before the work
    account = reports.Report()
    try:
        options = nameless.Options(also, keep)
        return nameless.make(project, site, source, output, options, account)
    finally:
        if report and str(report) == "-":
            click.echo(account.text())
        elif report:
            reports.write(account, report)


def _check_whole(run: pipeline.Pipeline) -> None:
    """Raise `UserError` if a failed or interrupted run left the outputs incomplete."""
    from benchpaper.workflow import completeness

    place = run.project, run.site_name, run.source
    experiments = [name for name in run.available if (run.folder / name / results.TRIALS).exists()]
    flaws = completeness.flaws(*place, experiments) | completeness.without_pdf(*place)
    for path, why in flaws.items():
        options = f"--from {REFERENCE}" if run.source == REFERENCE else f"--scale {run.source}"
        options += "" if run.site_name == "local" else f" --site {run.site_name}"
        raise UserError(
            f"{path.relative_to(run.project.root)} {why}; run ./reproduce {options} first"
        )


@click.command()
@click.argument("archive", type=click.Path(path_type=Path))
@click.option("--sha256", "digest", help="The digest that the archive was published with.")
@click.option(
    "--into",
    type=click.Path(path_type=Path),
    help="Unpack it there if it is verified (a new folder).",
)
@click.option(
    "--figures",
    is_flag=True,
    help="Also run its notebooks and LaTeX, in a sandbox, and compare what they draw.",
)
@click.option(
    "--trust-code",
    is_flag=True,
    help="With --figures: run its code without a sandbox, with all of your rights.",
)
@json_option
def verify(
    archive: Path,
    digest: str | None,
    into: Path | None,
    figures: bool,
    trust_code: bool,
    as_json: bool,
) -> None:
    """Check an archive without running its code.

    It checks form, digests, schema, and crate, and that the numbers come from the data. --figures
    runs the archive's own code in a sandbox: without a network, your files, or your environment.
    Where no sandbox can be had, it refuses; --trust-code runs the code all the same, so use it only
    if you trust who made the archive.

    \b
    Example:  benchpaper verify bundle.zip
              benchpaper verify bundle.zip --figures
    """
    from benchpaper.artifact.bundle import regenerate, sandbox
    from benchpaper.artifact.bundle import verify as checks

    if trust_code and not figures:
        raise click.UsageError("--trust-code is about --figures, which alone runs code; add it")
    try:
        report = checks.verify(archive, digest, into)
        if not as_json:
            _show_verified(report)
        if figures:
            report["figures"] = regenerate.regenerate(archive, _progress, trust_code)
    except sandbox.SandboxError:  # says nothing against the archive
        raise
    except UserError as error:
        if as_json:
            click.echo(json.dumps({"error": str(error)}))
        else:
            click.echo(f"NOT VERIFIED  {archive.name}: {error}", err=True)
        sys.exit(1)
    if as_json:
        click.echo(json.dumps(report, indent=1))
    elif figures:
        _show_figures(report["figures"])
    different = regenerate.DIFFERENT in report["figures"]["files"].values() if figures else False
    sys.exit(1 if different else 0)


def _progress(done: int, total: int, what: str) -> None:
    """Show a step: on a terminal in place of the last one, elsewhere only every fourth step."""
    if sys.stderr.isatty():
        click.echo(
            f"\r\x1b[K  {done} of {total} steps: {what}" if done < total else "\r\x1b[K",
            nl=False,
            err=True,
        )
    elif done % 4 == 0 or done == total:
        click.echo(f"  {done} of {total} steps: {what}", err=True)


def _show_verified(report: dict[str, Any]) -> None:
    click.echo(
        f"{report['archive']}  {report['source']} results of site {report['site']}, "
        f"commit {report['commit'][:12]}"
    )
    for line in report["checks"]:
        click.echo(f"  ok  {line}")
    click.echo(f"sha256 {report['sha256']}; compare it with the published one")


def _show_figures(figures: dict[str, Any]) -> None:
    """Show how many files came out the same, and the names of those that did not."""
    from benchpaper.artifact.bundle import regenerate

    click.echo(
        f"made again from the archive alone, {figures['sandbox']}, {figures['environment']}:"
    )
    for word, count in regenerate.counted(figures["files"]).items():
        click.echo(f"  {count:4} files {word}")
    for name, word in figures["files"].items():
        if word != regenerate.EQUAL:
            reason = figures["reasons"].get(name, "")
            click.echo(f"  {word:24}{name}" + (f": {reason}" if reason else ""))
    if figures["files"].get("paper.pdf") == regenerate.EQUAL:
        click.echo("the PDF came out the same, to the byte")


@click.command()
@click.argument("experiment", required=False)
@click.option(
    "--fast",
    is_flag=True,
    help="Leave out the slow parts: the clean clone, or the run at scale smoke.",
)
@json_option
def check(experiment: str | None, fast: bool, as_json: bool) -> None:
    """The committee's checklist, or an EXPERIMENT's contracts.

    It prints a line for each point, with the remedy if it fails.

    \b
    Example:  benchpaper check --fast
              benchpaper check rdma/fabric
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
@click.option("--venue", default="", help="Where the paper goes.")
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
    venue: str,
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
    paper = start.Description(title, authors, licence, venue, experiment)
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
    click.echo(
        f"next: benchpaper check {name}; then change it (experiments/README.md is the tutorial)"
    )


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


COMMANDS = (bundle, verify, check, init, upgrade, new, watch, changed)
