"""Python packages that only some cells need: each is a capability of its own name, so that without it those cells are a gap.

Programs and modules reach the target hosts from this machine, so it is here that a package must be installed.
"""

import re
from functools import cache
from importlib import metadata
from pathlib import Path

from benchpaper import capability

LOCK = Path(__file__).parents[2] / "requirements.lock"
NONE = "none"


def version(name: str) -> str:
    """Return the installed version of a package, or "none"."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return NONE


def present(name: str) -> bool:
    return version(name) != NONE


def package(name: str) -> str:
    """Register the capability of having the locked package `name`, and return the name: a cell's `needs` lists it."""

    @capability(name, f"the Python package {name}", _remedy(name), on_controller=True)
    def _installed():
        return present(name), version(name) if present(name) else "not installed"

    return name


def _remedy(name: str) -> str:
    """Say how to get a package. The lock's marker tells for which Pythons there is a wheel."""
    below = _below().get(name)
    if below is None:
        return "remove .venv, then run ./reproduce"
    return f"it is locked for Python below 3.{below}: remove .venv, then run PYTHON=/path/to/python3.{below - 1} ./reproduce"


@cache
def _below() -> dict[str, int]:
    """Return {package: the minor version of Python from which on it is not locked}."""
    lock = LOCK.read_text() if LOCK.exists() else ""
    found = re.findall(
        r"^([\w.-]+)==\S+ ; python_full_version < '3\.(\d+)' \\$", lock, re.MULTILINE
    )
    return {name: int(minor) for name, minor in found}


XXHASH = package("xxhash")  # the checksums of samples
