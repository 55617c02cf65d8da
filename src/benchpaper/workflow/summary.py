"""The summary at the end of a run: trials, reasons, warnings, failures, outputs, and duration."""

from collections import Counter
from pathlib import Path
from typing import Any

from rich.console import Console

from benchpaper import results
from benchpaper.analysis import claim_rows
from benchpaper.analysis.changes import changed_since_reference
from benchpaper.core.duration import duration
from benchpaper.core.project import GATHERED, REFERENCE
from benchpaper.results.import_record import record_of
from benchpaper.workflow.pipeline import Pipeline

MAX_SOURCES = 3  # so many changed files are named


def make(
    pipeline: Pipeline,
    experiments: list[str],
    failures: list[tuple[str, str]],
    seconds: float,
    status: int,
) -> dict[str, Any]:
    """Return the summary of a run as plain data.

    `failures` are pairs (step, error), and `status` is the exit status of the run.
    """
    build = pipeline.project.build(pipeline.site_name, pipeline.source)
    pdf = build / "paper.pdf"
    latex = pipeline.probed["capabilities"]["latex"]
    finished = {name: pipeline.finished(name) for name in experiments}

    def complete(name: str) -> bool:  # an interrupted run may leave the results of another plan
        return status == 0 or finished[name]["done"] == finished[name]["trials"]

    return {
        "site": pipeline.site_name,
        "source": pipeline.source,
        "status": status,
        "seconds": round(seconds, 1),
        "experiments": {
            name: _states(pipeline, name) if complete(name) else None for name in experiments
        },
        "finished": finished,
        "warnings": {
            name: _warnings(pipeline, name) if complete(name) else [] for name in experiments
        },
        "changed_since_reference": {
            name: changed
            for name in experiments
            if (changed := changed_since_reference(pipeline.project, name, pipeline.site_name))
        },
        "failures": [{"step": step, "error": error} for step, error in failures],
        "claims": _verdicts(build) if status == 0 else {},
        "outputs": _outputs(pipeline, build, pdf),
        "missing": []
        if latex["present"]
        else [f"the PDF: no LaTeX ({latex['detail']}); install the packages in packages.apt"],
    }


def without_a_result(pipeline: Pipeline, experiments: list[str]) -> list[tuple[str, str]]:
    """Return (step, why) of each experiment whose trials failed.

    That is an experiment of which every trial failed, or some trials failed because the machine
    lacked something. The next run measures the latter again.
    """
    failures = []
    for name in experiments:
        step = f"measure {name}"
        for cause, count in pipeline.starved(name).items():
            why = f"{count} trials failed: {cause}; the next run measures them again"
            failures.append((step, why))
        states = (_states(pipeline, name) or {"states": {}})["states"]
        if states.get(results.FAILED) and not states.get(results.MEASURED):
            count = states[results.FAILED]
            failures.append((step, f"all {count} trials that could run failed"))
    return failures


def _verdicts(build: Path) -> dict[str, int]:
    """Return {verdict: claims} of the build's verdicts."""
    return dict(Counter(row.verdict for row in claim_rows.read(build)))


def _states(pipeline: Pipeline, name: str) -> dict[str, Any] | None:
    """Return {"states": {state: trials}, "reasons": {reason: trials}, "blocks", "imported"}.

    The last two are the number of blocks, and where imported results come from. The result is None
    if an experiment's results are incomplete.
    """
    path = pipeline.folder / name / results.TRIALS
    if not path.exists():
        return None
    table, described = results.read(path)
    record = record_of(described)
    frame = table.select(["block", "state", "reason"]).to_pandas()
    reasons = Counter(
        f"{state}: {reason}"
        for state, reason in zip(frame["state"], frame["reason"], strict=True)
        if reason
    )
    return {
        "states": dict(Counter(frame["state"])),
        "reasons": dict(reasons),
        "blocks": int(frame["block"].nunique()),
        "imported": record.origin if record else "",
    }


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


def show(summary: dict[str, Any], console: Console) -> None:
    """Print a summary that `make` returned."""

    def say(text: str = "") -> None:
        console.print(text, highlight=False, markup=False, soft_wrap=True)

    say()
    for name, item in summary["experiments"].items():
        say(f"{name}: {_trials(item, summary['source'], summary['finished'][name])}")
        for reason, count in (item or {}).get("reasons", {}).items():
            say(f"    {count} trials {reason}{_remedy(reason)}")
        for warning in summary["warnings"][name]:
            say(f"    beware of {warning}")
        if name in summary["changed_since_reference"]:
            say(f"    {describe_change(summary['changed_since_reference'][name])}")
    if summary["claims"]:
        say(
            "claims: "
            + ", ".join(f"{count} {verdict}" for verdict, count in summary["claims"].items())
            + " (benchpaper claims)"
        )
    for failure in summary["failures"]:
        say(f"FAILED  {failure['step']}: {failure['error']}")
    for missing in summary["missing"]:
        say(f"not built: {missing}")
    width = max(map(len, summary["outputs"]), default=0)
    for name, path in summary["outputs"].items():
        say(f"{name.ljust(width)}  {path}")
    if summary["status"] == 130:
        say("interrupted: finished trials are kept; the same command goes on from here")
    elif summary["status"]:
        say(
            "not finished: correct the above, and run the same command again; "
            "finished trials are kept"
        )
    say(f"took {duration(summary['seconds'])}")


def _remedy(reason: str) -> str:
    if reason.startswith(results.FAILED):
        return " (--retry-failed tries them again)"
    if reason.startswith(results.NOT_TESTABLE):
        return " (benchpaper doctor names the remedy)"
    return ""


def _trials(item: dict[str, Any] | None, source: str, finished: dict[str, Any]) -> str:
    if item is None:
        return f"not complete yet: {finished['done']} of {finished['trials']} trials done"
    states = ", ".join(f"{count} trials {state}" for state, count in item["states"].items())
    if item["imported"]:
        return f"{states} from {item['imported']}, nothing measured"
    origin = "from the reference: " if source == REFERENCE else ""
    return f"{origin}{states}, in {item['blocks']} blocks"


def describe_change(changed: list[str]) -> str:
    """Return the warning that these sources of an experiment differ from the reference's."""
    more = f" and {len(changed) - MAX_SOURCES} more" if len(changed) > MAX_SOURCES else ""
    return (
        f"changed since the reference was measured: {', '.join(changed[:MAX_SOURCES])}{more}; "
        "the reference shows the code as it was"
    )
