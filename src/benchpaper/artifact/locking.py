"""`benchpaper lock`: writes requirements.lock, the packages of a paper with their digests.

It lists what is installed here: the packages that pyproject.toml names, and all that they need. A
pin holds the SHA-256 of every file of its version for Linux, so that the lock also serves people
with another Python. They come from the index that pip uses, from folders with wheels, and from
pip's report of what it installed (`pip install --report`).
"""

import hashlib
import http.client
import json
import sys
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import metadata as installed_metadata
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import InvalidVersion, Version

from benchpaper.artifact.bundle.metadata import Pin, locked
from benchpaper.artifact.pip_settings import PipSettings
from benchpaper.core.atomic_write import replacing
from benchpaper.core.errors import UserError, first_few
from benchpaper.core.project import Project

LOCK = "requirements.lock"
HEAD = (
    "# The packages of this paper, with the SHA-256 of their files. `benchpaper lock` writes it.\n"
)
CONTINUED = " \\\n    "  # between the words of a pin
JSON_PAGE = "application/vnd.pypi.simple.v1+json"
MAX_PAGE_BYTES = 64 << 20
TIMEOUT_S = 30
AT_ONCE = 8  # requests to the index
Hashes = dict[str, set[str]]  # {package: SHA-256 of each file of its version}


@dataclass(frozen=True)
class Locked:
    """What a lock has: its pins, and what people should know of it, a line each."""

    pins: Sequence[Pin]
    notes: Sequence[str]
    changed: bool


def write(project: Project, report: Path | None, folders: Iterable[Path]) -> Locked:
    """Write the lock of a project unless it has all that is installed for it.

    `report` is pip's report, and `folders` hold wheels that no index has. Raises `UserError` if
    something that pyproject.toml names is not installed, or a file cannot be read.
    """
    versions, left_out = installed(project)
    notes = [f"left out {name}: it is from a folder or git; install a wheel" for name in left_out]
    path = project.root / LOCK
    text = path.read_text() if path.exists() else ""
    before = {
        (pin.name, pin.version): pin.hashes for pin in locked({LOCK: text.encode()}) if pin.hashes
    }
    wanted = {name: version for name, version in versions.items() if (name, version) not in before}
    if text and not wanted:
        return Locked([_pin(item, before[item]) for item in versions.items()], notes, False)
    if before and not text.startswith(HEAD):
        raise UserError(
            f"{LOCK} lacks {first_few(wanted)}, and another program wrote it; compile it again "
            "with that, or remove it, so that benchpaper lock writes it"
        )
    settings = PipSettings.read()
    fresh, more = _hashes(wanted, settings, report, [*settings.folders, *folders])
    notes += more
    pins = [_pin(item, before.get(item) or fresh.get(item[0]) or ()) for item in versions.items()]
    if bare := [pin.name for pin in pins if not pin.hashes]:
        notes.append(
            f"no digest of {first_few(bare)} was to be had, so {LOCK} has none at all; when pip's "
            f"index answers, or with --find-links FOLDER_OF_WHEELS, run benchpaper lock again"
        )
        pins = [Pin(pin.name, pin.version) for pin in pins]
    with replacing(path) as part:
        part.write_text(as_text(pins))
    return Locked(pins, notes, True)


def as_text(pins: Iterable[Pin]) -> str:
    """Return the content of a lock."""
    lines = [
        [f"{pin.name}=={pin.version}", *(f"--hash=sha256:{digest}" for digest in pin.hashes)]
        for pin in pins
    ]
    return HEAD + "".join(f"{CONTINUED.join(words)}\n" for words in lines)


def _pin(item: tuple[str, str], hashes: Iterable[str]) -> Pin:
    return Pin(*item, sorted(hashes))


# ---- what is installed ----


def installed(project: Project) -> tuple[dict[str, str], list[str]]:
    """Return {package: version} of all that pyproject.toml needs, sorted, and what has no file.

    Extras of the project count as far as they are installed.
    """
    versions: dict[str, str] = {}
    left_out: set[str] = set()
    declared = _declared(project)
    queue = [(requirement, True) for requirement in declared.get("dependencies", ())]
    for extra in declared.get("optional-dependencies", {}).values():
        queue += [(requirement, False) for requirement in extra]
    seen: set[tuple[str, bool]] = set()
    while queue:
        text, needed = item = queue.pop()
        requirement = _requirement(text)
        if item in seen or not _applies(requirement):
            continue
        seen.add(item)
        try:
            distribution = installed_metadata.distribution(requirement.name)
        except installed_metadata.PackageNotFoundError:
            if needed:
                raise UserError(
                    f"{requirement.name} is in pyproject.toml, or needed by what is there, but not "
                    "installed here; run ./reproduce, or pip install it, then lock again"
                ) from None
            continue
        name = canonicalize_name(requirement.name)
        if _is_no_file(distribution):
            left_out.add(name)
        else:
            versions[name] = distribution.version
        queue += [(need, needed) for need in _needs(distribution, requirement.extras)]
    return dict(sorted(versions.items())), sorted(left_out)


def _declared(project: Project) -> dict[str, Any]:
    path = project.root / "pyproject.toml"
    try:
        return dict(tomllib.loads(path.read_text()).get("project", {}))
    except FileNotFoundError:
        raise UserError(
            "there is no pyproject.toml, which names the packages to lock; write one"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"pyproject.toml is not valid TOML ({error}); correct it") from None


