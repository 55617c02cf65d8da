"""Declared inputs: data that trials read, and that neither the code nor the tools contain.

An input has a name, which is its path below the project. It lies there, or where the site's file
says (`inputs: {data/traces: /datasets/traces}` in sites/NAME.yaml). Its digest is part of what
trials depend on, and of the provenance of their results; `core.contents` defines it.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from benchpaper.core import origins
from benchpaper.core.contents import Contents, Progress, contents
from benchpaper.core.errors import UserError, did_you_mean
from benchpaper.core.project import Project
from benchpaper.design.checks import SpecError, check_text, shown

UNDECLARED = "undeclared input"  # begins the name under which the provenance shows one
MISSING = "missing"  # in place of the digest of an input that is not there, and declares none
DIGEST = re.compile(r"[0-9a-f]{64}")
MADE = ("results", "build", ".benchpaper", ".snakemake", ".venv", ".git")  # no place for inputs
SHORT = 12  # digits of a digest in a message


@dataclass(frozen=True)
class Input:
    """A file or a folder that trials read: `site.inputs[path]` is where it lies.

    `path` is its name, relative to the project. `sha256` is the digest that it must have. `url` is
    the address of the file itself; `benchpaper fetch` and `benchpaper run` get it from there. `doi`
    names a data set that people get by hand. Both need `sha256`. `licence` is the SPDX name of the
    terms under which others may have it.
    """

    path: str
    sha256: str = ""
    url: str = ""
    doi: str = ""
    licence: str = ""

    def __post_init__(self) -> None:
        check_text("input", self.path, may_be_empty=False)
        where = f'input "{self.path}"'
        for name in ("sha256", "url", "doi", "licence"):
            check_text(f"{where}: {name}", getattr(self, name))
        _check_path(where, self.path)
        object.__setattr__(self, "sha256", self.sha256.lower())
        object.__setattr__(self, "doi", origins.doi(self.doi) or self.doi)
        if self.sha256 and not DIGEST.fullmatch(self.sha256):
            raise SpecError(
                f"{where}: sha256 {shown(self.sha256)} must be 64 hex digits; "
                "sha256sum prints that of a file"
            )
        if self.url:
            _check_url(where, self.url)
        if self.doi and not origins.doi(self.doi):
            raise SpecError(f"{where}: doi {shown(self.doi)} must be like 10.5281/zenodo.1234567")
        if (self.url or self.doi) and not self.sha256:
            raise SpecError(
                f"{where}: what comes from elsewhere is known by its digest only; give sha256"
            )

    @property
    def origin(self) -> str:
        """Where others get it: an address; empty if nowhere."""
        return self.url or (f"https://doi.org/{self.doi}" if self.doi else "")

    def to_json(self) -> dict[str, str]:
        """Return the declaration as plain data, with the names of the fields as keys."""
        return asdict(self)


def _check_path(where: str, path: str) -> None:
    pure = PurePosixPath(path)
    if pure.is_absolute():
        raise SpecError(
            f"{where}: an absolute path is true on one machine only; name it data/NAME, and say "
            "in sites/NAME.yaml where it lies: inputs: {data/NAME: /its/place}"
        )
    if "\\" in path or ".." in pure.parts or pure.as_posix() != path or not pure.parts:
        raise SpecError(
            f"{where}: the path must be plain and below the project, such as data/x.zst"
        )
    if pure.parts[0] in MADE:
        raise SpecError(
            f"{where}: {pure.parts[0]}/ holds what benchpaper makes; keep inputs elsewhere, "
            "such as data/"
        )


def _check_url(where: str, url: str) -> None:
    parts = origins.address(url)
    if parts is None:
        raise SpecError(f"{where}: url {shown(url)} must begin with https:// or http://")
    if origins.has_login(parts):
        raise SpecError(f"{where}: its url holds a login, which would be published; remove it")


def check_inputs(inputs: Iterable[Input]) -> tuple[Input, ...]:
    """Return an experiment's inputs as a tuple. Raises `SpecError` for a mistake among them."""
    if isinstance(inputs, (str, Input)):
        raise SpecError("inputs must be a list: inputs=[Input(...)]")
    listed = tuple(inputs)
    for item in listed:
        if not isinstance(item, Input):
            raise SpecError(f'inputs holds {shown(item)}; write Input("data/x.zst", sha256=...)')
        for other in listed:
            if other is not item and PurePosixPath(item.path).is_relative_to(other.path):
                raise SpecError(f'inputs "{other.path}" and "{item.path}" overlap; name them once')
    return listed


