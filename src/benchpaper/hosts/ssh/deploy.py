"""What is sent to a target host, each content once: the agent, the project, Python packages, programs and data.

A host's store holds one folder per content, named by its digest, and is never changed. Of the controller's environment
only the packages go there that an experiment declares, with what they need.
"""

import hashlib
import io
import json
import re
import sys
import tarfile
import zipfile
from functools import cache
from importlib import metadata
from pathlib import Path

from benchpaper.core import syntax
from benchpaper.core.errors import UserError
from benchpaper.hosts import HostError, probe
from benchpaper.hosts.agent import wire

PACKAGE = Path(__file__).parents[2]
AGENT = "benchpaper.hosts.agent.main"
OLD_PLATFORMS = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}
SEND_S = 1800.0  # for the largest package over a slow link


@cache
def agent_zip():
    """Return (bytes of a zip with the agent's modules, their digest)."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(
            syntax.reached(syntax.files(PACKAGE.parent, AGENT), PACKAGE.parent, PACKAGE.name)
        ):
            archive.writestr(
                zipfile.ZipInfo(path.relative_to(PACKAGE.parent).as_posix()), path.read_bytes()
            )
    return data.getvalue(), hashlib.sha256(data.getvalue()).hexdigest()[:16]


def checkout(project):
    """Return 12 hex digits that stand for this checkout on this machine."""
    return hashlib.sha256(f"{probe.identity()} {project.root}".encode()).hexdigest()[:12]


# ---- files and folders ----


def provide(session, store, path, memo):
    """Return where a copy of `path` lies on the host, sending it when its content is not there yet."""
    if not path.exists():
        raise HostError(f'"{path.name}" cannot be sent to a host: it does not exist')
    digest = content_digest(path, memo)
    if session.call("lacks", digests=[digest]):
        _send(
            session, digest, lambda archive: archive.add(path.resolve(), path.name, filter=_plain)
        )
    return store / digest / path.name


def content_digest(path, memo=None):
    """Return the SHA-256 over names, modes and contents below `path`. Kept in the folder `memo` for as long as sizes
    and times of change stay the same."""
    entries = _entries(path.resolve())
    stats = [
        (str(entry), about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns)
        for entry, about in entries
    ]
    known = memo and memo / hashlib.sha256(json.dumps(stats).encode()).hexdigest()
    if known and known.exists():
        return known.read_text()
    found = hashlib.sha256(path.name.encode())
    for entry, about in entries:
        found.update(f"\0{entry.relative_to(path.resolve())}\0{about.st_mode & 0o111}\0".encode())
        with open(entry, "rb") as file:
            found.update(hashlib.file_digest(file, "sha256").digest())
    if known:
        memo.mkdir(parents=True, exist_ok=True)
        known.write_text(found.hexdigest())
    return found.hexdigest()


def _entries(path):
    files = (
        [path]
        if path.is_file()
        else [
            entry
            for entry in path.rglob("*")
            if entry.is_file() and "__pycache__" not in entry.parts
        ]
    )
    return [(entry, entry.stat()) for entry in sorted(files)]


def _plain(info):
    """Nobody's file, at no time; no compiled Python, which the host makes for itself."""
    if "__pycache__" in info.name.split("/"):
        return None
    info.uid = info.gid = info.mtime = 0
    info.uname = info.gname = ""
    return info


def _send(session, digest, fill):
    def send(stream):
        sender = wire.Sender(stream)
        try:
            with tarfile.open(
                fileobj=sender, mode="w|", bufsize=wire.CHUNK, dereference=False
            ) as archive:
                fill(archive)
        except OSError:
            sender.give_up()
            raise
        sender.end()

    session.call("store", SEND_S, digest=digest, sending=send)


# ---- Python ----


def python(session, about, project, packages, host):
    """Return the path of a Python on the host that imports this project and `packages`; sends what it lacks.

    `about` is what the agent said of the host. Raises `UserError` when a package does not run on the host's Python.
    """
    parts = {_project_digest(project): lambda archive: _add_project(archive, project)}
    for distribution in closure(packages, project.root / "requirements.lock"):
        check_fits(distribution, about, host)
        parts[_distribution_digest(distribution)] = lambda archive, one=distribution: (
            _add_distribution(archive, one)
        )
    paths = [f"{about['store']}/{digest}" for digest in parts]
    script = f'#!/bin/sh\nPYTHONPATH="{":".join(paths)}" exec {about["python"]} "$@"\n'.encode()
    starter = hashlib.sha256(script).hexdigest()
    parts[starter] = lambda archive: _add_bytes(archive, "python", script, 0o755)
    for digest in session.call("lacks", digests=list(parts)):
        _send(session, digest, parts[digest])
    return f"{about['store']}/{starter}/python"


