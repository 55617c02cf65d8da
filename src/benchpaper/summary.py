"""The end of a run: what was measured, what could not be and why, where the outputs lie, how long it took."""

from collections import Counter

from benchpaper import results
from benchpaper.project import REFERENCE
from benchpaper.reports import duration


def make(pipeline, experiments, failures, seconds, status):
    """Return the summary of a run as plain data."""
    build = pipeline.project.build(pipeline.site_name, pipeline.source)
    pdf = build / "paper.pdf"
    latex = pipeline.probed["capabilities"]["latex"]
    return {
        "site": pipeline.site_name, "source": pipeline.source, "status": status, "seconds": round(seconds, 1),
        "experiments": {name: _states(pipeline, name) for name in experiments},
        "failures": [{"step": step, "error": error} for step, error in failures],
        "outputs": _outputs(pipeline, build, pdf),
        "missing": [] if latex["present"] else [f"the PDF: no LaTeX ({latex['detail']}); install the packages in packages.apt"],
    }  # fmt: skip


def _states(pipeline, name):
    """Return {"states": {state: trials}, "reasons": {reason: trials}, "blocks"} of an experiment's results, or None
    when they are not complete."""
    path = pipeline.folder / name / results.TRIALS
    if not path.exists():
        return None
    table, _ = results.read(path)
    frame = table.select(["block", "state", "reason"]).to_pandas()
    reasons = Counter(f"{state}: {reason}" for state, reason in zip(frame["state"], frame["reason"]) if reason)
    return {"states": dict(Counter(frame["state"])), "reasons": dict(reasons), "blocks": int(frame["block"].nunique())}


def _outputs(pipeline, build, pdf):
    root = pipeline.project.root
    places = {"paper": pdf, "exhibits": build / "exhibits", "notebooks": build / "notebooks", "results": pipeline.folder}
    return {name: str(path.relative_to(root)) for name, path in places.items() if path.exists()}


def show(found, console):
    """Print a summary."""

    def say(text=""):
        console.print(text, highlight=False, markup=False, soft_wrap=True)

    say()
    for name, item in found["experiments"].items():
        say(f"{name}: {_told(item, found['source'])}")
        for reason, count in (item or {}).get("reasons", {}).items():
            say(f"    {count} trials {reason}")
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
        say("not finished: mend the above, and run the same command again; finished trials are kept")
    say(f"took {duration(found['seconds'])}")


def _told(item, source):
    if item is None:
        return "not complete yet"
    states = ", ".join(f"{count} trials {state}" for state, count in item["states"].items())
    origin = "from the reference: " if source == REFERENCE else ""
    return f"{origin}{states}, in {item['blocks']} blocks"
