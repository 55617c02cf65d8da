"""The inputs of experiments in a run: which are there, and how to get the others."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.filesize import decimal

from benchpaper.core import lock, output
from benchpaper.core.errors import UserError
from benchpaper.core.project import REFERENCE
from benchpaper.design import inputs
from benchpaper.design.inputs import State
from benchpaper.workflow.download import Progress, download
from benchpaper.workflow.pipeline import Pipeline

Say = Callable[[str], object]


def states(pipeline: Pipeline, name: str) -> list[State]:
    """Return the state of each input of an experiment on the pipeline's site."""
    declared = pipeline.experiment(name).inputs
    return inputs.states(pipeline.project, pipeline.site_name, name, declared)


def described(state: State) -> dict[str, Any]:
    """Return an input's state as plain data."""
    return {**state.to_json(), "missing": state.is_missing, "problem": state.problem}


def show(listed: Sequence[dict[str, Any]]) -> None:
    """Print the inputs of experiments, a line for each."""
    for item in listed:
        if item["problem"]:
            print(f"{item['experiment']}: {item['problem']}")
        else:
            how = "as declared" if item["declared"] else f'declare sha256="{item["sha256"]}"'
            print(f"{item['experiment']}: input {item['path']}, {decimal(item['bytes'])}, {how}")


def fetch(pipeline: Pipeline, names: Sequence[str], say: Say) -> list[dict[str, Any]]:
    """Fetch the missing inputs that have an address; return all inputs as plain data."""
    listed = []
    for name in names:
        for state in states(pipeline, name):
            now = _fetched(pipeline, name, state, say)
            declared = bool(state.input.sha256)
            listed.append({"experiment": name, **described(now), "declared": declared})
    return listed


def provide(pipeline: Pipeline, names: Sequence[str], say: Say, always: bool = False) -> None:
    """Before measuring, fetch what is missing, and refuse what is not as declared.

    Experiments that are measured already need no inputs, unless `always`. Raises `UserError`
    with a line for each input that is wrong.
    """
    problems = []
    for name in names if pipeline.source != REFERENCE else ():
        if not pipeline.experiment(name).inputs or name in pipeline.kept:
            continue
        finished = not always and all(block.is_finished for block in pipeline.blocks(name))
        for state in states(pipeline, name):
            if finished:
                if state.problem:
                    say(f"{name}: {state.problem}; its trials are finished, and no longer need it")
            elif problem := _fetched(pipeline, name, state, say).problem:
                problems.append(f"{name}: {problem}")
    if problems:
        raise UserError("\nbenchpaper: ".join(problems))


def _fetched(pipeline: Pipeline, name: str, state: State, say: Say) -> State:
    """Return the state of an input after fetching it, if it is missing and has an address."""
    item, project = state.input, pipeline.project
    if not state.is_missing or not item.url or state.place != project.root / item.path:
        return state
    if state.place.exists() or state.place.is_symlink():
        return state  # something else lies there
    project.check_writable()
    with lock.held(
        inputs.notes(project) / f"{item.sha256}.lock", f"fetching {item.path}", wait=True
    ):
        if not state.place.exists():  # else another process has fetched it meanwhile
            with _progress(item.path, item.url, say) as progress:
                download(item.url, item.sha256, state.place, inputs.notes(project), progress)
    [now] = inputs.states(project, pipeline.site_name, name, [item])
    return now


@contextmanager
def _progress(what: str, url: str, say: Say) -> Iterator[Progress]:
    """Show a bar on a terminal, and elsewhere a line at the beginning and at the end."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn

    console = output.console(stderr=True)
    if output.interactive(console):
        columns = ("{task.description}", BarColumn(), DownloadColumn(), TransferSpeedColumn())
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task(what, total=None)
            yield lambda here, total: bar.update(task, completed=here, total=total)
        return
    begun, last = False, 0

    def line(here: int, total: int | None) -> None:
        nonlocal begun, last
        if not begun:
            rest = f" of {decimal(total)}" if total else ""
            say(
                f"fetching input {what}{rest} from {url}"
                + (f", from {decimal(here)} on" if here else "")
            )
        begun, last = True, here

    yield line
    say(f"fetched input {what}: {decimal(last)}")
