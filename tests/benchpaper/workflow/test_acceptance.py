"""`accept-change` keeps results whose code changed, if nothing else did, and says so everywhere."""

import copy
import json
import shutil
import sys

import pytest
from click.testing import CliRunner

from benchpaper import results
from benchpaper.analysis.changes import changed_since
from benchpaper.cli.results import accept_change, adopt
from benchpaper.core import lock
from benchpaper.core.errors import UserError
from benchpaper.core.project import REFERENCE, Project
from benchpaper.design import catalog
from benchpaper.hosts import probe
from benchpaper.results import accepted, journal
from benchpaper.workflow import acceptance, plans
from benchpaper.workflow.pipeline import Pipeline

WHY = "renamed a helper"
TOY = """
import ctypes
from benchpaper.design.inputs import Input
from benchpaper.design.spec import Experiment, Factor, Metric, Scale

experiment = Experiment(
    title="Toy", question="What does a toy cost?", factors=[Factor("way", ['a', 'b'])],
    metrics=[Metric("latency_us", unit="µs", better="lower")], inputs=[Input("data/x"),],
    scales={s: Scale(blocks=2, counts=dict(messages=1)) for s in ("smoke", "quick", "full")},
)
experiment.uses(lambda: {"tool": "1"})

@experiment.trial
def trial(cell, site):
    site.client.run(['true'])
    yield dict(latency_us=1.0)
"""


