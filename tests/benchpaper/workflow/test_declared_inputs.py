"""Commands notice an input that is missing or changed, and a run fetches what has an address."""

import copy
import hashlib
import json

import pytest
from click.testing import CliRunner
from file_server import served

from benchpaper.artifact import experiment_checks
from benchpaper.cli.measuring import fetch, plan
from benchpaper.core.errors import UserError
from benchpaper.core.project import REFERENCE
from benchpaper.hosts import probe
from benchpaper.workflow import input_files
from benchpaper.workflow.pipeline import Pipeline

SHA = hashlib.sha256(b"1").hexdigest()
DECLARE = "from benchpaper.design.inputs import Input\nexperiment.inputs = {}"
BODY = "yield dict(latency_us=float(len(site.inputs['data/x'].read_text())))"


@pytest.fixture
def toy(make_toy, monkeypatch, probe_answer):
    """Return `make(fields, files)`: the current project, whose toy/one reads data/x."""
    monkeypatch.setattr(probe, "probe", lambda: copy.deepcopy(probe_answer))
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    def make(fields="", files=()):
        inputs = f"(Input('data/x', {fields}),)"
        project = make_toy(BODY, more=DECLARE.format(inputs), files=dict(files))
        monkeypatch.chdir(project.root)
        return project

    return make


def call(command, *words):
    done = CliRunner().invoke(command, words)
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


THERE = {"data/x": "1"}
PROBLEMS = {
    "missing": ("", {}, "is missing; put it there"),
    "missing, with a url": (
        f"sha256='{SHA}', url='http://127.0.0.1:1/x'", {}, "benchpaper fetch toy/one gets it",
    ),
    "changed": (f"sha256='{SHA}'", {"data/x": "2"}, "changed: its sha256 is"),
}  # fmt: skip


@pytest.mark.parametrize("fields, files, words", PROBLEMS.values(), ids=PROBLEMS)
def test_plan_and_check_say_what_is_wrong_in_one_line(toy, fields, files, words):
    project = toy(fields, files)
    done = call(plan, "toy/one", "--scale", "smoke")
    [line] = [line for line in done.stdout.splitlines() if "input data/x" in line]
    assert words in line and done.exit_code == 0
    [item] = json.loads(call(plan, "toy/one", "--scale", "smoke", "--json").stdout)[0]["inputs"]
    assert words in item["problem"]
    problems = list(experiment_checks.declared_inputs(project, "toy/one"))
    assert any(words in problem for problem in problems)


def test_plan_says_nothing_of_inputs_that_are_as_declared(toy):
    toy(f"sha256='{SHA}'", THERE)
    assert "input" not in call(plan, "toy/one").stdout


GAPS = {
    "no digest": ("licence='CC0-1.0'", f'has no digest; declare sha256="{SHA}"'),
    "no licence": (f"sha256='{SHA}'", "has no licence"),
}


@pytest.mark.parametrize("fields, words", GAPS.values(), ids=GAPS)
def test_check_asks_for_what_others_need(toy, fields, words):
    [problem] = experiment_checks.declared_inputs(toy(fields, THERE), "toy/one")
    assert words in problem


def pipeline(project, source="smoke"):
    return Pipeline(project, "local", source, 1)


@pytest.mark.parametrize("fields, files, words", PROBLEMS.values(), ids=PROBLEMS)
def test_a_run_measures_nothing_with_a_wrong_input(toy, fields, files, words):
    run = pipeline(toy(fields, files))
    with pytest.raises(UserError) as error:
        input_files.provide(run, ["toy/one"], print)
    expected = "cannot be fetched" if "url" in fields else words
    assert expected in str(error.value) and "\n" not in str(error.value)


def test_a_run_fetches_what_is_missing_and_says_so(toy):
    said = []
    with served(b"1") as (url, behaviour):
        run = pipeline(toy(f"sha256='{SHA}', url='{url}'"))
        input_files.provide(run, ["toy/one"], said.append)
        input_files.provide(run, ["toy/one"], said.append)
    assert (run.project.root / "data/x").read_text() == "1" and behaviour.ranges == [None]
    assert said == [f"fetching input data/x of 1 byte from {url}", "fetched input data/x: 1 byte"]


def test_the_reference_needs_no_input(toy):
    input_files.provide(pipeline(toy(), REFERENCE), ["toy/one"], print)


def test_finished_trials_need_their_input_no_more(toy):
    project, said = toy(f"sha256='{SHA}'", THERE), []
    run = pipeline(project)
    run.block("toy/one", 0).measure()
    (project.root / "data/x").unlink()
    input_files.provide(run, ["toy/one"], said.append)
    assert len(said) == 1 and "is missing" in said[0] and "no longer need it" in said[0]
    with pytest.raises(UserError, match="is missing"):
        input_files.provide(run, ["toy/one"], said.append, always=True)


def test_fetch_gets_checks_and_reports(toy):
    with served(b"1") as (url, _):
        project = toy(f"sha256='{SHA}', url='{url}'")
        done = call(fetch, "toy/one")
    assert done.exit_code == 0 and "toy/one: input data/x, 1 byte, as declared" in done.stdout
    (project.root / "data/x").write_text("2")
    done = call(fetch)
    assert done.exit_code == 1 and "remove it, then benchpaper fetch toy/one" in done.stdout


def test_fetch_prints_the_digest_to_declare(toy):
    toy("", THERE)
    done = call(fetch)
    assert done.exit_code == 0 and f'1 byte, declare sha256="{SHA}"' in done.stdout


def test_an_input_that_the_site_places_elsewhere_is_never_fetched_there(toy, tmp_path):
    with served(b"1") as (url, behaviour):
        project = toy(f"sha256='{SHA}', url='{url}'")
        hosts = "hosts: [{name: local, roles: [client]}]"
        place = tmp_path / "elsewhere" / "x"
        (project.root / "sites/far.yaml").write_text(f"{hosts}\ninputs: {{data/x: {place}}}\n")
        done = call(fetch, "--site", "far")
    assert done.exit_code == 1 and f"is missing; get it from {url}" in done.stdout
    assert behaviour.ranges == [] and not place.parent.exists()
