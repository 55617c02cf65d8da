"""The revision of a project's files: git's commit, or that of the bundle they come from."""

import hashlib
import json
import os
import subprocess
import time
from dataclasses import dataclass

from benchpaper.core.errors import UserError
from benchpaper.core.project import Project

NOTED, MANIFEST = "bundle.json", "manifest-sha256.txt"
DERIVED = ("build/", "results/")  # changes here leave the code as it was
UNKNOWN = "unknown"
# Variables that would lead git to another repository.
ELSEWHERE = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_COMMON_DIR",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_NAMESPACE",
)


@dataclass(frozen=True)
class Revision:
    """A commit, its time in seconds since 1970, and whether the files are unchanged since then.

    If the commit is unknown, `why` gives the reason and the next step, in git's own words if git
    refuses.
    """

    commit: str
    seconds: int
    clean: bool
    why: str = ""

    @property
    def date(self) -> tuple[int, int, int, int, int, int]:
        """The time as a ZIP file stores it: in UTC, with even seconds, from 1980 on."""
        year, month, day, hour, minute, second = time.gmtime(max(self.seconds, 315_532_800))[:6]
        return year, month, day, hour, minute, second - second % 2

    @property
    def day(self) -> str:
        return time.strftime("%Y-%m-%d", time.gmtime(self.seconds))


def revision(project: Project) -> Revision:
    """Return the `Revision` of a project: git's, or that of the bundle it was unpacked from.

    A repository around the project does not count.
    """
    if is_checkout(project):
        return _of_git(project)
    if (project.root / NOTED).exists():
        return _of_bundle(project)
    return _unknown(
        "this is neither a git checkout nor an unpacked bundle, so its commit is unknown; "
        "clone it with git"
    )


def known_revision(project: Project) -> Revision:
    """Return the project's `Revision`. Raises `UserError` if its commit is unknown."""
    state = revision(project)
    if state.why:
        raise UserError(state.why)
    return state


def _unknown(why: str) -> Revision:
    return Revision(UNKNOWN, 0, False, why)


def _of_git(project: Project) -> Revision:
    try:
        log = _run(project, "log", "-1", "--format=%H %ct")
    except FileNotFoundError:
        return _unknown(
            "git is not installed, so the commit of this checkout is unknown; install git"
        )
    if log.returncode:
        return _unknown(_refusal(log.stderr.decode(errors="replace")))
    commit, seconds = log.stdout.decode().split()
    status = _run(project, "status", "--porcelain")
    return Revision(commit, int(seconds), not status.returncode and not status.stdout.strip())


def _refusal(stderr: str) -> str:
    """Return git's complaint as one line, with its remedy if it names one.

    It names one for a checkout of another user.
    """
    lines = [line.strip() for line in stderr.splitlines()]
    complaint = next(
        (line.removeprefix("fatal: ") for line in lines if line.startswith("fatal: ")),
        "it said nothing",
    )
    remedy = next(
        (line for line in lines if line.startswith("git config ")),
        "commit first, or clone the repository",
    )
    return f"git cannot tell the commit of this checkout: {complaint}; to fix it: {remedy}"


def _of_bundle(project: Project) -> Revision:
    try:
        noted = json.loads((project.root / NOTED).read_text())
        return Revision(
            noted["commit"], noted["commit_seconds"], noted["clean"] and _as_unpacked(project)
        )
    except (OSError, ValueError, KeyError, TypeError):
        return _unknown(
            f"{NOTED} is broken, so the commit of this bundle is unknown; unpack it again"
        )


def _as_unpacked(project: Project) -> bool:
    """Return whether the bundle's sources still have the digests of its manifest."""
    try:
        listed = (
            line.partition("  ") for line in (project.root / MANIFEST).read_text().splitlines()
        )
        return all(
            hashlib.sha256((project.root / name).read_bytes()).hexdigest() == digest
            for digest, _, name in listed
            if not name.startswith(DERIVED)
        )
    except OSError:  # a file is gone
        return False


def is_checkout(project: Project) -> bool:
    """Return whether the project itself is a git checkout, not just a folder inside of one."""
    return (project.root / ".git").exists()


def git(project: Project, *arguments: str) -> str:
    """Return what git prints; empty if it fails or is not installed."""
    try:
        return _run(project, *arguments).stdout.decode(errors="replace")
    except FileNotFoundError:
        return ""


def succeeds(project: Project, *arguments: str) -> bool:
    """Return whether a command of git exits with 0."""
    try:
        return not _run(project, *arguments).returncode
    except FileNotFoundError:
        return False


def committed(project: Project, commit: str, paths: list[str]) -> dict[str, bytes]:
    """Return {path: content} of those `paths` that exist in `commit`; empty outside a checkout."""
    contents = objects(project, [f"{commit}:{path}" for path in paths])
    return {name.removeprefix(f"{commit}:"): content for name, content in contents.items()}


def objects(project: Project, names: list[str]) -> dict[str, bytes]:
    """Return {name: content} of those files that git has; a name is COMMIT:PATH, or a digest.

    Empty outside a checkout.
    """
    if not is_checkout(project):
        return {}
    asked_for = "".join(f"{name}\n" for name in names).encode()
    try:
        output = _run(project, "cat-file", "--batch", stdin=asked_for).stdout
    except FileNotFoundError:
        return {}
    contents, place = {}, 0
    for name in names:
        end = output.find(b"\n", place)
        head, place = output[place:end].split(), end + 1
        if len(head) == 3 and head[1] == b"blob":  # else "... missing"
            size = int(head[2])
            contents[name] = output[place : place + size]
            place += size + 1
    return contents


def _run(
    project: Project, *arguments: str, stdin: bytes = b""
) -> "subprocess.CompletedProcess[bytes]":
    """Run git on the project's own repository, whatever variables or a broken `.git` say."""
    environment = {name: value for name, value in os.environ.items() if name not in ELSEWHERE}
    environment |= {"LC_ALL": "C", "GIT_CEILING_DIRECTORIES": str(project.root.resolve().parent)}
    options = ["--no-optional-locks", "-c", "log.showSignature=false", "-C", str(project.root)]
    return subprocess.run(
        ["git", *options, *arguments], env=environment, input=stdin, capture_output=True
    )
