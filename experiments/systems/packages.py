"""Python packages that only some cells need.

Each is a capability of its own name; without it, its cells are a gap. Programs and modules reach
the target hosts from this machine, so a package must be installed here.
"""

import importlib.util
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


def folder(module: str) -> Path:
    """Return the folder of an installed package, without importing it."""
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError(f'the package "{module}" is not installed; ./reproduce installs it')
    return Path(spec.submodule_search_locations[0])


def package(name: str) -> str:
    """Register the capability of having the locked package `name`.

    Returns the name, for a cell's `needs`.
    """

    @capability(name, f"the Python package {name}", _remedy(name), on_controller=True)
    def _installed():
        return present(name), version(name) if present(name) else "not installed"

    return name


def _remedy(name: str) -> str:
    """Return how to get a package; the lock's marker says which Pythons have a wheel."""
    below = _below().get(name)
    if below is None:
        return "remove .venv, then run ./reproduce"
    return (
        f"it is locked for Python below 3.{below}: remove .venv, "
        f"then run PYTHON=/path/to/python3.{below - 1} ./reproduce"
    )


@cache
def _below() -> dict[str, int]:
    """Return {package: the lowest minor version of Python 3 for which it is not locked}."""
    lock = LOCK.read_text() if LOCK.exists() else ""
    limits = re.findall(
        r"^([\w.-]+)==\S+ ; python_full_version < '3\.(\d+)' \\$", lock, re.MULTILINE
    )
    return {name: int(minor) for name, minor in limits}


XXHASH = package("xxhash")  # the checksums of samples
