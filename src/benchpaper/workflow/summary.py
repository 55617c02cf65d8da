"""The summary at the end of a run: trials, reasons, warnings, failures, outputs, and duration."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchpaper import results
from benchpaper.analysis import claim_rows
from benchpaper.analysis.changes import changed_since_reference
from benchpaper.core.capabilities import find_capability
from benchpaper.core.duration import duration
from benchpaper.core.errors import first_few
from benchpaper.core.project import GATHERED, REFERENCE
from benchpaper.results.import_record import record_of
from benchpaper.workflow.pipeline import Pipeline
from benchpaper.workflow.records import Failure, Summary, TrialCount, TrialStates


def make(
    pipeline: Pipeline,
    experiments: list[str],
    failures: Sequence[Failure],
    seconds: float,
    status: int,
) -> Summary:
    """Return the summary of a run that took `seconds` and had the exit status `status`."""
    build = pipeline.project.build(pipeline.site_name, pipeline.source)
    pdf = build / "paper.pdf"
    latex = pipeline.probed.here.capabilities["latex"]
    finished = {name: pipeline.finished(name) for name in experiments}

    def complete(name: str) -> bool:  # an interrupted run may leave the results of another plan
        return status == 0 or finished[name].is_finished

    return Summary(
        site=pipeline.site_name,
        source=pipeline.source,
        status=status,
        seconds=round(seconds, 1),
        experiments={
            name: _states(pipeline, name) if complete(name) else None for name in experiments
        },
        finished=finished,
        warnings={
            name: _warnings(pipeline, name) if complete(name) else [] for name in experiments
        },
        changed_since_reference={
            name: changed
            for name in experiments
            if (changed := changed_since_reference(pipeline.project, name, pipeline.site_name))
        },
        failures=tuple(failures),
        findings=_verdicts(build, claim_rows.FINDING) if status == 0 else {},
        checks=_verdicts(build, claim_rows.CHECK) if status == 0 else {},
        outputs=_outputs(pipeline, build, pdf),
        missing=()
        if latex.present
        else (f"the PDF: no LaTeX ({latex.detail}); {find_capability('latex').remedy}",),
    )


def without_a_result(pipeline: Pipeline, experiments: list[str]) -> list[Failure]:
    """Return a failure for each experiment whose trials failed.

    That is an experiment of which every trial failed, or some trials failed because the machine
    lacked something. The next run measures the latter again.
    """
    failures: list[Failure] = []
    for name in experiments:
        step = f"measure {name}"
        for cause, count in pipeline.starved(name).items():
            why = f"{count} trials failed: {cause}; the next run measures them again"
            failures.append(Failure(step, why))
        ended = _states(pipeline, name)
        states = ended.states if ended else {}
        if states.get(results.FAILED) and not states.get(results.MEASURED):
            count = states[results.FAILED]
            failures.append(Failure(step, f"all {count} trials that could run failed"))
    return failures


def _verdicts(build: Path, kind: str) -> dict[str, int]:
    """Return {verdict: claims} of the build's verdicts on one kind of claim."""
    return dict(Counter(row.verdict for row in claim_rows.of_kind(claim_rows.read(build), kind)))


def _states(pipeline: Pipeline, name: str) -> TrialStates | None:
    """Return how an experiment's trials ended; None if its results are incomplete."""
    path = pipeline.folder / name / results.TRIALS
    if not path.exists():
        return None
    table, described = results.read(path)
    record = record_of(described)
    frame = table.select(["block", "state", "reason"]).to_pandas()
    trials = list(zip(frame["state"], frame["reason"], strict=True))
    states = [results.shown_state(*trial) for trial in trials]
    reasons = Counter(
        f"{state}: {reason.removeprefix(f'{state}: ')}"
        for state, (_, reason) in zip(states, trials, strict=True)
        if reason
    )
    return TrialStates(
        states=results.count_states(states),
        reasons=dict(reasons),
        blocks=int(frame["block"].nunique()),
        imported=record.origin if record else "",
    )


def _warnings(pipeline: Pipeline, name: str) -> list[str]:
    """Return the warnings about an experiment's results, one line per kind."""
    if not (pipeline.folder / name / results.TRIALS).exists():
        return []
    from benchpaper.analysis.estimates import load

    return [str(warning) for warning in load(name, pipeline.folder).warnings()]


def _outputs(pipeline: Pipeline, build: Path, pdf: Path) -> dict[str, str]:
    """Return {kind of output: its path in the project} of the outputs that exist."""
    root = pipeline.project.root
    gathered = build / GATHERED
    if pdf.exists() and (not gathered.exists() or pdf.stat().st_mtime < gathered.stat().st_mtime):
        pdf = build / "nothing"  # the PDF shows earlier exhibits
    places = {
        "paper": pdf,
        "exhibits": build / "exhibits",
        "notebooks": build / "notebooks",
        "results": pipeline.folder,
    }
    return {name: str(path.relative_to(root)) for name, path in places.items() if path.exists()}


def show(summary: Summary, console: Console) -> None:
    """Print the summary of a run."""

    def say(text: str = "") -> None:
        console.print(text, highlight=False, markup=False, soft_wrap=True)

    say()
    for name, ended in summary.experiments.items():
        say(f"{name}: {_trials(ended, summary.source, summary.finished[name])}")
        for reason, count in (ended.reasons if ended else {}).items():
            say(f"    {count} trials {reason}{_remedy(reason)}")
        for warning in summary.warnings[name]:
            say(f"    beware of {warning}")
        if name in summary.changed_since_reference:
            say(f"    {describe_change(summary.changed_since_reference[name])}")
    for kind, verdicts in (("findings", summary.findings), ("checks", summary.checks)):
        if verdicts:
            counts = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items())
            say(f"{kind}: {counts} (benchpaper claims)")
    for failure in summary.failures:
        say(f"FAILED  {failure.step}: {failure.error}")
    for missing in summary.missing:
        say(f"not built: {missing}")
    width = max(map(len, summary.outputs), default=0)
    for name, path in summary.outputs.items():
        say(f"{name.ljust(width)}  {path}")
    if summary.status == 130:
        say("interrupted: finished trials are kept; the same command goes on from here")
    elif summary.status:
        say(
            "not finished: correct the above, and run the same command again; "
            "finished trials are kept"
        )
    say(f"took {duration(summary.seconds)}")


def _remedy(reason: str) -> str:
    if reason.startswith((results.FAILED, results.NOT_TRIED)):
        return " (--retry-failed tries them again)"
    if reason.startswith(results.NOT_TESTABLE):
        return " (benchpaper doctor names the remedy)"
    return ""


def _trials(ended: TrialStates | None, source: str, finished: TrialCount) -> str:
    if ended is None:
        return f"not complete yet: {finished.done} of {finished.trials} trials done"
    states = ", ".join(f"{count} trials {state}" for state, count in ended.states.items())
    if ended.imported:
        return f"{states} from {ended.imported}, nothing measured"
    origin = "from the reference: " if source == REFERENCE else ""
    return f"{origin}{states}, in {ended.blocks} blocks"


def describe_change(changed: list[str]) -> str:
    """Return the warning that these sources of an experiment differ from the reference's."""
    return (
        f"changed since the reference was measured: {first_few(changed)}; "
        "the reference shows the code as it was"
    )
