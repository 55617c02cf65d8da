"""`benchpaper run`: runs Snakemake with lock, resume, and progress, and ends with a summary."""

import contextlib
import json
import shutil
import signal
import time
from collections.abc import Iterator, Sequence
from functools import partial

from rich.console import Console

from benchpaper.core import extras, lock, output
from benchpaper.core.capabilities import find_capability
from benchpaper.core.errors import UserError, first_few, one_of
from benchpaper.core.project import REFERENCE
from benchpaper.core.revision import UNKNOWN, is_checkout, known_revision, revision
from benchpaper.hosts import cleanup
from benchpaper.paper import notebook
from benchpaper.results import OBSERVATIONS, TRIALS, read
from benchpaper.results.import_record import record_of
from benchpaper.workflow import command_line, damage, input_files, plans, preview, summary
from benchpaper.workflow.execution import Execution
from benchpaper.workflow.pipeline import TARGETS, Pipeline
from benchpaper.workflow.progress import ProgressDisplay
from benchpaper.workflow.records import Failure


def run(
    pipeline: Pipeline,
    words: Sequence[str],
    dry_run: bool = False,
    as_json: bool = False,
    retry_failed: bool = False,
    measure_again: bool = False,
) -> int:
    """Run the pipeline for the targets and experiments in `words`. Return the exit status.

    `retry_failed` also measures failed trials again; `measure_again` first removes the results.
    """
    console = output.console(stderr=as_json)
    pipeline.project.check_writable()
    command_line.check_profile(pipeline)
    targets, experiments = _targets_and_experiments(pipeline, words)
    extras.require_for_run(targets, pipeline.profile)
    _say_unknown_commit(pipeline, targets, console)
    if {"paper", "bundle"} & set(targets) and not _has_latex(pipeline):
        raise UserError(
            "the targets paper and bundle need LaTeX, which is not installed: "
            + find_capability("latex").remedy
        )
    if not measure_again:
        _keep_results_of_other_machines(pipeline, words, experiments, console)
    if dry_run:
        return preview.show(pipeline, targets, experiments, console, as_json)
    what = f"benchpaper run ({pipeline.site_name}, {pipeline.source})"
    with _terminable(), lock.held(pipeline.project.state / "run.lock", what):
        _prepare(pipeline, experiments, retry_failed, measure_again, console)
        begin = time.monotonic()
        status, failures = _execute(pipeline, targets, experiments, console)
        seconds = time.monotonic() - begin
        result = summary.make(pipeline, experiments, failures, seconds, status)
    if as_json:
        print(json.dumps(result.to_json(), indent=1))
    else:
        summary.show(result, console)
    return status


def _prepare(
    pipeline: Pipeline,
    experiments: list[str],
    retry_failed: bool,
    measure_again: bool,
    console: Console,
) -> None:
    """Sweep up and mend what earlier runs left, get the inputs, and say what is measured again."""
    _sweep(pipeline, console)
    say, restored = partial(_say, console), list[str]()
    if measure_again:  # before it removes anything
        input_files.provide(pipeline, experiments, say, always=True)
    for name in experiments:
        if measure_again:
            _remove_results(pipeline, name, console)
        restored += damage.restore(pipeline, name)
        pipeline.reopen(name, retry_failed)
    input_files.provide(pipeline, experiments, say)
    for name in experiments:
        if name not in pipeline.kept and (again := pipeline.again(name)):
            say(f"{name}: {plans.describe_again(again)}")
    removed = damage.remove(pipeline, experiments)
    damage.refresh_caches(pipeline.project, bool(restored or removed))
    _say_mended(restored, removed, console)


def _execute(
    pipeline: Pipeline, targets: list[str], experiments: list[str], console: Console
) -> tuple[int, list[Failure]]:
    """Run Snakemake. Return the exit status of the run, and its failures."""
    forced = command_line.forced(pipeline, targets, experiments, {})
    command = command_line.snakemake(pipeline, targets, experiments, "--nocolor", *forced)
    finished = {name: pipeline.finished(name) for name in experiments}
    display = ProgressDisplay(console, finished)
    if status := Execution(pipeline.project, command, display).run():
        return status, display.failures
    failures = display.failures
    failures += summary.without_a_result(pipeline, experiments) or _lacking(
        pipeline, targets, experiments
    )
    return 1 if failures else 0, failures