def _requirement(text: str) -> Requirement:
    try:
        return Requirement(text)
    except InvalidRequirement:
        raise UserError(f'pyproject.toml: "{text}" is not a valid dependency; correct it') from None


def _needs(distribution: installed_metadata.Distribution, extras: Iterable[str]) -> list[str]:
    """Return what a package needs here, with some of its extras; without markers."""
    needs = []
    for text in distribution.requires or ():
        requirement = Requirement(text)
        if _applies(requirement, extras):
            requirement.marker = None
            needs.append(str(requirement))
    return needs


def _applies(requirement: Requirement, extras: Iterable[str] = ()) -> bool:
    """Return whether the marker of a requirement, if it has one, holds here."""
    marker = requirement.marker
    return not marker or any(marker.evaluate({"extra": extra}) for extra in ("", *extras))


def _is_no_file(distribution: installed_metadata.Distribution) -> bool:
    """Return whether a package came from a folder or git, so that its pin would mean another."""
    source = json.loads(distribution.read_text("direct_url.json") or "{}")
    return bool({"dir_info", "vcs_info"} & source.keys())


# ---- digests ----


def _hashes(
    wanted: Mapping[str, str], settings: PipSettings, report: Path | None, folders: Iterable[Path]
) -> tuple[Hashes, list[str]]:
    """Return the digests of packages, and notes on what the index did not tell."""
    known: Hashes = {name: set() for name in wanted}
    for source in (_reported(report) if report else {}, own := _in_folders(folders)):
        for (name, version), hashes in source.items():
            if name in wanted and _same(version, wanted[name]):
                known[name] |= hashes
    from_folders = {name for name, _ in own}
    names = [name for name in wanted if name not in from_folders] if settings.index else []
    problem = ""
    for name, files, error in _pages(settings.index, names):
        known[name] |= _for_linux(files, wanted[name])
        problem = problem or (f"{name}: {error}" if error else "")
    if not problem:
        return known, []
    return known, [
        f"pip's index did not give all digests ({problem}); the lock may fit only "
        f"Python {sys.version_info.major}.{sys.version_info.minor}; to try again, "
        f"remove {LOCK}, and run benchpaper lock"
    ]


def _pages(index: str, names: Sequence[str]) -> Iterator[tuple[str, list[Any], str]]:
    """Yield (package, its files, error) of an index, which is given up if it does not answer."""
    for name in names[:1]:
        files, error = _page(index, name)
        yield name, files, error
        if error not in ("", "HTTPError"):  # an index that answers may lack the first package
            return
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = pool.map(lambda name: _page(index, name), names[1:])
        for name, (files, error) in zip(names[1:], answers, strict=True):
            yield name, files, error


def _reported(path: Path) -> dict[tuple[str, str], set[str]]:
    """Return {(package, version): digests} from pip's report."""
    try:
        report = json.loads(path.read_text())
        return {
            (canonicalize_name(item["metadata"]["name"]), item["metadata"]["version"]): {
                item["download_info"]["archive_info"]["hashes"]["sha256"]
            }
            for item in report["install"]
            if item["download_info"].get("archive_info", {}).get("hashes", {}).get("sha256")
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path} is no report of pip ({type(error).__name__}: {error}); "
            "pip install --report FILE writes one"
        ) from None


def _in_folders(folders: Iterable[Path]) -> dict[tuple[str, str], set[str]]:
    """Return {(package, version): digests} of the wheels in folders."""
    folders = list(folders)
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"--find-links {folder} is no folder; name one with wheels")
    hashes: dict[tuple[str, str], set[str]] = {}
    for path in (path for folder in folders for path in sorted(folder.glob("*.whl"))):
        if parsed := _parsed(path.name):
            with open(path, "rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            hashes.setdefault((parsed[0], str(parsed[1])), set()).add(digest)
    return hashes


def _page(index: str, name: str) -> tuple[list[Any], str]:
    """Return the files of a package on an index that answers in JSON (PEP 691), or the error."""
    headers = {"Accept": JSON_PAGE, "User-Agent": "benchpaper"}
    try:
        request = urllib.request.Request(f"{index}/{name}/", headers=headers)
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            return list(json.loads(answer.read(MAX_PAGE_BYTES))["files"]), ""
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        return [], type(error).__name__


def _for_linux(files: Iterable[Mapping[str, Any]], version: str) -> set[str]:
    """Return the digests of those files that are of a version, and for Linux."""
    return {
        file["hashes"]["sha256"]
        for file in files
        if (parsed := _parsed(str(file.get("filename")))) and _same(str(parsed[1]), version)
        if parsed[2] and "sha256" in file.get("hashes", {})
    }


def _parsed(filename: str) -> tuple[str, Version, bool] | None:
    """Return (package, version, whether it is for Linux) of a wheel or a source archive."""
    try:
        if filename.endswith(".whl"):
            name, version, _, tags = parse_wheel_filename(filename)
            fits = any(tag.platform == "any" or "linux" in tag.platform for tag in tags)
            return name, version, fits
        return *parse_sdist_filename(filename), True
    except (InvalidWheelFilename, InvalidSdistFilename, InvalidVersion):
        return None


def _same(one_version: str, other: str) -> bool:
    try:
        return Version(one_version) == Version(other)
    except InvalidVersion:
        return one_version == other
