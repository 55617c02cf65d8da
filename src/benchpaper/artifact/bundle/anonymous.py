"""`benchpaper bundle --anonymous`: the same archive without names and places, for blind review.

Scrubbing a copy of the project takes names out of texts, tables, and metadata. Exhibits, verdicts,
and PDF are made again from that copy. Finally a search reads every file of the archive in every
encoding. If it finds a name, no archive is written.
"""

import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from benchpaper.artifact import bundle
from benchpaper.artifact.bundle import archive, metadata, regenerate
from benchpaper.artifact.bundle.anonymity import collect, homes, report, rules
from benchpaper.artifact.bundle.anonymity.folding import squeeze
from benchpaper.artifact.bundle.anonymity.identities import PLACEHOLDERS, Identity
from benchpaper.artifact.bundle.anonymity.needles import Maker, Needle, Needles
from benchpaper.artifact.bundle.anonymity.scrub import COMMIT, REPLACEMENT, scrub
from benchpaper.artifact.bundle.anonymity.search import Search
from benchpaper.core.errors import UserError
from benchpaper.core.project import Project
from benchpaper.core.revision import Revision, known_revision


@dataclass(frozen=True)
class Options:
    """The user's own choices: words to hide as well, and parts of names that may stay."""

    also: Collection[str] = ()
    keep: Collection[str] = ()


def make(
    project: Project,
    site: str,
    source: str,
    output: Path | None = None,
    options: Options = Options(),
    account: report.Report | None = None,
) -> bundle.Made:
    """Write the anonymous archive, and fill in `account` on the way.

    Raises `UserError` naming the first place that still holds a name.
    """
    account = account if account is not None else report.Report()
    state = known_revision(project)  # first, because a git that refuses does not name authors
    files, executable = bundle.collect(project, site, source)
    names = [m.experiment for m in bundle.manifests(project.build(site, source)).values()]
    files = {name: data for name, data in files.items() if not name.startswith("build/")}
    needles = needles_for(project, files, options, account)
    scrubbed = scrub(files, needles)
    account.changes = scrubbed.changes
    executable = {needles.replace(name, REPLACEMENT)[0] for name in executable}
    search = Search(needles)
    # The search of the sources is fast, so it comes before rebuilding.
    _refuse(search, scrubbed.files, account)
    output = output or project.root / "build" / f"{site}-{source}" / "bundle-anonymous.zip"
    with tempfile.TemporaryDirectory(prefix="benchpaper-anonymous-") as folder:
        copy = Project(Path(folder) / "artifact")
        archive.unpack(scrubbed.files, executable, copy.root)
        midnight = state.seconds - state.seconds % 86_400
        _describe(copy, scrubbed.files, replace(state, commit=COMMIT, seconds=midnight))
        problem = "without the authors' names it does not build"
        regenerate.run(copy, site, source, names, problem)
        made = bundle.make(copy, site, source, Path(folder) / bundle.NAME)
        _refuse(search, archive.read(made.path)[0], account)
        Path(output).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(made.path, output)
    return made._replace(path=output)


def needles_for(
    project: Project, files: Mapping[str, bytes], options: Options, account: report.Report
) -> Needles:
    """Return what to look for in a project with these files."""
    people = [*collect.of(project, options.also), *homes.identities(files)]
    maker = Maker([*PLACEHOLDERS, *_public_words(project, files)])
    kept = {squeeze(word) for word in options.keep}
    needles: list[Needle] = []
    without: list[Identity] = []
    for identity in people:
        made = [n for n in rules.needles_of(identity, maker) if n.core not in kept]
        needles += made
        if not made and identity.text.strip():
            without.append(identity)
    result = Needles(needles)
    account.needles, account.without_needle, account.kept = result.all, without, list(options.keep)
    return result


def _public_words(project: Project, files: Mapping[str, bytes]) -> Iterator[str]:
    """Yield the project's own name, and the words in the names of the packages that it needs."""
    names = [metadata.pyproject(project).get("name", "")]
    if "requirements.lock" in files:
        names += [pin.name for pin in metadata.locked(files)]
    for name in names:
        yield from (name, *name.split("-"))


def _refuse(search: Search, files: Mapping[str, bytes], account: report.Report) -> None:
    """Raise `UserError` if a file holds a name, or cannot be searched."""
    account.findings = search.findings(files)
    account.searched_files = search.searched
    if account.findings:
        more = len(account.findings) - 1
        others = f" ({more} more: --report lists them)" if more else ""
        raise UserError(f"{account.findings[0]}{others}; no archive was written")


def _describe(copy: Project, files: Mapping[str, bytes], state: Revision) -> None:
    """Write the files that make the copy count as an unpacked bundle."""
    description = {
        "benchpaper_bundle": bundle.SCHEMA_VERSION,
        "commit": state.commit,
        "commit_seconds": state.seconds,
        "clean": state.clean,
    }
    (copy.root / archive.ABOUT).write_bytes(bundle.as_json(description))
    (copy.root / archive.MANIFEST).write_bytes(archive.manifest(files))
