"""The declared inputs of a bundle's results: small ones are in it, of others it says where to go.

An input is in an archive if git tracks it, or if it is small and its licence is declared, so that
others may have it. What is in the archive must have the digest that the results name.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchpaper import results
from benchpaper.artifact.bundle.archive import NotVerified
from benchpaper.core.contents import listing_digest, stamps
from benchpaper.core.errors import UserError
from benchpaper.core.project import Project
from benchpaper.design.inputs import DIGEST, Input

MAX_BYTES = 5_000_000  # a larger input is not added to an archive
FIELDS = ("path", "sha256", "url", "doi", "licence")


@dataclass(frozen=True)
class Used:
    """An input of some results: its declaration, with the digest that it had, and `experiment`."""

    experiment: str
    input: Input


def used(experiment: str, described: Mapping[str, Any]) -> list[Used]:
    """Return the inputs that results name. Raises `UserError` for another form."""
    rows = described.get(results.INPUTS, [])
    try:
        listed = [Used(experiment, Input(**{name: row[name] for name in FIELDS})) for row in rows]
    except (KeyError, TypeError, AttributeError):
        raise NotVerified(
            f"the results of {experiment} name their inputs in another form"
        ) from None
    for item in listed:
        if not DIGEST.fullmatch(item.input.sha256):
            raise NotVerified(
                f"the results of {experiment} name the input {item.input.path} without a digest"
            )
    return listed


def to_add(project: Project, listed: Iterable[Used]) -> set[Path]:
    """Return the files of inputs that an archive should hold, whether git tracks them or not."""
    paths = set[Path]()
    for item in listed:
        place = project.root / item.input.path
        if not item.input.licence or not place.exists():
            continue
        files = stamps(place)
        if sum(stamp[0] for stamp in files.values()) <= MAX_BYTES:
            paths |= {place / name if name else place for name in files}
    return paths


def check(files: Mapping[str, bytes], listed: Iterable[Used]) -> str:
    """Compare the inputs in an archive with what results name; return a line, "" without inputs.

    `files` are {name: bytes}. Raises `NotVerified` for an input with another digest.
    """
    inside, outside = set[str](), dict[str, str]()
    for item in listed:
        path = item.input.path
        digest = _digest(files, path)
        if digest is None:
            outside[path] = item.input.origin or "not published"
        elif digest != item.input.sha256:
            raise NotVerified(
                f"the input {path} has the sha256 {digest}, but the results of {item.experiment} "
                f"come from {item.input.sha256}; restore all of it, or measure again"
            )
        else:
            inside.add(path)
    if not inside and not outside:
        return ""
    here = f"{len(inside)} inputs are in the archive, with the digests that their results name"
    there = (f"{path} ({origin})" for path, origin in sorted(outside.items()))
    return here + (f"; elsewhere: {', '.join(there)}" if outside else "")


def _digest(files: Mapping[str, bytes], path: str) -> str | None:
    """Return the digest of a file or folder in an archive; None if it is not there."""
    if path in files:
        return hashlib.sha256(files[path]).hexdigest()
    below = {name: data for name, data in files.items() if name.startswith(f"{path}/")}
    if not below:
        return None
    return listing_digest(
        {
            name.removeprefix(f"{path}/"): hashlib.sha256(data).hexdigest()
            for name, data in below.items()
        }
    )


def of_bundle(project: Project, folder: Path, experiments: Iterable[str]) -> list[Used]:
    """Return the inputs of the results in `folder` that a bundle holds."""
    listed: list[Used] = []
    for name in sorted(experiments):
        path = folder / name / results.TRIALS
        if not path.exists():
            raise UserError(f"{path.relative_to(project.root)} does not exist; measure first")
        listed += used(name, results.read_description(path))
    return listed
