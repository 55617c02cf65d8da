"""The commands of the artifact and its authors: bundle, verify, check, new, watch, changed."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from benchpaper import results
from benchpaper.cli.common import json_option, print_result
from benchpaper.cli.sources import Request, site_option, source_options
from benchpaper.core.errors import UserError
from benchpaper.core.project import REFERENCE, Project
from benchpaper.core.revision import known_revision
from benchpaper.design.plan import DEFAULT_SEED
from benchpaper.workflow import pipeline


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
    "--output",
    type=click.Path(path_type=Path),
    help="Where to (default: build/SITE-SOURCE/bundle.zip).",
)
@click.option(
    "--sign",
    type=click.Path(path_type=Path),
    metavar="KEY",
    help="Also write ARCHIVE.sig, a signature by this SSH key.",
)
def bundle(
    request: Request,
    anonymous: bool,
    also: tuple[str, ...],
    output: Path | None,
    sign: Path | None,
) -> None:
    """One archive for a committee, with all that the paper rests on.

    It holds sources, lock, results, notebooks, exhibits, PDF, verdicts, and an RO-Crate; the same
    files give the same bytes. It bundles existing outputs: run ./reproduce (--from reference)
    first.

    \b
    Example:  benchpaper bundle --from reference
              benchpaper bundle --from reference --anonymous --output review.zip
              benchpaper bundle --from reference --sign ~/.ssh/id_ed25519
    """
    from benchpaper.artifact.bundle import signature

    if anonymous and sign:
        raise UserError("--sign tells whose archive it is; leave it out with --anonymous")
    project = Project.find()
    known_revision(project)  # raises without a commit, whatever is built
    chosen = request.built(project)
    if chosen.note:
        click.echo(chosen.note)
    _check_whole(pipeline.Pipeline(project, chosen.site, chosen.source, DEFAULT_SEED))
    if anonymous:
        from benchpaper.artifact.bundle import anonymous as nameless

        made = nameless.make(project, chosen.site, chosen.source, output, also)
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
    if sign:
        click.echo(f"signature {signature.sign(Path(path), sign)}; publish it with the archive")


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
    "--signed-by",
    type=click.Path(path_type=Path),
    metavar="KEYS",
    help="A file of public SSH keys, or of allowed signers; one must have made ARCHIVE.sig.",
)
@click.option(
    "--into",
    type=click.Path(path_type=Path),
    help="Unpack it there if it is verified (a new folder).",
)
@click.option(
    "--figures",
    is_flag=True,
    help="Also run its notebooks and LaTeX, offline, and compare their outputs.",
)
@json_option
def verify(
    archive: Path,
    digest: str | None,
    signed_by: Path | None,
    into: Path | None,
    figures: bool,
    as_json: bool,
) -> None:
    """Check an archive without running its code.

    It compares every statement that stands twice, and computes numbers and verdicts again from the
    data, without a network, in bounded memory and time. --sha256 and --signed-by check whose it is.
    --figures runs the archive's own code here: do that only if you trust its origin.

    \b
    Example:  benchpaper verify bundle.zip
              benchpaper verify bundle.zip --signed-by authors.keys
              benchpaper verify bundle.zip --figures
    """
    from benchpaper.artifact.bundle import regenerate
    from benchpaper.artifact.bundle import verify as checks

    try:
        report = checks.verify(archive, digest, into, signed_by)
        if not as_json:
            _show_verified(report)
        if figures:
            report["figures"] = regenerate.regenerate(archive, _progress)
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
        f"made again from the archive alone, {figures['network']}, {figures['environment']}:"
    )
    for word, count in regenerate.counted(figures["files"]).items():
        click.echo(f"  {count:4} files {word}")
    for name, word in figures["files"].items():
        if word != regenerate.EQUAL:
            click.echo(f"  {word:24}{name}")
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


COMMANDS = (bundle, verify, check, new, watch, changed)
