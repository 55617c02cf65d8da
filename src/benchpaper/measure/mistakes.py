"""Mistakes in a trial's own code, which no further attempt can mend.

A trial that fails may succeed the next time. A trial that names an unknown variable cannot, so the
first such error stops the experiment. Where the same code has measured the same cell before, here
or in the reference, the machine or its tools are to blame, and the trial counts as failed.
"""

import inspect
import json
import sysconfig
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import GeneratorType
from typing import Any

from benchpaper import results
from benchpaper.core.atomic_write import atomic_write
from benchpaper.core.errors import UserError
from benchpaper.core.project import CODE
from benchpaper.design.declarations import Cell
from benchpaper.design.spec import Experiment

NOTE = "mistake.json"  # next to the journals
KINDS = (NameError, TypeError, AttributeError, KeyError)
FOLDER = "/experiments/"
# A whole project may lie in a folder with that name, and its environment with it.
LIBRARIES = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}


class TrialMistake(UserError):
    """An error in a trial's own code, with its place; it ends the experiment."""


class WrongForm(Exception):
    """A trial yields something that cannot be an observation of its experiment."""


def observations(experiment: Experiment, cell: Cell, site: Any) -> Iterator[dict[str, Any]]:
    """Run the trial, and yield its observations as it yields them.

    Raises `WrongForm` if the trial returns instead of yielding, or yields something other than a
    dict of what is declared, and `InvalidObservation` at the first observation that is ambiguous.
    """
    trial = experiment._trial
    assert trial is not None
    yielded = trial(cell, site)
    if not isinstance(yielded, Iterable) or isinstance(yielded, Mapping):
        what = "nothing" if yielded is None else f"a {type(yielded).__name__}"
        raise WrongForm(
            f"{_start(trial)}a trial yields its observations, but this one returns {what}; "
            f"write `yield dict({experiment.metrics[0].name}=...)`"
        )
    described = experiment.describe()
    rows = results.Rows(described)
    for observation in yielded:
        if wrong := results.wrong_form(described, observation):
            raise WrongForm(f"{_line(yielded) or _start(trial)}{wrong}")
        try:
            rows.add(observation)
        except results.InvalidObservation:
            getattr(yielded, "close", lambda: None)()  # so that it stops its servers
            raise
        yield observation


def _start(function: Callable[..., Any]) -> str:
    """Return `file:line: ` of a function; empty for other callables."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return f"{_below_experiments(code.co_filename)}:{code.co_firstlineno}: " if code else ""


def _line(running: Iterable[Any]) -> str:
    """Return `file:line: ` of the `yield` where a generator waits; empty for other iterables."""
    if not isinstance(running, GeneratorType) or running.gi_frame is None:
        return ""
    return f"{_below_experiments(running.gi_code.co_filename)}:{running.gi_frame.f_lineno}: "


def place(error: BaseException) -> str:
    """Return `file:line: ` of the deepest frame in an experiment; empty without one."""
    frames = _frames(error)
    inside = [number for number, (file, _) in enumerate(frames) if _is_experiments(file)]
    if not inside:
        return ""
    file, line = frames[inside[-1]]
    return f"{_below_experiments(file)}:{line}: "


def is_mistake(error: BaseException) -> bool:
    """Return whether an error shows that the trial's own code is wrong.

    It is wrong if it names something that does not exist, or misuses what exists, and the
    experiment itself raised the error, or the framework did for the experiment. An error that a
    library raised may have come from its data.
    """
    if isinstance(error, WrongForm):
        return True
    frames = [file for file, _ in _frames(error)]
    while frames and Path(frames[-1]).is_relative_to(CODE):
        frames.pop()
    return isinstance(error, KINDS) and bool(frames) and _is_experiments(frames[-1])


def _frames(error: BaseException) -> list[tuple[str, int | None]]:
    return [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]


def _is_experiments(path: str) -> bool:
    """Return whether a file belongs to an experiment, and not to a library."""
    return FOLDER in path and not any(map(Path(path).is_relative_to, LIBRARIES))


def _below_experiments(path: str) -> str:
    return path[path.rindex(FOLDER) + 1 :] if FOLDER in path else Path(path).name


@contextmanager
def stopping(folder: Path, run: str) -> Iterator[None]:
    """Let a mistake in one block of an experiment stop its other blocks, too.

    `folder` holds the experiment's results; `run` identifies the run, and is empty if the blocks
    belong to none. Raises `TrialMistake` at once if another block of this run has met one.
    """
    path = folder / "journal" / NOTE
    if run and (known := _noted(path, run)):
        raise TrialMistake(known)
    try:
        yield
    except TrialMistake as mistake:
        if run:
            atomic_write(path, json.dumps({"run": run, "message": str(mistake)}))
        raise


def _noted(path: Path, run: str) -> str:
    with suppress(OSError, ValueError, KeyError, TypeError):
        content = json.loads(path.read_text())
        return str(content["message"]) if content["run"] == run else ""
    return ""
