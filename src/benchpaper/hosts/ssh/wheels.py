"""Installed wheels: which a package needs, whether a host can run them, and their files."""

import hashlib
import platform
import re
import sys
import tarfile
from collections.abc import Callable, Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from benchpaper.core.errors import UserError

OLD_PLATFORMS = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}

TarFilter = Callable[[tarfile.TarInfo], tarfile.TarInfo | None]


def closure(packages: Iterable[str], lock: Path | None = None) -> list[metadata.Distribution]:
    """Return the installed distributions of `packages` and of their dependencies here.

    Raises `UserError` if a distribution is not installed, or not in the version that the file
    `lock` names.
    """
    from packaging.requirements import Requirement  # late, so that commands start fast

    distributions: dict[str, metadata.Distribution] = {}
    queue = list(packages)
    locked = _locked(lock) if lock and lock.exists() else None
    while queue:
        name = _normal(queue.pop())
        if name in distributions:
            continue
        try:
            distributions[name] = distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            raise UserError(
                f'the package "{name}" is to be sent to the hosts, but is not installed here; '
                "run ./reproduce"
            ) from None
        if locked is not None and distribution.version not in locked.get(name, ()):
            wanted = " or ".join(locked.get(name, ["absent"]))
            raise UserError(
                f"the package {name} is {distribution.version} here, "
                f"but {wanted} in requirements.lock; run ./reproduce to have what is locked"
            )
        for line in distribution.requires or ():
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                queue.append(requirement.name)
    return [distributions[name] for name in sorted(distributions)]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _locked(lock: Path) -> dict[str, list[str]]:
    """Return {package: versions}: a single version, or a version for each range of Pythons."""
    versions: dict[str, list[str]] = {}
    pin = re.compile(r"^([\w.-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", re.M)
    for name, version in pin.findall(lock.read_text()):
        versions.setdefault(_normal(name), []).append(version)
    return versions


def check_fits(distribution: metadata.Distribution, agent: Mapping[str, Any], host: str) -> None:
    """Raise `UserError` unless a tag of the wheel fits the host.

    A tag names the Python, the processor and the C library.
    """
    wheel = distribution.read_text("WHEEL") or ""
    tags = re.findall(r"^Tag: (\S+)$", wheel, re.M)
    if not any(_fits(tag, agent) for tag in tags):
        here, there = f"3.{sys.version_info.minor}", ".".join(map(str, agent["version"]))
        system = f"{agent['machine']}, C library {agent['libc'] or 'unknown'}"
        raise UserError(
            f'host "{host}" has Python {there} ({system}), where '
            f"{distribution.name} {distribution.version} of this environment "
            f"({', '.join(tags) or 'no wheel'}) does not run: "
            f"install Python {here} there (or name one in the site file, python: /its/path)"
        )


def _fits(tag: str, agent: Mapping[str, Any]) -> bool:
    """True if the host's Python runs a wheel with this tag."""
    interpreter, abi, system = tag.split("-")
    major, minor = agent["version"]
    mine = f"cp{major}{minor}"
    if abi == "none":
        right = interpreter in ("py3", f"py{major}{minor}", mine, "py2.py3")
    elif abi == "abi3":
        right = interpreter.startswith("cp3") and int(interpreter[3:]) <= minor
    else:
        right = interpreter == abi == mine
    return right and _runs(system, agent)


def _runs(system: str, agent: Mapping[str, Any]) -> bool:
    """True if the host has the processor and the C library that the tag names."""
    if system == "any":
        return True
    if not agent["libc"]:
        return False  # musl, say
    libc = _version(agent["libc"])
    if match := re.fullmatch(r"manylinux_(\d+)_(\d+)_(\w+)", system):
        return match[3] == agent["machine"] and libc >= (int(match[1]), int(match[2]))
    name, _, machine = system.partition("_")
    if machine != agent["machine"]:
        return False
    if name in OLD_PLATFORMS:
        return libc >= OLD_PLATFORMS[name]
    # linux_x86_64: built on this machine, for its C library
    return name == "linux" and libc >= _version(platform.libc_ver()[1])


def _version(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(".")[:2]))


def content_digest(distribution: metadata.Distribution) -> str:
    """Return a digest of the wheel's RECORD, which names each file with its digest."""
    record = distribution.read_text("RECORD")
    if record is None:
        raise UserError(
            f"the package {distribution.name} lists no files (no RECORD); install it from a wheel"
        )
    return hashlib.sha256(
        f"{distribution.name} {distribution.version}\n{record}".encode()
    ).hexdigest()


def add_files(
    distribution: metadata.Distribution, keep: TarFilter, archive: tarfile.TarFile
) -> None:
    """Add the installed files of a distribution to an archive, but no compiled Python."""
    for file in distribution.files or ():
        if ".." not in file.parts and "__pycache__" not in file.parts:
            path = Path(str(distribution.locate_file(file)))
            if path.is_file():
                archive.add(path, str(file), filter=keep)
