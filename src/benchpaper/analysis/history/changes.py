"""Reads from git when the claims were first committed, and when their texts changed."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from typing import Any

from benchpaper.analysis.history.stated import Stated as Stated
from benchpaper.analysis.history.stated import stated
from benchpaper.core.project import Project
from benchpaper.core.revision import git, objects, succeeds

PATHS = ("analysis/claims.py", "analysis/claims_*.py")
LOG = ("log", "--reverse", "--topo-order", "--full-history")


@dataclass(frozen=True)
class Change:
    """The commit that last changed something, its time (ISO 8601, UTC), and the changes since
    the first commit."""

    commit: str
    time: str
    changes: int = 0

    @classmethod
    def from_json(cls, content: Any) -> "Change | None":
        """Return the change that `asdict` wrote, or None."""
        return None if content is None else cls(**content)


@dataclass(frozen=True)
class Stages:
    """What a claim states in the last commit, when it came, and when each part changed last.

    `experiments` are all that ever judged it.
    """

    present: Stated
    first: Change
    sentence: Change
    bound: Change
    compared: Change
    experiments: tuple[str, ...]


def of(project: Project) -> dict[str, Stages]:
    """Return {claim: its stages} of the claims in the last commit.

    A merge that takes a claim from one of its parents changes nothing.
    """
    commits = _commits(project)
    head = git(project, "rev-parse", "HEAD").strip()
    states = _states(project, [head, *(name for each in commits for name in each[:2])])
    stages: dict[str, Stages] = {}
    for commit, parents, time in commits:
        before = [states[parent] for parent in parents.split()]
        for name, now in states[commit].items():
            known = [state[name] for state in before if name in state]
            event = Change(commit, time)
            stages[name] = _next(stages.get(name), now, known, event)
    return {
        name: replace(stages[name], present=now)
        for name, now in states[head].items()
        if name in stages
    }


def _next(stages: Stages | None, now: Stated, known: list[Stated], event: Change) -> Stages:
    """Return the stages of a claim after a commit; `known` are its states in the parents."""
    if stages is None:
        return Stages(now, event, event, event, event, (now.experiment,))
    changed = {
        part: replace(event, changes=getattr(stages, part).changes + 1)
        for part in ("sentence", "bound", "compared")
        if all(getattr(state, part) != getattr(now, part) for state in known)
        and getattr(stages.present, part) != getattr(now, part)
    }
    experiments = tuple(dict.fromkeys([*stages.experiments, now.experiment]))
    return replace(stages, present=now, experiments=experiments, **changed)


def current(project: Project) -> dict[str, Stated]:
    """Return {claim: what it states} in the work tree."""
    paths = sorted(path for pattern in PATHS for path in project.root.glob(pattern))
    return {name: each for path in paths for name, each in stated(path.read_text()).items()}


@cache
def is_ancestor(project: Project, commit: str, of_commit: str) -> bool | None:
    """Return whether `commit` is `of_commit` or one of its ancestors; None if git lacks one."""
    for name in (commit, of_commit):
        if not succeeds(project, "cat-file", "-e", f"{name}^{{commit}}"):
            return None
    return succeeds(project, "merge-base", "--is-ancestor", commit, of_commit)


def _commits(project: Project) -> list[tuple[str, str, str]]:
    """Return (commit, its parents, time) of the commits that touch claims, the oldest first."""
    lines = git(project, *LOG, "--format=%H|%P|%ct", "--", *PATHS).splitlines()
    return [
        (commit, parents, datetime.fromtimestamp(int(seconds), UTC).isoformat())
        for commit, parents, seconds in (line.split("|") for line in lines)
    ]


def _states(project: Project, named: list[str]) -> Mapping[str, dict[str, Stated]]:
    """Return {commit: {claim: what it states}}; `named` holds commits, several in one text."""
    commits = list(dict.fromkeys(" ".join(named).split()))
    files = git(project, "log", "--full-history", "--name-only", "--format=", "--", *PATHS).split()
    names = [f"{commit}:{path}" for commit in commits for path in dict.fromkeys(files)]
    states: dict[str, dict[str, Stated]] = {commit: {} for commit in commits}
    texts: dict[bytes, dict[str, Stated]] = {}
    for name, content in objects(project, names).items():
        if content not in texts:
            texts[content] = stated(content.decode(errors="replace"))
        states[name.partition(":")[0]] |= texts[content]
    return states
