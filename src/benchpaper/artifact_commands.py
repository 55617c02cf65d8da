"""The commands around the artifact: bundle, verify, check, new, watch, changed."""

import json
import sys
from pathlib import Path

import click

from benchpaper import pipeline, results
from benchpaper.commands import json_option, tell
from benchpaper.errors import UserError
from benchpaper.plan import DEFAULT_SEED
from benchpaper.project import REFERENCE, Project
from benchpaper.revision import known_revision
from benchpaper.sources import Asked, site_option, source_options


@click.command()
@source_options
@click.option(
    "--anonymous", is_flag=True, help="Without names, hosts, users, paths and origins, for double-blind review."
)
@click.option("--also", multiple=True, metavar="WORD", help="With --anonymous: a further word that must not be in it.")
@click.option("--output", type=click.Path(path_type=Path), help="Where to (default: build/SITE-SOURCE/bundle.zip).")
def bundle(asked, anonymous, also, output):
    """One archive for a committee, with all that the paper rests on.

    It holds sources, lock, results, notebooks, exhibits, PDF, verdicts and an RO-Crate; the same files give the same
    bytes. It bundles what is built: run ./reproduce (--from reference) before.

    \b
    Example:  benchpaper bundle --from reference
              benchpaper bundle --from reference --anonymous --output review.zip
    """
    project = Project.find()
    known_revision(project)  # without a commit there is no bundle, whatever is built
    chosen = asked.built(project)
    if chosen.note:
        click.echo(chosen.note)
    _check_whole(pipeline.Pipeline(project, chosen.site, chosen.source, DEFAULT_SEED))
    if anonymous:
        from benchpaper.bundle import anonymous as nameless

        made = nameless.make(project, chosen.site, chosen.source, output, also)
    else:
        from benchpaper import bundle as bundles

        made = bundles.make(project, chosen.site, chosen.source, output)
    path, digest, count, clean = made
    if not clean:
        click.echo("note: the work tree has uncommitted changes; nobody can check out what is bundled", err=True)
    click.echo(f"{path}: {count} files, {Path(path).stat().st_size / 1e6:.1f} MB\nsha256 {digest}")


def _check_whole(run):
    """Refuse to bundle what a failed or interrupted run left."""
    from benchpaper import whole

    place = run.project, run.site_name, run.source
    experiments = [name for name in run.available if (run.folder / name / results.TRIALS).exists()]
    for path, why in [*whole.flaws(*place, experiments).items(), *whole.without_pdf(*place).items()]:
        options = f"--from {REFERENCE}" if run.source == REFERENCE else f"--scale {run.source}"
        options += "" if run.site_name == "local" else f" --site {run.site_name}"
        raise UserError(f"{path.relative_to(run.project.root)} {why}; run ./reproduce {options} first")


@click.command()
@click.argument("archive", type=click.Path(path_type=Path))
@click.option("--sha256", "digest", help="The digest that the archive was published with.")
@click.option("--into", type=click.Path(path_type=Path), help="Unpack it there when all is well (a new folder).")
@click.option("--figures", is_flag=True, help="Also run its notebooks and LaTeX, offline, and compare what comes out.")
@json_option
def verify(archive, digest, into, figures, as_json):
    """Check an archive without running anything of it.

    It checks form, digests, schema and crate, and that the numbers come from the data. With --figures its own code is
    run, in this environment: do that when you trust where it came from.

    \b
    Example:  benchpaper verify bundle.zip
              benchpaper verify bundle.zip --figures
    """
    from benchpaper.bundle import regenerate
    from benchpaper.bundle import verify as checks

    try:
        found = checks.verify(archive, digest, into)
        if not as_json:
            _show_verified(found)
        if figures:
            found["figures"] = regenerate.regenerate(archive, _progress)
    except UserError as error:
        if as_json:
            click.echo(json.dumps({"error": str(error)}))
        else:
            click.echo(f"NOT VERIFIED  {archive.name}: {error}", err=True)
        sys.exit(1)
    if as_json:
        click.echo(json.dumps(found, indent=1))
    elif figures:
        _show_again(found["figures"])
    different = regenerate.DIFFERENT in found["figures"]["files"].values() if figures else False
    sys.exit(1 if different else 0)


