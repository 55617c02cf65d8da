"""`benchpaper bundle`: everything that a committee needs, in one reproducible archive."""

import os
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from benchpaper import results
from benchpaper.analysis import history
from benchpaper.artifact import importing
from benchpaper.artifact.bundle import archive, authors, crate, generated, inputs, metadata
from benchpaper.artifact.bundle.strict import as_json as as_json
from benchpaper.core import checksums
from benchpaper.core.errors import UserError
from benchpaper.core.project import GATHERED, REFERENCE, VERDICTS, Project
from benchpaper.core.revision import DERIVED, git, is_checkout, known_revision
from benchpaper.paper.gather import manifests
from benchpaper.paper.latex import PDFS
from benchpaper.results import accepted

SCHEMA_VERSION = 3  # 3: kinds and history of claims, and the supplement
NAME = "bundle.zip"
SINGLE = (
    *(GATHERED, "claims.tex", "appendix.tex", "appendix.md", VERDICTS, history.FILE),
    *PDFS,
)


class BundleError(UserError):
    """Files that a bundle needs are missing."""


class Made(NamedTuple):
    """An archive that was written; `clean` says whether the work tree was."""

    path: Path
    sha256: str
    files: int
    clean: bool


def sources(project: Project) -> list[str]:
    """Return the names of the project's own files: those that git tracks or the bundle listed.

    Raises `UserError` if the project is neither a checkout nor an unpacked bundle.
    """
    if is_checkout(project):
        known_revision(project)  # raises if git refuses, because then git would list no files
        names = git(project, "ls-files", "-z").split("\0")
        return sorted(name for name in names if name and (project.root / name).is_file())
    if not (project.root / archive.MANIFEST).exists():
        raise BundleError(
            "this is neither a git checkout nor an unpacked bundle, so its own files are unknown"
        )
    listed = (
        line.partition("  ")[2]
        for line in (project.root / archive.MANIFEST).read_text().splitlines()
    )
    return sorted(
        name
        for name in listed
        if not name.startswith(DERIVED) and name not in (*crate.GENERATED, history.FILE)
    )


def collect(project: Project, site: str, source: str) -> tuple[dict[str, bytes], set[str]]:
    """Return {name: bytes} of the files to bundle, and the names of the executable ones.

    The metadata that `make` generates are not among them. Raises `UserError` if a file is missing.
    """
    build = project.build(site, source)
    lacking = [
        name
        for name in (GATHERED, VERDICTS, history.FILE, "paper.pdf")
        if not (build / name).exists()
    ]
    if lacking or not manifests(build):
        options = "--from reference" if source == REFERENCE else f"--scale {source}"
        raise BundleError(
            f"build/{build.name} lacks {', '.join(lacking) or 'exhibits'}; "
            f"run ./reproduce {options} first"
        )
    paths = {project.root / name for name in sources(project)}
    paths |= {build / name for name in SINGLE if (build / name).exists()}
    for notebook, manifest in manifests(build).items():
        paths |= {
            build / "notebooks" / f"{notebook}.ipynb",
            *(build / "exhibits" / notebook).iterdir(),
        }
        paths |= {
            project.results(site, source) / manifest.experiment / kind
            for kind in (results.OBSERVATIONS, results.TRIALS)
        }
        if manifest.imported:  # `verify` makes the results again from table and record
            paths |= set(importing.sources(project, site, manifest.experiment))
        noted = project.results(site, source) / manifest.experiment / accepted.FILE
        paths |= {noted} if noted.exists() else set()
    listed = _inputs(project, site, source)
    paths |= inputs.to_add(project, listed)
    named = {
        path.relative_to(project.root).as_posix(): path
        for path in paths
        if not path.name.startswith(".") or path.parent == project.root
    }
    for name, path in named.items():
        if path.is_symlink():
            raise BundleError(f"{name} is a symbolic link; a bundle holds only plain files")
    executable = {name for name, path in named.items() if os.access(path, os.X_OK)}
    files = {name: path.read_bytes() for name, path in named.items()}
    files[history.FILE] = (build / history.FILE).read_bytes()  # an unpacked bundle has no git
    inputs.check(files, listed)  # what `verify` would refuse is not written
    return files, executable


def _inputs(project: Project, site: str, source: str) -> list[inputs.Used]:
    experiments = [m.experiment for m in manifests(project.build(site, source)).values()]
    return inputs.of_bundle(project, project.results(site, source), experiments)


def make(project: Project, site: str, source: str, output: Path | None = None) -> Made:
    """Write the archive, to `output` or below the build folder.

    Raises `UserError` if a file is missing, or if the files name different authors.
    """
    state = known_revision(project)
    files, executable = collect(project, site, source)
    build = f"build/{site}-{source}"
    authors.check(files, *(f"build/{site}-{source}/{name}" for name in PDFS))
    shown = manifests(project.root / build).values()
    description = {
        "benchpaper_bundle": SCHEMA_VERSION,
        "benchpaper": version("benchpaper"),
        "results_schema": results.SCHEMA_VERSION,
        "site": site,
        "source": source,
        "build": build,
        "commit": state.commit,
        "commit_seconds": state.seconds,
        "clean": state.clean,
        "experiments": sorted(manifest.experiment for manifest in shown),
    }
    files[archive.ABOUT] = as_json(description)
    files |= generated.make(files, description)
    metadata.check_sbom(files[crate.SBOM])
    path = output or project.root / build / NAME
    digest = archive.write(path, files, state.date, executable)
    if output is None:
        checksums.note(project.root / build, "pack", [path])
    return Made(path, digest, len(files) + 1, state.clean)  # one more: the manifest
