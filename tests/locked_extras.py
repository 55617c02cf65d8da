"""Print requirements.extras: which extras need which package of requirements.lock.

    .venv/bin/python tests/locked_extras.py > requirements.extras

It reads the metadata of what is installed here, so all extras must be. "core" needs no extra, and
a package that it needs stands only there.
"""

import re
import tomllib
from importlib import metadata

from checkout import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PYTHONS = [{"python_version": f"3.{n}", "python_full_version": f"3.{n}.2"} for n in range(11, 15)]
HEADER = """\
# Which extras of pyproject.toml need which package of requirements.lock; "core" needs no extra.
# tests/locked_extras.py writes this, and ./reproduce installs by it.
"""


def text() -> str:
    """Return the file's text.

    Raises `PackageNotFoundError` for a locked package that is not installed.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {"core": project["dependencies"], **project["optional-dependencies"]}
    needed = {extra: closure(lines) for extra, lines in declared.items()}
    lines = []
    for name in sorted(set().union(*needed.values())):
        extras = [extra for extra, names in needed.items() if name in names]
        lines.append(f"{name} {'core' if 'core' in extras else ' '.join(extras)}\n")
    return HEADER + "".join(lines)


def closure(lines: list[str]) -> set[str]:
    """Return the names of all packages that these requirements need, on any supported Python."""
    reached: dict[str, set[str]] = {}
    waiting = [Requirement(line) for line in lines]
    while waiting:
        requirement = waiting.pop()
        name, extras = canonicalize_name(requirement.name), {"", *requirement.extras}
        if extras <= reached.get(name, set()):
            continue
        reached.setdefault(name, set()).update(extras)
        waiting += [need for need in needs(name) if holds(need, extras)]
    return set(reached)


def needs(name: str) -> list[Requirement]:
    """Return what an installed package requires; nothing for one that this Python does not take."""
    try:
        return [Requirement(line) for line in metadata.requires(name) or ()]
    except metadata.PackageNotFoundError:
        if name in other_pythons():
            return []
        raise


def other_pythons() -> set[str]:
    """Return the names of locked packages whose marker leaves them out here."""
    return {pin.name for pin in pins() if pin.marker and not pin.marker.evaluate()}


def pins() -> list[Requirement]:
    """Return the pins of requirements.lock."""
    lines = re.findall(r"^\S+==.*?(?= \\$)", (ROOT / "requirements.lock").read_text(), re.M)
    return [Requirement(line) for line in lines]


def holds(requirement: Requirement, extras: set[str]) -> bool:
    return requirement.marker is None or any(
        requirement.marker.evaluate({**python, "extra": extra})
        for python in PYTHONS
        for extra in extras
    )


if __name__ == "__main__":
    print(text(), end="")
