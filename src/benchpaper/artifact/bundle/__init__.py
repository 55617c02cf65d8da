"""`benchpaper bundle`: everything that a committee needs, in one archive whose bytes follow from what goes in."""

import json
import os
from importlib.metadata import version

from benchpaper import results
from benchpaper.artifact.bundle import archive, crate, metadata
from benchpaper.core.errors import UserError
from benchpaper.core.project import GATHERED, REFERENCE, VERDICTS
from benchpaper.core.revision import DERIVED, git, is_checkout, known_revision
from benchpaper.paper.gather import manifests

SCHEMA_VERSION = 1
NAME = "bundle.zip"
SINGLE = (GATHERED, "claims.tex", "appendix.tex", "appendix.md", VERDICTS, "paper.pdf")


class BundleError(UserError):
    """There is nothing to bundle, or not all of it."""


def sources(project):
    """Return the names of the project's own files: those that git tracks, or that the unpacked bundle listed. Raises
    `UserError` where neither is to be had."""
    if is_checkout(project):
        known_revision(project)  # where git refuses, it lists nothing
        names = git(project, "ls-files", "-z").split("\0")
        return sorted(name for name in names if name and (project.root / name).is_file())
    if not (project.root / archive.MANIFEST).exists():
        raise BundleError(
            "this is neither a git checkout nor an unpacked bundle, so nobody knows which files are its own"
        )
    listed = (
        line.partition("  ")[2]
        for line in (project.root / archive.MANIFEST).read_text().splitlines()
    )
    return sorted(
        name for name in listed if not name.startswith(DERIVED) and name not in crate.GENERATED
    )


def collect(project, site, source):
    """Return {name: bytes} of all that is bundled, and the names of the executable ones, without what is generated."""
    build = project.build(site, source)
    lacking = [name for name in (GATHERED, VERDICTS, "paper.pdf") if not (build / name).exists()]
    if lacking or not manifests(build):
        what = ", ".join(lacking) or "exhibits"
        where = "--from reference" if source == REFERENCE else f"--scale {source}"
        raise BundleError(f"build/{build.name} lacks {what}; run ./reproduce {where} first")
    paths = {project.root / name for name in sources(project)}
    paths |= {build / name for name in SINGLE if (build / name).exists()}
    for notebook, manifest in manifests(build).items():
        paths |= {
            build / "notebooks" / f"{notebook}.ipynb",
            *(build / "exhibits" / notebook).iterdir(),
        }
        paths |= {
            project.results(site, source) / manifest["experiment"] / kind
            for kind in (results.OBSERVATIONS, results.TRIALS)
        }
    named = {
        path.relative_to(project.root).as_posix(): path
        for path in paths
        if not path.name.startswith(".") or path.parent == project.root
    }
    for name, path in named.items():
        if path.is_symlink():
            raise BundleError(f"{name} is a symbolic link; a bundle has plain files alone")
    executable = {name for name, path in named.items() if os.access(path, os.X_OK)}
    return {name: path.read_bytes() for name, path in named.items()}, executable


def make(project, site, source, output=None):
    """Write the archive and return (its path, its SHA-256, number of files, whether the work tree was clean)."""
    state = known_revision(project)
    files, executable = collect(project, site, source)
    build = f"build/{site}-{source}"
    about = {
        "benchpaper_bundle": SCHEMA_VERSION,
        "benchpaper": version("benchpaper"),
        "results_schema": results.SCHEMA_VERSION,
        "site": site,
        "source": source,
        "build": build,
        "commit": state.commit,
        "commit_seconds": state.seconds,
        "clean": state.clean,
        "experiments": sorted(m["experiment"] for m in manifests(project.root / build).values()),
    }
    files[archive.ABOUT] = _json(about)
    files[crate.ZENODO] = _json(metadata.zenodo(files, state))
    files[crate.SBOM] = _json(metadata.sbom(files, state))
    files[crate.METADATA] = _json(crate.describe(files, about, state))
    path = output or project.root / build / NAME
    digest = archive.write(path, files, state.date, executable)
    return path, digest, len(files) + 1, state.clean


def _json(data):
    return (json.dumps(data, indent=1, ensure_ascii=False, sort_keys=True) + "\n").encode()
