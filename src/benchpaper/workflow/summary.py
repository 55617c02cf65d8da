"""The end of a run: what was measured, what could not be and why, where the outputs lie, how long it took."""

from collections import Counter

from benchpaper import results
from benchpaper.analysis.changes import changed_since_reference
from benchpaper.core.duration import duration
from benchpaper.core.project import GATHERED, REFERENCE, verdict_rows


def make(pipeline, experiments, failures, seconds, status):
    """Return the summary of a run as plain data."""
    build = pipeline.project.build(pipeline.site_name, pipeline.source)
    pdf = build / "paper.pdf"
    latex = pipeline.probed["capabilities"]["latex"]
    finished = {name: pipeline.finished(name) for name in experiments}

    def complete(name):  # after an interrupted run the results may still be those of another plan
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
        else [
            f"the PDF: no LaTeX ({latex['detail']}); install the packages in packages.apt",
        ],
    }


def without_a_result(pipeline, experiments):
    """Return (step, why) of each experiment of which trials were tried, and every one of them failed, or some failed
    because the machine lacked what they needed: those the next run measures."""
    found = []
    for name in experiments:
        for cause, count in pipeline.starved(name).items():
            found.append(
                (
                    f"measure {name}",
                    f"{count} trials failed: {cause}; the next run measures them again",
                )
            )
        states = (_states(pipeline, name) or {"states": {}})["states"]
        if states.get(results.FAILED) and not states.get(results.MEASURED):
            found.append(
                (f"measure {name}", f"all {states[results.FAILED]} trials that could run failed")
            )
    return found


def _verdicts(build):
    """Return {verdict: how many claims} of the build's verdicts."""
    return dict(Counter(row["verdict"] for row in verdict_rows(build)))


def _states(pipeline, name):
    """Return {"states": {state: trials}, "reasons": {reason: trials}, "blocks"} of an experiment's results, or None
    when they are not complete."""
    path = pipeline.folder / name / results.TRIALS
    if not path.exists():
        return None
    table, _ = results.read(path)
    frame = table.select(["block", "state", "reason"]).to_pandas()
    reasons = Counter(
        f"{state}: {reason}" for state, reason in zip(frame["state"], frame["reason"]) if reason
    )
    return {
        "states": dict(Counter(frame["state"])),
        "reasons": dict(reasons),
        "blocks": int(frame["block"].nunique()),
    }


def _warnings(pipeline, name):
    """Return what should make a reader of an experiment's results careful, one line a kind; nothing without results."""
    if not (pipeline.folder / name / results.TRIALS).exists():
        return []
    from benchpaper.analysis.estimates import load

    return [str(warning) for warning in load(name, pipeline.folder).warnings()]


def _outputs(pipeline, build, pdf):
    root = pipeline.project.root
    gathered = build / GATHERED
    if pdf.exists() and (not gathered.exists() or pdf.stat().st_mtime < gathered.stat().st_mtime):
        pdf = build / "nothing"  # it was typeset from earlier exhibits
    places = {
        "paper": pdf,
        "exhibits": build / "exhibits",
        "notebooks": build / "notebooks",
        "results": pipeline.folder,
    }
    return {name: str(path.relative_to(root)) for name, path in places.items() if path.exists()}


def show(found, console):
    """Print a summary."""

    def say(text=""):
        console.print(text, highlight=False, markup=False, soft_wrap=True)

    say()
    for name, item in found["experiments"].items():
        say(f"{name}: {_told(item, found['source'], found['finished'][name])}")
        for reason, count in (item or {}).get("reasons", {}).items():
            say(f"    {count} trials {reason}{_remedy(reason)}")
        for warning in found["warnings"][name]:
            say(f"    beware of {warning}")
        if name in found["changed_since_reference"]:
            say(f"    {told_change(found['changed_since_reference'][name])}")
    if found["claims"]:
        say(
            "claims: "
            + ", ".join(f"{count} {verdict}" for verdict, count in found["claims"].items())
            + " (benchpaper claims)"
        )
    for failure in found["failures"]:
        say(f"FAILED  {failure['step']}: {failure['error']}")
    for missing in found["missing"]:
        say(f"not built: {missing}")
    width = max(map(len, found["outputs"]), default=0)
    for name, path in found["outputs"].items():
        say(f"{name.ljust(width)}  {path}")
    if found["status"] == 130:
        say("interrupted: finished trials are kept; the same command goes on from here")
    elif found["status"]:
        say(
            "not finished: mend the above, and run the same command again; finished trials are kept"
        )
    say(f"took {duration(found['seconds'])}")


def _remedy(reason):
    if reason.startswith(results.FAILED):
        return " (--retry-failed tries them again)"
    return (
        " (benchpaper doctor tells the remedy)" if reason.startswith(results.NOT_TESTABLE) else ""
    )


def _told(item, source, finished):
    if item is None:
        return f"not complete yet: {finished['done']} of {finished['trials']} trials done"
    states = ", ".join(f"{count} trials {state}" for state, count in item["states"].items())
    origin = "from the reference: " if source == REFERENCE else ""
    return f"{origin}{states}, in {item['blocks']} blocks"


def told_change(changed):
    """Return the warning that an experiment is no longer the one that the reference results come from."""
    return f"changed since the reference was measured: {', '.join(changed)}; the reference shows the code as it was"
