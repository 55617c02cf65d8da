"""When each claim was written, and when the results that judge it were measured, by git alone.

A bound that is older than the first data it judges cannot have been chosen to fit them. Git proves
it: a trial records the commit of the code that it measured, and that commit has the bound among its
ancestors. If the repository lacks the commit, dates decide, and the text says so.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from benchpaper.analysis.history import changes, measurements
from benchpaper.analysis.history.changes import Change as Change
from benchpaper.analysis.history.measurements import Measurement as Measurement
from benchpaper.core.errors import UserError
from benchpaper.core.project import REMEDY, Project
from benchpaper.core.revision import git, is_checkout
from benchpaper.results import file_digest, reference_log

FILE = "claims-history.json"  # in a bundle, and below the build folder
BEFORE = "written before its first data"
EARLIER = "written after earlier results"  # but before those that judge it now
TRIAL_RUNS = "chosen after trial runs"  # as its file admits
AFTER = "written after its data"
UNCOMMITTED = "not committed yet"
NO_DATA = "no data yet"
WORDS = (BEFORE, EARLIER, TRIAL_RUNS, AFTER, UNCOMMITTED, NO_DATA)


@dataclass(frozen=True)
class ClaimHistory:
    """The history of one claim: when it was first committed, and when its texts changed last.

    `word` is one of `WORDS`. `by_dates` says that dates decide it, for want of a commit.
    """

    word: str
    first: Change | None = None
    sentence: Change | None = None
    bound: Change | None = None
    compared: Change | None = None
    by_dates: bool = False


@dataclass(frozen=True)
class History:
    """{claim: its history} and {experiment: the times its reference was measured}, oldest first.

    If git cannot tell, both are empty, and `why` says so in one line.
    """

    claims: Mapping[str, ClaimHistory] = field(default_factory=dict)
    measured: Mapping[str, Sequence[Measurement]] = field(default_factory=dict)
    why: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the history as plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "History":
        """Return the history that `to_json` wrote.

        Raises `TypeError`, `KeyError` or `AttributeError` for other data.
        """
        parts = ("first", "sentence", "bound", "compared")
        claims = {
            name: ClaimHistory(**row | {part: Change.from_json(row[part]) for part in parts})
            for name, row in content["claims"].items()
        }
        if unknown := {row.word for row in claims.values()} - {*WORDS}:
            raise KeyError(f'unknown word "{min(unknown)}"')
        measured = {
            name: tuple(Measurement.from_json(each) for each in times)
            for name, times in content["measured"].items()
        }
        return cls(claims, measured, str(content["why"]))


def key(project: Project) -> str:
    """Return a text that changes whenever the history of claims or reference may have changed."""
    if not is_checkout(project):
        return ""
    commit = git(project, "log", "-1", "--format=%H", "--", *changes.PATHS, *measurements.PATHS)
    log = reference_log.path(project)
    return commit + (file_digest(log) if log.exists() else "")


def of(project: Project) -> History:
    """Return the history of all claims: from git, or from the bundle that the project comes from.

    A claim that its file does not state by a literal id is left out.
    """
    if not is_checkout(project):
        if (project.root / FILE).exists():
            return read(project.root / FILE)
        return History(why="the history of the claims is unknown: this is no git checkout")
    if why := _gap(project):
        return History(why=why)
    stages, times = changes.of(project), measurements.of(project)
    claims = {
        name: _claim(project, now, stages.get(name), times)
        for name, now in changes.current(project).items()
    }
    return History(claims, times)


def read(path: Path) -> History:
    """Return the history in a file; an unknown one if there is no file.

    Raises `UserError` if the file holds anything else.
    """
    if not path.exists():
        return History(why="the history of the claims is unknown: nothing was gathered yet")
    try:
        return History.from_json(json.loads(path.read_text()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path.name} cannot be read ({error}); {REMEDY}") from None


def _gap(project: Project) -> str:
    """Return why git cannot tell the history; "" if it can."""
    if git(project, "rev-parse", "--is-shallow-repository").strip() == "true":
        return (
            "the history of the claims is unknown: this clone is shallow; "
            "git fetch --unshallow gets the rest"
        )
    if not git(project, "rev-parse", "HEAD").strip():
        return "the history of the claims is unknown: git is not installed, or has no commit here"
    return ""


def _claim(
    project: Project,
    now: changes.Stated,
    stages: changes.Stages | None,
    times: Mapping[str, Sequence[Measurement]],
) -> ClaimHistory:
    """Return the history of one claim, which states `now` in the work tree."""
    if stages is None or now[:-1] != stages.present[:-1]:
        return ClaimHistory(UNCOMMITTED, stages.first if stages else None)
    history = ClaimHistory(NO_DATA, stages.first, stages.sentence, stages.bound, stages.compared)
    measured = [each for name in stages.experiments for each in times.get(name, ())]
    if not measured:
        return history
    measured.sort(key=lambda each: each.started)
    before_first, by_dates = _before(project, stages.bound, measured[0])
    before_last, last_by_dates = _before(project, stages.bound, measured[-1])
    if not before_last:
        return replace(history, word=AFTER, by_dates=last_by_dates)
    word = TRIAL_RUNS if now.admitted else BEFORE if before_first else EARLIER
    return replace(history, word=word, by_dates=by_dates)


def _before(project: Project, bound: Change, data: Measurement) -> tuple[bool, bool]:
    """Return (whether a bound was committed before data were measured, whether by dates alone)."""
    known = [changes.is_ancestor(project, bound.commit, commit) for commit in data.commits]
    if known and None not in known:
        return all(known), False
    return bound.time < data.started, True
