"""What state the files of a project are: git's commit, or that of the bundle which was unpacked."""

import json
import subprocess
import time
from dataclasses import dataclass

from benchpaper.errors import UserError

NOTED = "bundle.json"


@dataclass(frozen=True)
class Revision:
    """What the files are a state of: a commit, its date in seconds, and whether nothing was changed since."""

    commit: str
    seconds: int
    clean: bool

    @property
    def date(self):
        """As a ZIP file notes it: in UTC, with even seconds, from 1980 on."""
        year, month, day, hour, minute, second = time.gmtime(max(self.seconds, 315_532_800))[:6]
        return year, month, day, hour, minute, second - second % 2

    @property
    def day(self):
        return time.strftime("%Y-%m-%d", time.gmtime(self.seconds))


def revision(project):
    """Return the `Revision` of a project: git's, or that of the bundle it was unpacked from. Raises `UserError`."""
    about = project.root / NOTED
    if not is_checkout(project) and about.exists():
        noted = json.loads(about.read_text())
        return Revision(noted["commit"], noted["commit_seconds"], noted["clean"])
    told = git(project, "log", "-1", "--format=%H %ct") if is_checkout(project) else ""
    if not told.strip():
        raise UserError("this is no git checkout with a commit; a bundle's date and list of files come from one")
    commit, seconds = told.split()
    return Revision(commit, int(seconds), not git(project, "status", "--porcelain").strip())


def is_checkout(project):
    """Say whether the project itself is a git checkout; one that lies within another repository is not."""
    return (project.root / ".git").exists()


def git(project, *words):
    """Return what git prints; nothing when it fails."""
    return subprocess.run(["git", "-C", project.root, *words], capture_output=True, text=True).stdout


def committed(project, commit, paths):
    """Return {path: content} of those of `paths` that git has at a commit; of none outside a checkout."""
    if not is_checkout(project):
        return {}
    asked = "".join(f"{commit}:{path}\n" for path in paths).encode()
    done = subprocess.run(["git", "-C", project.root, "cat-file", "--batch"], input=asked, capture_output=True)
    found, rest = {}, done.stdout
    for path in paths:
        head, _, rest = rest.partition(b"\n")
        if len(about := head.split()) == 3 and about[1] == b"blob":  # else "... missing"
            found[path], rest = rest[: int(about[2])], rest[int(about[2]) + 1 :]
    return found
