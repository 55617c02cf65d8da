"""Inputs validate themselves, and their states say in one line what is wrong, and what to do."""

import hashlib

import pytest
from sound_experiments import SOUND, TRIAL

from benchpaper import Input
from benchpaper.core.errors import UserError
from benchpaper.design import catalog, inputs

SHA = hashlib.sha256(b"x").hexdigest()
URL = "https://data.example/x"

BAD = [
    (dict(path=""), "must be a text that is not empty"),
    (dict(path="/data/x"), "an absolute path is true on one machine only"),
    (dict(path="../x"), "must be plain and below the project"),
    (dict(path="data//x"), "must be plain"),
    (dict(path="data/x/"), "must be plain"),
    (dict(path="."), "must be plain"),
    (dict(path="results/x"), "results/ holds what benchpaper makes"),
    (dict(path="a\nb"), "one line of printable characters"),
    (dict(path="x", sha256="12"), "must be 64 hex digits"),
    (dict(path="x", url=URL), "give sha256"),
    (dict(path="x", doi="10.5281/zenodo.1"), "give sha256"),
    (dict(path="x", sha256=SHA, url="ftp://a/x"), "must begin with https"),
    (dict(path="x", sha256=SHA, url="file:///etc/passwd"), "must begin with https"),
    (dict(path="x", sha256=SHA, url="https://me:pw@a/x"), "holds a login"),
    (dict(path="x", sha256=SHA, doi="zenodo.1"), "must be like 10.5281"),
    (dict(path="x", licence=5), "must be a text"),
]


@pytest.mark.parametrize("fields, words", BAD, ids=[str(fields) for fields, _ in BAD])
def test_a_bad_declaration_is_refused_in_one_line(fields, words):
    with pytest.raises(UserError, match=words) as error:
        Input(**fields)
    assert "\n" not in str(error.value)


def test_where_others_get_it():
    assert Input("x").origin == ""
    assert Input("x", sha256=SHA.upper(), url=URL).sha256 == SHA
    page = Input("x", sha256=SHA, doi="https://doi.org/10.5281/zenodo.1")
    assert page.origin == "https://doi.org/10.5281/zenodo.1"


LISTS = [
    ("'data/x'", "must be a list"),
    ("Input('x')", "must be a list"),
    ("['data/x']", r"write Input\("),
    ("[Input('data'), Input('data/x')]", "overlap"),
    ("[Input('x'), Input('x')]", "overlap"),
]


def project_with(make_project, declared, **files):
    text = SOUND.format(imports="from benchpaper.design.inputs import Input", trial=TRIAL)
    text = text.replace("factors=[]", f"factors=[], inputs={declared}")
    return make_project({"experiments/toy/one/experiment.py": text, **files})


@pytest.mark.parametrize("declared, words", LISTS)
def test_a_bad_list_is_refused_with_the_file_s_name(make_project, declared, words):
    project = project_with(make_project, declared)
    with pytest.raises(UserError, match=words) as error:
        catalog.load(project, "toy/one")
    assert "experiments/toy/one/experiment.py" in str(error.value)


def state_of(project, item, site="local"):
    [state] = inputs.states(project, site, "toy/one", [item])
    return state


STATES = {
    "there": (Input("data/x", sha256=SHA), "", SHA),
    "there, undeclared": (Input("data/x"), "", SHA),
    "changed": (Input("data/x", sha256="0" * 64), "restore it, or declare the new digest", SHA),
    "changed, with a url": (
        Input("data/x", sha256="0" * 64, url=URL),
        "remove it, then benchpaper fetch toy/one",
        SHA,
    ),
    "missing": (Input("data/y"), "is missing; put it there", inputs.MISSING),
    "missing, with a url": (
        Input("data/y", sha256=SHA, url=URL),
        "is missing; benchpaper fetch toy/one gets it",
        SHA,
    ),
    "missing, with a doi": (
        Input("data/y", sha256=SHA, doi="10.5281/zenodo.1"),
        "get it from https://doi.org/10.5281/zenodo.1",
        SHA,
    ),
    "an empty folder": (Input("data/none"), "holds no file", inputs.MISSING),
}


@pytest.mark.parametrize("item, words, digest", STATES.values(), ids=STATES)
def test_a_state_says_what_is_wrong_and_what_to_do(make_project, item, words, digest):
    project = make_project({"data/x": "x"})
    (project.root / "data" / "none").mkdir()
    state = state_of(project, item)
    assert (words in state.problem) if words else state.problem == ""
    assert state.digest == digest and "\n" not in state.problem


def test_a_site_says_where_an_input_lies(make_project, tmp_path):
    place = tmp_path / "datasets" / "x"
    place.parent.mkdir()
    place.write_text("x")
    project = make_project({"sites/far.yaml": f"hosts: []\ninputs: {{data/x: {place}}}\n"})
    assert state_of(project, Input("data/x", sha256=SHA), "far").place == place
    assert state_of(project, Input("data/x", sha256=SHA), "far").problem == ""
    assert "is missing" in state_of(project, Input("data/x", sha256=SHA)).problem  # at local
    assert "has no digest; give sha256" in state_of(project, Input("data/x"), "far").problem
    place.write_text("y")
    changed = state_of(project, Input("data/x", sha256=SHA), "far").problem
    assert f"input data/x at {place} (sites/far.yaml) changed" in changed


@pytest.mark.parametrize("table", ["[1]", "x", "{data/x: relative}", "{data/x: 5}", "{5: /x}"])
def test_a_mistake_in_a_site_file_is_named(make_project, table):
    project = make_project({"sites/far.yaml": f"hosts: []\ninputs: {table}\n"})
    with pytest.raises(UserError, match="sites/far.yaml: inputs"):
        state_of(project, Input("data/x"), "far")
