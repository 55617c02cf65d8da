"""Sends the agent, the project, Python packages, programs and data to target hosts, each once.

A host's store holds one folder per content, named by its digest, and never changes. From the
controller's environment, a host receives only the packages that an experiment declares, with their
dependencies.
"""

import hashlib
import io
import json
import os
import re
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any, Protocol

from benchpaper.core import syntax
from benchpaper.core.atomic_write import atomic_write
from benchpaper.core.project import Project
from benchpaper.hosts import HostError, facts
from benchpaper.hosts.agent import wire
from benchpaper.hosts.ssh import wheels

PACKAGE = Path(__file__).parents[2]
AGENT = "benchpaper.hosts.agent.main"
SEND_S = 1800.0  # for the largest package over a slow link
DIGEST = re.compile(r"[0-9a-f]{64}")

Fill = Callable[[tarfile.TarFile], object]  # adds content to an archive


class Session(Protocol):
    """A conversation with the agent (`remote.Conversation`)."""

    def call(
        self,
        operation: str,
        patience: float = ...,
        sending: Callable[[wire.Channel], object] | None = ...,
        **options: Any,
    ) -> Any: ...


@cache
def agent_zip() -> tuple[bytes, str]:
    """Return (bytes of a zip with the agent's modules, their digest)."""
    data, root = io.BytesIO(), PACKAGE.parent
    paths = sorted(syntax.reached(syntax.files(root, AGENT), root, PACKAGE.name))
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in paths:
            archive.writestr(zipfile.ZipInfo(path.relative_to(root).as_posix()), path.read_bytes())
    return data.getvalue(), hashlib.sha256(data.getvalue()).hexdigest()[:16]


def checkout(project: Project) -> str:
    """Return 12 hex digits that stand for this checkout on this machine."""
    return hashlib.sha256(f"{facts.identity()} {project.root}".encode()).hexdigest()[:12]


# ---- files and folders ----


def provide(session: Session, store: Path, path: Path, memo: Path) -> Path:
    """Return where a copy of `path` lies in the host's store; send it if the store lacks it."""
    if not path.exists():
        raise HostError(f'"{path.name}" cannot be sent to a host: it does not exist')
    digest = content_digest(path, memo)
    if session.call("lacks", digests=[digest]):
        _send(session, digest, lambda tar: tar.add(path.resolve(), path.name, filter=_plain))
    return store / digest / path.name


def content_digest(path: Path, memo: Path | None = None) -> str:
    """Return the SHA-256 over names, modes and contents below `path`, as hex digits.

    The folder `memo` keeps the digest while sizes and times of change stay the same.
    """
    entries = _entries(path.resolve())
    stats = [
        (str(entry), stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
        for entry, stat in entries
    ]
    known = memo and memo / hashlib.sha256(json.dumps(stats).encode()).hexdigest()
    if known and known.exists() and DIGEST.fullmatch(text := known.read_text(errors="replace")):
        return text
    digest = hashlib.sha256(path.name.encode())
    for entry, stat in entries:
        digest.update(f"\0{entry.relative_to(path.resolve())}\0{stat.st_mode & 0o111}\0".encode())
        with open(entry, "rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    if known:
        atomic_write(known, digest.hexdigest())
    return digest.hexdigest()


def _entries(path: Path) -> list[tuple[Path, os.stat_result]]:
    """Return the files at or below `path` with their status, but no compiled Python."""
    files = [path] if path.is_file() else list(_files_below(path))
    return [(entry, entry.stat()) for entry in sorted(files)]


def _files_below(folder: Path) -> Iterator[Path]:
    for entry in folder.rglob("*"):
        if entry.is_file() and "__pycache__" not in entry.parts:
            yield entry


def _plain(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Drop owner and time of a file; leave out compiled Python, which the host makes itself."""
    if "__pycache__" in info.name.split("/"):
        return None
    info.uid = info.gid = info.mtime = 0
    info.uname = info.gname = ""
    return info


def _send(session: Session, digest: str, fill: Fill) -> None:
    """Send the content that `fill(archive)` adds to an archive."""

    def send(channel: wire.Channel) -> None:
        sender = wire.Sender(channel)
        try:
            # tarfile needs no more than `write` of a stream, but its type hints do.
            with tarfile.open(  # type: ignore[call-overload]
                fileobj=sender, mode="w|", bufsize=wire.CHUNK, dereference=False
            ) as archive:
                fill(archive)
        except OSError:
            sender.give_up()
            raise
        sender.end()

    session.call("store", SEND_S, digest=digest, sending=send)


# ---- Python ----


def python(
    session: Session,
    agent: Mapping[str, Any],
    project: Project,
    packages: Iterable[str],
    host: str,
) -> str:
    """Return the path of a Python on the host that imports this project and `packages`.

    Send what the host lacks. `agent` is the agent's description of the host. Raises `UserError`
    when a package does not run on the host's Python.
    """
    parts: dict[str, Fill] = {_project_digest(project): partial(_add_project, project)}
    for distribution in wheels.closure(packages, project.root / "requirements.lock"):
        wheels.check_fits(distribution, agent, host)
        parts[wheels.content_digest(distribution)] = partial(wheels.add_files, distribution, _plain)
    paths = [f"{agent['store']}/{digest}" for digest in parts]
    script = f'#!/bin/sh\nPYTHONPATH="{":".join(paths)}" exec {agent["python"]} "$@"\n'.encode()
    starter = hashlib.sha256(script).hexdigest()
    parts[starter] = partial(_add_program, "python", script)
    for digest in session.call("lacks", digests=list(parts)):
        _send(session, digest, parts[digest])
    return f"{agent['store']}/{starter}/python"


def _project_files(project: Project) -> Iterator[tuple[str, Path]]:
    """Yield (name in the archive, path) of the Python code of the framework and the project."""
    for name, folder in (("benchpaper", PACKAGE), ("experiments", project.experiments)):
        for path in sorted(folder.rglob("*.py")):
            yield f"{name}/{path.relative_to(folder)}", path


def _project_digest(project: Project) -> str:
    digest = hashlib.sha256()
    for name, path in _project_files(project):
        digest.update(f"{name}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _add_project(project: Project, archive: tarfile.TarFile) -> None:
    for name, path in _project_files(project):
        archive.add(path, name, filter=_plain)


def _add_program(name: str, data: bytes, archive: tarfile.TarFile) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), 0o755
    archive.addfile(info, io.BytesIO(data))