def _progress(done, total, what):
    """One line that is written over on a terminal; elsewhere only every fourth step."""
    if sys.stderr.isatty():
        click.echo(f"\r\x1b[K  {done} of {total} steps: {what}" if done < total else "\r\x1b[K", nl=False, err=True)
    elif done % 4 == 0 or done == total:
        click.echo(f"  {done} of {total} steps: {what}", err=True)


def _show_verified(found):
    click.echo(f"{found['archive']}  {found['source']} results of site {found['site']}, commit {found['commit'][:12]}")
    for line in found["checks"]:
        click.echo(f"  ok  {line}")
    click.echo(f"sha256 {found['sha256']}; compare it with the one that was published")


def _show_again(figures):
    """How many files came out the same, and by name those that did not to the byte."""
    from benchpaper.bundle import regenerate

    click.echo(f"made again from the archive alone, {figures['network']}, {figures['environment']}:")
    for word, count in regenerate.counted(figures["files"]).items():
        click.echo(f"  {count:4} files {word}")
    for name, word in figures["files"].items():
        if word != regenerate.EQUAL:
            click.echo(f"  {word:24}{name}")
    if figures["files"].get("paper.pdf") == regenerate.EQUAL:
        click.echo("the PDF came out the same, to the byte")


@click.command()
@click.argument("experiment", required=False)
@click.option("--fast", is_flag=True, help="Leave out what takes minutes: the clean clone, or the run at scale smoke.")
@json_option
def check(experiment, fast, as_json):
    """The committee's checklist, or an EXPERIMENT's contracts.

    It prints a line for each point, with the remedy for what is missing.

    \b
    Example:  benchpaper check --fast
              benchpaper check rdma/fabric
    """
    from benchpaper import checklist, contract

    project = Project.find()
    found = contract.run(project, experiment, not fast) if experiment else checklist.run(project, not fast)
    if as_json:
        click.echo(checklist.as_json(found))
        good = not any(wrong for _, wrong in found)
    else:
        good = checklist.show(found)
    sys.exit(0 if good else 1)


@click.command()
@click.argument("name")
def new(name):
    """Write a new experiment that runs as it is.

    NAME is FAMILY/NAME. It comes with a notebook, a claim and a test; change it from there.

    \b
    Example:  benchpaper new caching/ttl
    """
    from benchpaper import scaffold

    project = Project.find()
    for path in scaffold.new(project, name):
        click.echo(path.relative_to(project.root))
    click.echo(f"next: benchpaper check {name}; then change it (experiments/README.md is the tutorial)")


@click.command()
@source_options
def watch(asked):
    """Rebuild what depends on a file when it is saved.

    The files are notebooks, claims and the paper's sentences. Kernels stay warm, so that figures, numbers and PDF follow in seconds.

    \b
    Example:  benchpaper watch --from reference
    """
    from benchpaper import watch as watching

    project = Project.find()
    chosen = asked.built(project)
    if chosen.note:
        click.echo(chosen.note)
    watching.watch(project, chosen.site, chosen.source, click.echo)


@click.command()
@site_option
@click.option("--against", default="HEAD", show_default=True, help="The commit to compare with.")
@json_option
def changed(site, against, as_json):
    """Numbers of the paper that have changed since the last commit.

    They come from the reference results; each is shown with its old and its new value.

    \b
    Example:  benchpaper changed
              benchpaper changed --against HEAD~3
    """
    from benchpaper import changes

    project = Project.find()
    known_revision(project)  # it says why, where git refuses
    found = changes.changed(project, Asked(site, None, reference=True).built(project).site, against)
    tell(found, as_json, changes.show)


COMMANDS = (bundle, verify, check, new, watch, changed)
