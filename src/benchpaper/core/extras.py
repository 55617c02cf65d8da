"""The extras of this package, which only some commands need: `pip install "benchpaper[report]"`."""

import sys
from collections.abc import Collection
from importlib import metadata
from pathlib import Path

from benchpaper.core.errors import UserError

PACKAGE = "benchpaper"


def require(extra: str, what: str) -> None:
    """Raise `UserError`, with the remedy, unless all packages of an extra are installed.

    `what` needs them: "the report".
    """
    if lacking := missing(extra):
        raise UserError(
            f"{what} needs {', '.join(lacking)}, which {'is' if len(lacking) == 1 else 'are'} not "
            f"installed; run: {_remedy(extra)}"
        )


def _remedy(extra: str) -> str:
    """Return the command that brings an extra.

    An environment that `./reproduce` made from a lock takes it from there, in locked versions.
    """
    if (Path(sys.prefix).parent / "requirements.extras").exists():
        return f"./reproduce --for {extra}"
    return f'pip install "{PACKAGE}[{extra}]"'


def require_for_run(targets: Collection[str], profile: str) -> None:
    """Raise `UserError` unless what these targets and this profile of a run need is installed."""
    for extra in ("report", "bundle"):
        if extra in targets:
            require(extra, f"the target {extra}")
    if profile == "slurm":
        require("slurm", "the profile slurm")


def missing(extra: str) -> list[str]:
    """Return the packages of an extra that are not installed."""
    from packaging.requirements import Requirement  # late, so that commands start fast

    try:
        declared = [Requirement(line) for line in metadata.requires(PACKAGE) or ()]
    except metadata.PackageNotFoundError:
        return []  # code that runs from a folder, as an unpacked archive's does
    return [
        requirement.name
        for requirement in declared
        if requirement.marker
        and requirement.marker.evaluate({"extra": extra})
        and not requirement.marker.evaluate({"extra": ""})
        and not _installed(requirement.name)
    ]


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True
