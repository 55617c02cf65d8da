"""A mistake in the trial's own code stops the experiment at once; nothing else does."""

import json

import pytest
from block_results import records, trials

from benchpaper import results
from benchpaper.core.errors import UserError
from benchpaper.measure import mistakes

MISTAKES = {
    "an unknown name": ("undefined + 1\nyield", "21: NameError: name 'undefined' is not defined"),
    "a wrong type": ("1 + 'x'\nyield", "21: TypeError: unsupported operand type(s) for +: "),
    "an unknown key": ("dict(a=1)['b']\nyield", "21: KeyError: 'b'"),
    "an unknown attribute": ("os.gibt_es_nicht()\nyield", "21: AttributeError: module 'os' has no"),
    "an unknown factor": ("cell.wy\nyield", '21: AttributeError: a cell has no factor "wy"; did '
                          'you mean "way"?'),
    "in a helper": ("helper()\nyield", "16: NameError: name 'nowhere' is not defined"),
    "after an observation": ("yield dict(latency_us=1.0)\nundefined", "22: NameError: "),
    "a wrong argument": ("site.client.run()\nyield", "21: TypeError: "),
}  # fmt: skip
STOPS = "; the trial's own code is wrong, so this stops the experiment: correct it, and run again"


@pytest.mark.parametrize("body, message", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_in_the_trials_code_stops_the_block_at_its_first_attempt(
    make_toy, block_of, tmp_path, body, message
):
    counter = tmp_path / "counter"
    more = "def helper():\n    return nowhere" if body.startswith("helper") else "pass\n"
    project = make_toy(
        f"open({str(counter)!r}, 'a').write('x')\n{body}", levels="abc", attempts=2, more=more
    )
    block = block_of(project)
    with pytest.raises(UserError) as caught:
        block.measure()
    text = str(caught.value)
    assert text.startswith(f"experiments/toy/one/experiment.py:{message}") and "\n" not in text
    assert text.endswith(STOPS) and " (in the cell way=" in text
    assert counter.read_text() == "x" and records(block) == []
    (log,) = (project.results("local", "smoke") / "toy/one/failed").iterdir()
    assert "Traceback" in log.read_text()


FAILURES = {
    "a value": "raise ValueError('no')",
    "a library's error": "import json; json.loads(None)",  # a TypeError from within json
    "a program": "site.client.run(['false'])",
    "an index": "''.split()[3]",
    "a missing package": "import no_such_package",
    "a check": "assert 1 > 2, 'counted less than asked'",
}


@pytest.mark.parametrize("body", FAILURES.values(), ids=FAILURES)
def test_any_other_error_is_a_failed_trial(make_toy, block_of, body):
    project = make_toy(f"{body}\nyield", attempts=2)
    assert block_of(project).measure() == 1
    (trial,) = trials(project)
    assert trial["state"] == results.FAILED and len(trial["attempts"]) == 2


def test_a_library_in_a_project_below_a_folder_called_experiments_is_no_experiment(monkeypatch):
    place = "/home/ada/experiments/paper"
    monkeypatch.setattr(mistakes, "LIBRARIES", {f"{place}/.venv/lib"})
    for path, ours in ((".venv/lib/x.py", False), ("experiments/toy/one/experiment.py", True)):
        code = compile("dict(a=1)['b']", f"{place}/{path}", "exec")
        with pytest.raises(KeyError) as caught:
            exec(code)
        assert mistakes.is_mistake(caught.value) is ours
        assert mistakes.place(caught.value) == (f"{path}:1: " if ours else "")


SOMETIMES = """
    if {when}:
        dict(a=1)["b"]
    yield dict(latency_us=1.0)
"""


def test_code_that_has_measured_the_cell_in_another_block_is_not_to_blame(
    make_toy, block_of, tmp_path
):
    broken = tmp_path / "broken"
    project = make_toy(SOMETIMES.format(when=f"Path({str(broken)!r}).exists()"), blocks=2)
    assert block_of(project, number=0).measure() == 1
    broken.touch()
    assert block_of(project, number=1).measure() == 1
    (trial,) = trials(project, block=1)
    assert (trial["state"], trial["reason"]) == (
        results.FAILED, "experiments/toy/one/experiment.py:21: KeyError: 'b'",
    )  # fmt: skip


def test_code_that_has_measured_the_cell_in_the_reference_is_not_to_blame(
    make_toy, block_of, tmp_path
):
    broken = tmp_path / "broken"
    project = make_toy(SOMETIMES.format(when=f"Path({str(broken)!r}).exists()"))
    assert block_of(project, scale="full").measure() == 1
    results.collect(project.results("local", "full") / "toy/one", 1)
    reference = project.results("local", "reference") / "toy"
    reference.parent.mkdir(parents=True)
    (project.results("local", "full") / "toy").rename(reference)
    broken.touch()
    assert block_of(project).measure() == 1
    assert trials(project)[0]["state"] == results.FAILED
    path = project.experiments / "toy/one/experiment.py"
    path.write_text(path.read_text() + "\nchanged = 1")
    with pytest.raises(UserError, match="the trial's own code is wrong"):
        block_of(project).measure()


def test_a_mistake_stops_the_other_blocks_of_the_same_run_and_of_no_other(tmp_path):
    def measure(run):
        with mistakes.stopping(tmp_path, run):
            measured.append(run)
            raise mistakes.TrialMistake("x.py:1: NameError")

    measured = []
    for run in ("7", "7", "8", "", ""):
        with pytest.raises(mistakes.TrialMistake, match=r"^x\.py:1: NameError$"):
            measure(run)
    assert measured == ["7", "8", "", ""]
    note = tmp_path / "journal" / mistakes.NOTE
    assert json.loads(note.read_text())["run"] == "8"
    note.write_text("{}")
    with pytest.raises(mistakes.TrialMistake):
        measure("8")
    assert measured[-1] == "8"
