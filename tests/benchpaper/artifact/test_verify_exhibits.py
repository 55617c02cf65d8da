"""Exhibits that contradict their data, their notebook, or themselves are found."""

import json

import pytest
from changed_archives import (
    BUILD,
    EXHIBITS,
    NOTEBOOK,
    edited,
    measured,
    needs_latex,
    project_of,
)

from benchpaper.artifact.bundle import archive, exhibit_check
from benchpaper.core.errors import UserError

pytestmark = needs_latex
NUMBER = "toy-pipe-cost-4k"
DATA = "but the data inside give"


def check(files, folder):
    project = project_of(files, folder / "project")
    return exhibit_check.check(project, project.build("local", "smoke"), measured(project), {})


def test_exhibits_as_they_were_made_follow_from_the_data(small_files, tmp_path):
    assert check(small_files, tmp_path) == (
        "2 numbers follow from the data inside; no other number is shown"
    )


def number(**changes):
    """A change of the paper's number."""

    def change(manifest):
        entry = manifest["exhibits"][NUMBER]
        for key, value in changes.items():
            assert entry[key] != value
            entry[key] = value

    return change


def recipe(**changes):
    return lambda manifest: manifest["exhibits"][NUMBER]["how"].update(changes)


def head(**changes):
    return lambda manifest: manifest.update(changes)


def without_recipe(manifest):
    """Say that only the notebook can compute the number, and change its value."""
    manifest["exhibits"][NUMBER] |= {"how": None, "value": 0.01}


def relabelled(manifest):
    """Give the number to the cells of another."""
    entries = manifest["exhibits"]
    entries[NUMBER]["how"]["cells"] = entries["toy-pipe-cost-floor"]["how"]["cells"]
    entries[NUMBER]["cells"] = entries["toy-pipe-cost-floor"]["cells"]


FORGERIES = {
    "value": (number(value=0.01), f"value 0.01, {DATA}"),
    "low": (number(low=0.1), f"low 0.1, {DATA}"),
    "high": (number(high=9.9), f"high 9.9, {DATA}"),
    "text": (number(text="0.01 µs"), f"is 0.01 µs  (n = 2), with text 0.01 µs, {DATA}"),
    "interval": (number(interval="[0.1, 0.2]"), f"interval [0.1, 0.2], {DATA}"),
    "n": (number(n=15), f"n 15, {DATA}"),
    "failed": (number(failed=3), f"failed 3, {DATA}"),
    "unit": (number(unit="ms"), "another unit than its recipe"),
    "cells": (number(cells=["target=null size_bytes=1"]), "other cells than its recipe"),
    "metrics": (number(metrics=["other"]), "another metric"),
    "warnings": (number(warnings=[]), "other warnings than its trials give"),
    "gap": (number(missing="needs rdma", value=None, text=None, how=None), "cells were measured"),
    "gap of some trials": (
        number(
            missing="1 trials failed (x), and the other 1 were not tried again",
            value=None,
            text=None,
            how=None,
        ),
        "cells were measured",
    ),
    "gap with value": (number(missing="needs rdma"), "is missing and has a value"),
    "kind": (number(kind="picture"), "exhibits.json of toy_pipe_cost has another form"),
    "factor": (recipe(factor=0.5), "a factor of 0.5 does not turn µs into µs"),
    "factor and unit": (recipe(factor=3e3, unit="ns"), "a factor of 3000 does not turn µs into ns"),
    "quantile": (recipe(q=0.1), DATA),
    "unknown cell": (recipe(cells=["target=moon"]), 'have no cell "target=moon"'),
    "unknown metric": (recipe(metric="moons"), 'metric "moons"'),
    "unknown way": (recipe(by="guess"), '"guess" is no way to compute'),
    "recipe of a noise floor": (recipe(by="noise floor"), "other cells than its recipe"),
    "without recipe": (without_recipe, "but its text is 0.0100 µs"),
    "another cell's number": (relabelled, DATA),
    "files emptied": (head(files={}), "/files/observations.parquet is missing"),
    "foreign files": (
        lambda m: m["files"]["trials.parquet"].update(sha256="0" * 64),
        "/files/trials.parquet/sha256 is '000",
    ),
    "path of another file": (
        lambda m: m["files"]["trials.parquet"].update(path="toy/other/trials.parquet"),
        "/files/trials.parquet/path is 'toy/other",
    ),
    "host": (
        lambda m: m["hosts"].update({"client.cpu": "Moon 9000"}),
        "/hosts/client.cpu is 'Moon",
    ),
    "no hosts": (lambda m: m["hosts"].pop("client.os"), "/hosts/client.os is missing"),
    "tools": (lambda m: m["tools"].update(pen="1.0"), "/tools/pen is not accounted for"),
    "date": (head(measured_on="2001-01-01"), "/measured_on is '2001-01-01'"),
    "source": (head(source="reference results of site local"), "/source is 'reference results"),
    "blocks": (head(blocks=15), "/blocks is 15"),
    "scale": (head(scale="full"), "/scale is 'full'"),
    "site": (head(site="moon"), "/site is 'moon'"),
    "notebook": (head(notebook="analysis/other.ipynb"), "/notebook is 'analysis/other.ipynb'"),
    "more": (head(prize="best paper"), "exhibits.json of toy_pipe_cost has another form"),
    "figure of another kind": (
        lambda m: m["exhibits"]["toy-pipe-cost-latency"].update(kind="picture"),
        "is in its manifest or there, but not both",
    ),
    "figure with numbers": (
        lambda m: m["exhibits"]["toy-pipe-cost-latency"].update(
            numbers=[{"row": 0, "column": 0, "how": m["exhibits"][NUMBER]["how"]}]
        ),
        "is a figure, and has the numbers of a table",
    ),
    "exhibit's file": (
        lambda m: m["exhibits"]["toy-pipe-cost-latency"].update(file="other.pdf"),
        "is in the file other.pdf, of another name",
    ),
    "an exhibit more": (
        lambda m: m["exhibits"].update(new=dict(m["exhibits"][NUMBER])),
        "does not print: new: ",
    ),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_manifest_that_contradicts_data_or_notebook_is_found(small_files, tmp_path, name):
    change, words = FORGERIES[name]
    with pytest.raises(UserError) as error:
        check(edited(small_files, EXHIBITS, change), tmp_path)
    assert words in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["toy-pipe-cost-latency.pdf", "toy-pipe-cost-latency.png"])
