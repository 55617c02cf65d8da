"""A trial that yields what the results could not tell apart ends at that yield."""

import pytest
from block_results import trials

MISTAKES = {
    "the same metric twice": (
        "",
        ["dict(latency_us=1.0)", "dict(latency_us=2.0)"],
        'the trial yields "latency_us" twice, and nothing tells the values apart; yield one in '
        'all, keep "all samples" of it, or declare what they differ in: '
        "Experiment(within=[Factor(...)])",
    ),
    "the same level twice": (
        'within=[Factor("second", [0, 1])],',
        ["dict(second=0, latency_us=1.0)", "dict(second=0, latency_us=2.0)"],
        'the trial yields "latency_us" twice at second=0; yield each level once',
    ),
    "a level that is not declared": (
        'within=[Factor("second", [0, 1])],',
        ["dict(second=2, latency_us=2.0)"],
        "second=2 is not a level of within (there are: 0, 1); declare it: Factor('second', [...])",
    ),
}


@pytest.mark.parametrize("within, observations, reason", MISTAKES.values(), ids=MISTAKES)
def test_it_fails_in_one_line_and_stops_what_it_started(
    make_toy, block_of, within, observations, reason
):
    yields = "\n    ".join(f"yield {observation}" for observation in observations)
    body = f"""
    import pathlib
    place = pathlib.Path({{root!r}})
    try:
        {yields.replace(chr(10), chr(10) + "    ")}
        (place / "went on").touch()
    finally:
        (place / "stopped").touch()
    """
    project = make_toy("")
    path = project.root / "experiments/toy/one/experiment.py"
    text = path.read_text().replace("    attempts=", f"    {within} attempts=")
    path.write_text(text + body.format(root=str(project.root)))
    block_of(project).measure()
    (trial,) = trials(project)
    assert (trial["state"], trial["reason"]) == ("failed", reason)
    assert (project.root / "stopped").exists() and not (project.root / "went on").exists()