# ---- where inputs lie, and whether they are as declared ----


@dataclass(frozen=True)
class State:
    """An input as it is now, at `place`: its contents, or None if it is not there.

    `problem` is one line that says what is wrong, with the remedy; empty if all is well.
    """

    input: Input
    place: Path
    contents: Contents | None
    problem: str

    @property
    def digest(self) -> str:
        """What trials depend on: the digest here, without the input the declared one.

        So results stay valid where a large data set is absent.
        """
        return self.contents.sha256 if self.contents else self.input.sha256 or MISSING

    @property
    def is_missing(self) -> bool:
        return self.contents is None

    def to_json(self) -> dict[str, Any]:
        """Return what results say of the input: its declaration, its digest, and its size."""
        size = {"bytes": self.contents.bytes, "files": self.contents.files} if self.contents else {}
        return {**self.input.to_json(), "sha256": self.digest, **size}


def places(project: Project, site: str) -> dict[str, Path]:
    """Return {input: place} of the inputs that the site's file places elsewhere.

    Raises `UserError` for a mistake in that part of the file.
    """
    file = project.root / "sites" / f"{site}.yaml"
    try:
        data = yaml.safe_load(file.read_text()) if file.exists() else None
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}  # loading the site reports the mistake
    table = data.get("inputs") if isinstance(data, dict) else None
    if table is None:
        return {}
    where = f"sites/{site}.yaml: inputs"
    if not isinstance(table, dict):
        raise UserError(f"{where} must map names to places: data/x: /datasets/x")
    for name, place in table.items():
        if not isinstance(name, str) or not isinstance(place, str) or not place.startswith("/"):
            raise UserError(f"{where}: {name} must have an absolute path, not {shown(place)}")
    return {name: Path(place) for name, place in table.items()}


def notes(project: Project) -> Path:
    """Return the folder that keeps the digests of inputs."""
    return project.state / "inputs"


def states(
    project: Project,
    site: str,
    experiment: str,
    inputs: Iterable[Input],
    progress: Progress | None = None,
) -> list[State]:
    """Return the `State` of each input on this machine. Raises `UserError` for a bad site file."""
    listed = list(inputs)
    placed = places(project, site) if listed else {}
    return [_state(project, site, experiment, item, placed, progress) for item in listed]


def _state(
    project: Project,
    site: str,
    experiment: str,
    item: Input,
    placed: Mapping[str, Path],
    progress: Progress | None,
) -> State:
    place = placed.get(item.path, project.root / item.path)
    where = f"input {item.path}" + (
        f" at {place} (sites/{site}.yaml)" if item.path in placed else ""
    )
    if item.path in placed and not item.sha256:
        return State(
            item, place, None, f"{where} lies outside the project and has no digest; give sha256"
        )
    if not place.exists():
        return State(item, place, None, f"{where} is missing; {_remedy(item, experiment, placed)}")
    try:
        here = contents(place, notes(project), progress)
    except UserError as error:
        return State(item, place, None, f"{where} cannot be used: {error}")
    if item.sha256 and here.sha256 != item.sha256:
        problem = (
            f"{where} changed: its sha256 is {here.sha256}, "
            f"and {item.sha256[:SHORT]}… is declared; "
            f"{_restore(item, experiment, placed)}, or declare the new digest"
        )
        return State(item, place, here, problem)
    return State(item, place, here, "")


def _remedy(item: Input, experiment: str, placed: Mapping[str, Path]) -> str:
    if item.url and item.path not in placed:
        return f"benchpaper fetch {experiment} gets it"
    if item.origin:
        return f"get it from {item.origin}"
    return "put it there, or name its place in sites/NAME.yaml (inputs:)"


def _restore(item: Input, experiment: str, placed: Mapping[str, Path]) -> str:
    if item.url and item.path not in placed:
        return f"restore it (remove it, then benchpaper fetch {experiment})"
    return "restore it"


class Places(dict[str, Path]):
    """What a trial gets as `site.inputs`: {input: where it lies on the controller}."""

    def __missing__(self, name: str) -> Path:
        known = ", ".join(self) or "none"
        raise KeyError(
            f'"{name}" is no declared input{did_you_mean(name, self)} (there are: {known})'
        )
