"""The commands of archives: bundle and verify."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from benchpaper import results
from benchpaper.cli.common import json_option
from benchpaper.cli.sources import Request, source_options
from benchpaper.core import extras
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
    keep: tuple[str, ...],
    report: Path | None,
    output: Path | None,
    sign: Path | None,
) -> None:
    """One archive for a committee, with all that the paper rests on.

    It holds sources, lock, results, notebooks, exhibits, PDF, verdicts, and an RO-Crate; the same
    files give the same bytes. It bundles existing outputs: run ./reproduce (--from reference)
    first.

    \b
    Example:  benchpaper bundle --from reference
              benchpaper bundle --from reference --anonymous --report changes.md
              benchpaper bundle --from reference --sign ~/.ssh/id_ed25519
    """
    from benchpaper.artifact.bundle import signature

    extras.require("bundle", "benchpaper bundle")

    if (also or keep or report) and not anonymous:
        raise click.UsageError("--also, --keep, and --report need --anonymous")
    if anonymous and sign:
        raise UserError("--sign tells whose archive it is; leave it out with --anonymous")
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
    if sign:
        click.echo(f"signature {signature.sign(Path(path), sign)}; publish it with the archive")


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
    signed_by: Path | None,
    into: Path | None,
    figures: bool,
    trust_code: bool,
    as_json: bool,
) -> None:
    """Check an archive without running its code.

    It compares every statement that stands twice, and computes numbers and verdicts again from the
    data, without a network, in bounded memory and time. --sha256 and --signed-by check whose it is.

    --figures runs the archive's own code in a sandbox: without a network, your files, or your
    environment. Where no sandbox can be had, it refuses; --trust-code runs the code all the same,
    so use it only if you trust who made the archive.

    \b
    Example:  benchpaper verify bundle.zip
              benchpaper verify bundle.zip --signed-by authors.keys
              benchpaper verify bundle.zip --figures
    """
    from benchpaper.artifact.bundle import regenerate, sandbox
    from benchpaper.artifact.bundle import verify as checks

    extras.require("bundle", "benchpaper verify")
    if trust_code and not figures:
        raise click.UsageError("--trust-code is about --figures, which alone runs code; add it")
    try:
        report = checks.verify(archive, digest, into, signed_by)
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


COMMANDS = (bundle, verify)
