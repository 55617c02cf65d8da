"""What state the files of a project are: git's commit, or that of the bundle which was unpacked."""

import hashlib
import json
import os
import subprocess
import time
from dataclasses import dataclass

from benchpaper.core.errors import UserError

NOTED, MANIFEST = "bundle.json", "manifest-sha256.txt"
DERIVED = ("build/", "results/")  # what may change without the code being another
UNKNOWN = "unknown"
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
    """What the files are a state of: a commit, its date in seconds, and whether nothing was changed since. Where the
    commit is unknown, `why` says so and what to do, in git's own words where git refuses."""

    commit: str
    seconds: int
    clean: bool
    why: str = ""

    @property
    def date(self):
        """As a ZIP file notes it: in UTC, with even seconds, from 1980 on."""
        year, month, day, hour, minute, second = time.gmtime(max(self.seconds, 315_532_800))[:6]
        return year, month, day, hour, minute, second - second % 2

    @property
    def day(self):
        return time.strftime("%Y-%m-%d", time.gmtime(self.seconds))


def revision(project) -> Revision:
    """Return the `Revision` of a project: git's, or that of the bundle it was unpacked from. It is never that of a
    repository around the project."""
    if is_checkout(project):
        return _of_git(project)
    if (project.root / NOTED).exists():
        return _of_bundle(project)
    return _unknown(
        "this is neither a git checkout nor an unpacked bundle, so its commit is unknown; clone it with git"
    )


def known_revision(project) -> Revision:
    """Return the project's `Revision`. Raises `UserError` where its commit is unknown."""
    state = revision(project)
    if state.why:
        raise UserError(state.why)
    return state


def _unknown(why: str) -> Revision:
    return Revision(UNKNOWN, 0, False, why)


def _of_git(project) -> Revision:
    try:
        told = _run(project, "log", "-1", "--format=%H %ct")
    except FileNotFoundError:
        return _unknown(
            "git is not installed, so the commit of this checkout is unknown; install git"
        )
    if told.returncode:
        return _unknown(_refusal(told.stderr.decode(errors="replace")))
    commit, seconds = told.stdout.decode().split()
    status = _run(project, "status", "--porcelain")
    return Revision(commit, int(seconds), not status.returncode and not status.stdout.strip())


def _refusal(said: str) -> str:
    """Git's complaint as one line, with its remedy where it names one (it does for a checkout of another user)."""
    lines = [line.strip() for line in said.splitlines()]
    complaint = next(
        (line.removeprefix("fatal: ") for line in lines if line.startswith("fatal: ")),
        "it said nothing",
    )
    remedy = next(
        (line for line in lines if line.startswith("git config ")),
        "commit first, or clone the repository",
    )
    return f"git does not tell the commit of this checkout: {complaint}; to mend it: {remedy}"


def _of_bundle(project) -> Revision:
    try:
        noted = json.loads((project.root / NOTED).read_text())
        return Revision(
            noted["commit"], noted["commit_seconds"], noted["clean"] and _as_unpacked(project)
        )
    except (OSError, ValueError, KeyError, TypeError):
        return _unknown(
            f"{NOTED} is broken, so the commit of this bundle is unknown; unpack it again"
        )


def _as_unpacked(project) -> bool:
    """Whether the bundle's sources still have the digests of its manifest."""
    try:
        listed = (
            line.partition("  ") for line in (project.root / MANIFEST).read_text().splitlines()
        )
        return all(
            hashlib.sha256((project.root / name).read_bytes()).hexdigest() == digest
            for digest, _, name in listed
            if not name.startswith(DERIVED)
        )
    except OSError:  # one of them is gone
        return False


def is_checkout(project) -> bool:
    """Say whether the project itself is a git checkout; one that lies within another repository is not."""
    return (project.root / ".git").exists()


def git(project, *words) -> str:
    """Return what git prints; nothing when it fails."""
    try:
        return _run(project, *words).stdout.decode(errors="replace")
    except FileNotFoundError:
        return ""


def committed(project, commit: str, paths: list[str]) -> dict[str, bytes]:
    """Return {path: content} of those of `paths` that git has at a commit; of none outside a checkout."""
    if not is_checkout(project):
        return {}
    asked = "".join(f"{commit}:{path}\n" for path in paths).encode()
    try:
        rest = _run(project, "cat-file", "--batch", asked=asked).stdout
    except FileNotFoundError:
        return {}
    found = {}
    for path in paths:
        head, _, rest = rest.partition(b"\n")
        if len(about := head.split()) == 3 and about[1] == b"blob":  # else "... missing"
            found[path], rest = rest[: int(about[2])], rest[int(about[2]) + 1 :]
    return found


def _run(project, *words, asked: bytes = b"") -> subprocess.CompletedProcess:
    """Run git on the project's own repository: no variable and no broken `.git` leads it to another one."""
    environment = {name: value for name, value in os.environ.items() if name not in ELSEWHERE}
    environment |= {"LC_ALL": "C", "GIT_CEILING_DIRECTORIES": str(project.root.resolve().parent)}
    command = [
        "git",
        "--no-optional-locks",
        "-c",
        "log.showSignature=false",
        "-C",
        project.root,
        *words,
    ]
    return subprocess.run(command, env=environment, input=asked, capture_output=True)