def test_an_emptied_missing_or_new_file_of_an_exhibit_is_found(small_files, tmp_path, name):
    path = f"{BUILD}/exhibits/toy_pipe_cost/{name}"
    without = {key: data for key, data in small_files.items() if key != path}
    for number, (files, words) in enumerate(
        (
            ({**small_files, path: b""}, f"{name} of toy_pipe_cost is empty"),
            (without, f"{name} of toy_pipe_cost is in its manifest or there, but not both"),
            ({**small_files, f"{path}.old": b"x"}, f"{name}.old of toy_pipe_cost is in its"),
        )
    ):
        with pytest.raises(archive.NotVerified, match=words):
            check(files, tmp_path / str(number))


def printed(old, new):
    """A change of what the executed notebook printed."""

    def change(notebook):
        text = json.dumps(notebook["cells"])
        assert old in text
        notebook["cells"] = json.loads(text.replace(old, new))

    return change


def silenced(notebook):
    for cell in notebook["cells"]:
        if "outputs" in cell:
            cell["outputs"] = []


OTHER_CODE = "is not analysis/toy_pipe_cost.ipynb"
NOTEBOOK_FORGERIES = {
    "a number": (printed(f"{NUMBER}: ", f"{NUMBER}: 1"), f"does not print: {NUMBER}: "),
    "no output": (
        lambda notebook: [
            cell.update(outputs=[]) for cell in notebook["cells"] if "outputs" in cell
        ],
        "does not print: ",
    ),
    "code": (printed("results.estimate(", "results.guess("), OTHER_CODE),
    "a cell less": (
        lambda notebook: notebook["cells"].pop(),
        "is not analysis/toy_pipe_cost.ipynb",
    ),
    "parameters": (printed('results/local/smoke\\"', 'results/local/full\\"'), "other parameters"),
    "parameters in its metadata": (
        lambda notebook: notebook["metadata"]["papermill"]["parameters"].clear(),
        "ran with other parameters: {}",
    ),
    "an error": (
        lambda notebook: notebook["cells"][-1]["outputs"].append(
            dict(output_type="error", ename="E", evalue="", traceback=[])
        ),
        "holds an error",
    ),
    "figures that were not measured": (
        printed("figure toy-pipe-cost-latency: ", "figure toy-pipe-cost-latency: needs rdma "),
        "does not print: figure toy-pipe-cost-latency:",
    ),
}


@pytest.mark.parametrize("name", NOTEBOOK_FORGERIES)
def test_an_executed_notebook_that_contradicts_its_source_or_manifest_is_found(
    small_files, tmp_path, name
):
    change, words = NOTEBOOK_FORGERIES[name]
    with pytest.raises(archive.NotVerified) as error:
        check(edited(small_files, NOTEBOOK, change), tmp_path)
    assert words in str(error.value)