def _project_files(project):
    yield from (
        (f"benchpaper/{path.relative_to(PACKAGE)}", path) for path in sorted(PACKAGE.rglob("*.py"))
    )
    folder = project.experiments
    yield from (
        (f"experiments/{path.relative_to(folder)}", path) for path in sorted(folder.rglob("*.py"))
    )


def _project_digest(project):
    found = hashlib.sha256()
    for name, path in _project_files(project):
        found.update(f"{name}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()


def _add_project(archive, project):
    for name, path in _project_files(project):
        archive.add(path, name, filter=_plain)


def _add_bytes(archive, name, data, mode):
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), mode
    archive.addfile(info, io.BytesIO(data))


def closure(packages, lock=None):
    """Return the installed distributions of `packages` and of all that they need here. Raises `UserError` for one that
    is not installed, or not in the version that the file `lock` says."""
    from packaging.requirements import Requirement

    found, queue = {}, list(packages)
    locked = _locked(lock) if lock and lock.exists() else None
    while queue:
        name = _normal(queue.pop())
        if name in found:
            continue
        try:
            found[name] = distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            raise UserError(
                f'the package "{name}" is to be sent to the hosts, but is not installed here; run ./reproduce'
            ) from None
        if locked is not None and distribution.version not in locked.get(name, ()):
            wanted = " or ".join(locked.get(name, ["absent"]))
            raise UserError(
                f"the package {name} is {distribution.version} here, but {wanted} in requirements.lock; "
                "run ./reproduce to have what is locked"
            )
        for line in distribution.requires or ():
            needed = Requirement(line)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                queue.append(needed.name)
    return [found[name] for name in sorted(found)]


def _normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def _locked(lock):
    """Return {package: versions}: one version, or one for each range of Pythons."""
    found = {}
    for name, version in re.findall(
        r"^([\w.-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", lock.read_text(), re.M
    ):
        found.setdefault(_normal(name), []).append(version)
    return found


def check_fits(distribution, about, host):
    """Raise `UserError` unless one of the wheel's tags fits the host's Python, processor and C library."""
    wheel = distribution.read_text("WHEEL") or ""
    tags = re.findall(r"^Tag: (\S+)$", wheel, re.M)
    if not any(_fits(tag, about) for tag in tags):
        here, there = f"3.{sys.version_info.minor}", ".".join(map(str, about["version"]))
        raise UserError(
            f'host "{host}" has Python {there} ({about["machine"]}, C library {about["libc"] or "unknown"}), where '
            f"{distribution.name} {distribution.version} of this environment "
            f"({', '.join(tags) or 'no wheel'}) does not run: "
            f"install Python {here} there (or name one in the site file, python: /its/path)"
        )


def _fits(tag, about):
    interpreter, abi, platform = tag.split("-")
    major, minor = about["version"]
    mine = f"cp{major}{minor}"
    if abi == "none":
        right = interpreter in ("py3", f"py{major}{minor}", mine, "py2.py3")
    elif abi == "abi3":
        right = interpreter.startswith("cp3") and int(interpreter[3:]) <= minor
    else:
        right = interpreter == abi == mine
    return right and _runs(platform, about)


def _runs(platform, about):
    """Does the host have the platform of a wheel's tag?"""
    if platform == "any":
        return True
    if not about["libc"]:
        return False  # musl, say
    libc = tuple(map(int, about["libc"].split(".")[:2]))
    if found := re.fullmatch(r"manylinux_(\d+)_(\d+)_(\w+)", platform):
        return found[3] == about["machine"] and libc >= (int(found[1]), int(found[2]))
    name, _, machine = platform.partition("_")
    if name in OLD_PLATFORMS:
        return machine == about["machine"] and libc >= OLD_PLATFORMS[name]
    import platform as here  # linux_x86_64: built on this machine, for its C library

    return (
        name == "linux"
        and machine == about["machine"]
        and libc >= tuple(map(int, here.libc_ver()[1].split(".")[:2]))
    )


def _distribution_digest(distribution):
    """The wheel's RECORD names each file with its digest."""
    record = distribution.read_text("RECORD")
    if record is None:
        raise UserError(
            f"the package {distribution.name} lists no files (no RECORD); install it from a wheel"
        )
    return hashlib.sha256(
        f"{distribution.name} {distribution.version}\n{record}".encode()
    ).hexdigest()


def _add_distribution(archive, distribution):
    for file in distribution.files:
        if ".." not in file.parts and "__pycache__" not in file.parts:
            path = Path(distribution.locate_file(file))
            if path.is_file():
                archive.add(path, str(file), filter=_plain)