@pytest.fixture(scope="module")
def measured_once(tmp_path_factory, other_experiments, probe_answer):
    """The folder of a project with toy/one measured at scale full: two blocks of two cells."""
    root = tmp_path_factory.mktemp("acceptance") / "project"
    files = {"Snakefile": "", "data/x": "1", "experiments/toy/one/experiment.py": TOY}
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    with other_experiments(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(probe, "probe", lambda: copy.deepcopy(probe_answer))
        measure(Project(root))
    return root


@pytest.fixture
def project(measured_once, other_experiments, tmp_path, monkeypatch, probe_answer):
    """A copy of the measured project, the current one."""
    monkeypatch.setattr(probe, "probe", lambda: copy.deepcopy(probe_answer))
    root = shutil.copytree(measured_once, tmp_path / "project")
    monkeypatch.chdir(root)
    with other_experiments():
        yield Project(root)


def pipeline(project, source="full"):
    return Pipeline(project, "local", source, 1)


def measure(project, blocks=2):
    """Measure and collect; return how many trials were measured now."""
    run = pipeline(project)
    count = sum(run.block("toy/one", number).measure() for number in range(blocks))
    results.collect(run.folder / "toy/one", blocks)
    return count


def edit(project, old, new):
    """Change the experiment; whoever loads it next imports it anew."""
    path = project.experiments / "toy/one/experiment.py"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    for name in [name for name in sys.modules if name.split(".")[0] == "experiments"]:
        del sys.modules[name]


def change(project):
    edit(project, "['true']", "('true',)")


def trials(project, source="full"):
    return project.results("local", source) / "toy/one" / results.TRIALS


def refused(project, words, why=WHY, source="full"):
    before = accepted.read(trials(project, source).parent)
    with pytest.raises(UserError, match=words) as error:
        acceptance.accept(pipeline(project, source), "toy/one", why)
    assert "\n" not in str(error.value)
    assert accepted.read(trials(project, source).parent) == before


def test_an_accepted_change_keeps_every_block(project):
    keys = [block.key for block in pipeline(project).blocks("toy/one")]
    change(project)
    assert pipeline(project).again("toy/one").blocks == 2
    assert changed_since(project, "toy/one", trials(project))
    [done] = acceptance.accept(pipeline(project), "toy/one", WHY)
    assert (done.why, list(done.files)) == (WHY, ["experiments/toy/one/experiment.py"])
    assert done.new == catalog.digest(project, "toy/one") != done.old
    assert pipeline(project).again("toy/one") is None
    assert [block.key for block in pipeline(project).blocks("toy/one")] == keys
    assert measure(project) == 0 and changed_since(project, "toy/one", trials(project)) == []


def test_a_block_that_was_cut_off_goes_on_and_both_codes_are_recorded(project):
    old = catalog.digest(project, "toy/one")
    block = pipeline(project).block("toy/one", 1)
    with journal.Journal(block.journal_path) as done:
        done.forget([done.entries[0].cell])
    change(project)
    acceptance.accept(pipeline(project), "toy/one", WHY)
    assert measure(project) == 1
    codes = results.read(trials(project))[0].column("code_digest").to_pylist()
    assert sorted(codes.count(code) for code in set(codes)) == [1, 3] and old in codes
    assert changed_since(project, "toy/one", trials(project)) == []


def test_trials_that_the_new_code_measured_already_are_kept_too(project):
    change(project)
    run = pipeline(project)
    assert run.block("toy/one", 0).measure() == 2
    acceptance.accept(pipeline(project), "toy/one", WHY)
    assert measure(project) == 0


def test_the_next_change_is_stale_again_and_can_be_accepted_too(project):
    change(project)
    acceptance.accept(pipeline(project), "toy/one", WHY)
    edit(project, "('true',)", "('true', 'x')")
    assert changed_since(project, "toy/one", trials(project))
    assert pipeline(project).again("toy/one").blocks == 2
    acceptance.accept(pipeline(project), "toy/one", "another name")
    assert measure(project) == 0
    assert len(accepted.read(trials(project).parent)) == 2


def test_without_acceptance_blocks_of_two_codes_are_not_joined(project):
    change(project)
    pipeline(project).block("toy/one", 0).measure()
    with pytest.raises(results.ResultsError, match="2 versions of the code"):
        results.collect(trials(project).parent, 2)


@pytest.mark.parametrize("why", ["", "  ", "\n", "a\x1b[2J"])
def test_a_reason_must_be_given(project, why):
    change(project)
    refused(project, "--why", why)


def test_results_that_are_not_stale_are_refused(project):
    refused(project, "nothing to accept")
    edit(project, "import ctypes", "# a comment\nimport ctypes")
    refused(project, "nothing to accept")
    change(project)
    acceptance.accept(pipeline(project), "toy/one", WHY)
    refused(project, "nothing to accept")


def test_nothing_is_accepted_while_a_run_measures(project):
    change(project)
    with lock.held(project.state / "run.lock", "benchpaper run"):
        refused(project, "benchpaper run")


def test_results_that_are_not_there_are_refused(project):
    with pytest.raises(UserError, match="there are no quick results of it"):
        acceptance.accept(pipeline(project, "quick"), "toy/one", WHY)


def new_data(project):
    (project.root / "data/x").write_text("2")


def text(old, new):
    return lambda project: edit(project, old, new)


OTHERS = {
    "a level more": (text("['a', 'b']", "['a', 'b', 'c']"), "level c of way added|its factors"),
    "a level less": (text("['a', 'b']", "['a']"), "level b of way removed|its factors"),
    "more blocks": (text("blocks=2", "blocks=3"), "blocks 2 -> 3"),
    "a count": (text("messages=1)", "messages=2)"), "messages 1 -> 2"),
    "a tool": (text('"tool": "1"', '"tool": "2"'), "tool 1 -> 2"),
    "an input": (new_data, "input data/x changed"),
    "an input more": (text('Input("data/x"),', 'Input("data/x"), Input("data/y"),'), "data/y"),
    "an input less": (text('Input("data/x"),', ""), "input data/x (removed|changed)"),
}  # fmt: skip


@pytest.mark.parametrize("alter, words", OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize("source", ["full", REFERENCE])
def test_more_than_code_is_refused_with_the_difference(project, source, alter, words):
    assert CliRunner().invoke(adopt, ["toy/one"]).exit_code == 0
    (project.root / "data/y").write_text("1")
    change(project)
    alter(project)
    refused(project, words, source=source)


METRICS = {
    "a unit": ('unit="µs"', 'unit="ms"'),
    "a direction": ('better="lower"', 'better="higher"'),
    "a title": ('title="Toy"', 'title="Toys"'),
}


@pytest.mark.parametrize("name", METRICS)
def test_a_reference_whose_metrics_mean_something_else_is_refused(project, name):
    assert CliRunner().invoke(adopt, ["toy/one"]).exit_code == 0
    edit(project, *METRICS[name])
    if name == "a title":
        acceptance.accept(pipeline(project, REFERENCE), "toy/one", WHY)
    else:
        refused(project, "its metrics differ", source=REFERENCE)


def test_the_command_accepts_for_the_reference_and_prints_what_to_commit(project):
    assert CliRunner().invoke(adopt, ["toy/one"]).exit_code == 0
    before = {path.name: path.read_bytes() for path in trials(project, REFERENCE).parent.iterdir()}
    change(project)
    words = ["toy/one", "--from", "reference", "--why", WHY]
    done = CliRunner().invoke(accept_change, words, catch_exceptions=False)
    assert done.exit_code == 0 and WHY in done.stdout and f"commit {accepted.FILE}" in done.stdout
    assert changed_since(project, "toy/one", trials(project, REFERENCE)) == []
    folder = trials(project, REFERENCE).parent
    assert {name: (folder / name).read_bytes() for name in before} == before
    [entry] = json.loads((folder / accepted.FILE).read_text())["changes"]
    assert entry["why"] == WHY and entry["when"].endswith("+00:00")


def test_adopting_takes_the_accepted_changes_along_and_drops_older_ones(project):
    change(project)
    acceptance.accept(pipeline(project), "toy/one", WHY)
    assert CliRunner().invoke(adopt, ["toy/one"]).exit_code == 0
    kept = accepted.read(trials(project, REFERENCE).parent)
    assert kept == accepted.read(trials(project).parent) != []
    shutil.rmtree(trials(project).parent)
    measure(project)
    assert CliRunner().invoke(adopt, ["toy/one", "--why", WHY]).exit_code == 0
    assert accepted.read(trials(project, REFERENCE).parent) == []


# ---- a new level ----


def test_a_new_level_measures_whole_blocks_and_says_so_before(project):
    edit(project, "['a', 'b']", "['a', 'b', 'c']")
    again = pipeline(project).again("toy/one")
    line = plans.describe_again(again)
    assert "2 blocks that were measured before are measured again" in line
    assert "level c of way added" in line and "all 3 cells of each block are measured" in line
    assert measure(project) == 6  # cells of one comparison belong to the same blocks


def test_a_level_that_comes_and_goes_costs_nothing(project):
    edit(project, "['a', 'b']", "['a', 'b', 'c']")
    pipeline(project).block("toy/one", 0).measure()
    edit(project, "['a', 'b', 'c']", "['a', 'b']")
    assert measure(project) == 0


PROSE = [
    ("import ctypes", "# why\nimport ctypes"),
    ("def trial(cell, site):", 'def trial(cell, site):\n    """Runs."""'),
    ("dict(latency_us=1.0)", "dict(\n        latency_us=1.0,\n    )"),
    ("['true']", '["true"]'),
]


def test_prose_and_layout_measure_nothing_again(project):
    for old, new in PROSE:
        edit(project, old, new)
    assert pipeline(project).again("toy/one") is None
    assert measure(project) == 0 and changed_since(project, "toy/one", trials(project)) == []