def _targets_and_experiments(
    pipeline: Pipeline, words: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Split the words into targets and experiments, or take the default ones.

    Raises `UserError` for a word that is neither, and for broken reference results.
    """
    targets = [word for word in words if word in TARGETS]
    experiments = [word for word in words if word not in TARGETS]
    for word in experiments:
        one_of("target or experiment", word, [*TARGETS, *pipeline.available])
    # The paper needs the exhibits of all experiments, so a selection of them stops at the figures.
    default = ["figures"] if experiments else ["all"]
    chosen = pipeline.choose(" ".join(experiments))
    if pipeline.source != REFERENCE:
        pipeline.check(chosen)
    else:
        for name in chosen:
            for kind in (OBSERVATIONS, TRIALS):
                _, described = read(pipeline.folder / name / kind)
            if record_of(described) and (why := pipeline.flaw_of_import(name)):
                raise UserError(why)
    for name in chosen if targets != ["results"] else ():
        notebook.existing(pipeline.project, name)
    return targets or default, chosen


def _say_unknown_commit(pipeline: Pipeline, targets: list[str], console: Console) -> None:
    """Say before anything runs that a checkout's commit is unknown.

    Raises `UserError` if a bundle is a target, because a bundle names its commit.
    """
    if "bundle" in targets:
        known_revision(pipeline.project)
    elif is_checkout(pipeline.project) and (why := revision(pipeline.project).why):
        _say(console, f"going on with commit {UNKNOWN}: {why}")


def _keep_results_of_other_machines(
    pipeline: Pipeline, words: Sequence[str], experiments: list[str], console: Console
) -> None:
    """Never measure over results from another machine.

    If `words` names targets that only analyse results, keep these results as they are. Otherwise
    raise `UserError`.
    """
    moved = pipeline.results_of_elsewhere(experiments)
    if not moved:
        return
    name, machines = next(iter(moved.items()))
    more = f" (and those of {len(moved) - 1} more)" if len(moved) > 1 else ""
    where = f"the results of {name} at scale {pipeline.source}{more} come from {machines}"
    targets = {word for word in words if word in TARGETS}
    whole = all(
        (pipeline.folder / experiment / kind).exists()
        for experiment in moved
        for kind in (OBSERVATIONS, TRIALS)
    )
    if not whole or not targets or targets & {"all", "results"}:
        as_they_are = "name the target figures, paper or report to analyse them as they are, or "
        raise UserError(
            f"{where}; {as_they_are if whole else ''}give --measure-again to measure here, "
            "which removes them first"
        )
    _say(console, f"{where}: they are analysed as they are")
    pipeline.kept = tuple(moved)


def _remove_results(pipeline: Pipeline, name: str, console: Console) -> None:
    folder = pipeline.folder / name
    if pipeline.measures(name) and folder.exists():
        shutil.rmtree(folder)
        console.print(
            f"{name}: removed {folder.relative_to(pipeline.project.root)}; it is measured anew",
            highlight=False,
        )


def _sweep(pipeline: Pipeline, console: Console) -> None:
    """Remove what a killed run left, and say so."""
    leftovers = cleanup.sweep(pipeline.project)
    if command_line.unlock(pipeline):
        leftovers.append("Snakemake's lock")
    if leftovers:
        text = f"an earlier run was killed; swept up: {cleanup.summarize(leftovers)}"
        console.print(text, highlight=False, soft_wrap=True)


def _say_mended(restored: list[str], removed: list[str], console: Console) -> None:
    for line in restored:
        _say(console, line)
    if removed:
        _say(console, f"not to be trusted, so made again: {first_few(removed, separator='; ')}")


def _has_latex(pipeline: Pipeline) -> bool:
    return pipeline.probed.here.capabilities["latex"].present


def _lacking(pipeline: Pipeline, targets: list[str], experiments: list[str]) -> list[Failure]:
    """Return each output of the targets that is missing or from other results."""
    from benchpaper.workflow import completeness

    place = pipeline.project, pipeline.site_name, pipeline.source
    flaws = {} if targets == ["results"] else completeness.flaws(*place, experiments)
    if {"paper", "bundle"} & set(targets) or ("all" in targets and _has_latex(pipeline)):
        flaws |= completeness.without_pdf(*place)
    for target, name in (("report", "report/index.html"), ("bundle", "bundle.zip")):
        path = pipeline.project.build(*place[1:]) / name
        if target in targets and not path.exists():
            flaws[path] = "is missing"
    root = pipeline.project.root
    return [Failure(str(path.relative_to(root)), why) for path, why in flaws.items()]


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Treat SIGTERM like Ctrl-C, and ignore every further interrupt after the first.

    A second one could cut short the cleaning up or the last message. If Ctrl-C is already ignored,
    as it is in the background, it stays ignored.
    """

    def interrupt(*_: object) -> None:
        for number in handlers:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    handlers = {number: old for number, old in handlers.items() if old is not signal.SIG_IGN}
    for number in handlers:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, old in handlers.items():
            if signal.getsignal(number) is interrupt:
                signal.signal(number, old)


def _say(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)
