"""Manifests and verdicts at JSON's edge: what was written is read back, and nothing else is."""

import copy
import json
from dataclasses import replace

import pandas as pd
import pytest

from benchpaper.analysis import claim_rows, manifests
from benchpaper.analysis.claim_rows import ClaimRow
from benchpaper.analysis.exhibits import Exhibits
from benchpaper.analysis.recipes import Basis, Recipe
from benchpaper.core.errors import UserError

PIPE = dict(way="pipe", size_bytes=1)


@pytest.fixture
def saved(measured, tmp_path):
    """The path of a manifest with an exhibit of each kind, and with gaps."""
    folder = tmp_path / "build" / "exhibits" / "toy_pipe"
    exhibits = Exhibits(measured, folder)
    exhibits.number("pipe", measured.estimate("latency_us", **PIPE).scaled(1e-3, "ms"))
    exhibits.number("nic", measured.estimate("latency_us", way="nic", size_bytes=1))
    share = measured.estimate("latency_us", **PIPE)
    share = replace(share, by="share", second="bytes_moved")
    exhibits.number("share", share)
    exhibits.number("plain", 3, unit="count")
    estimate = measured.estimate("latency_us", **PIPE)
    exhibits.table("table", pd.DataFrame({"way": ["pipe"], "µs": [estimate]}), [estimate])
    exhibits.figure("gap", lambda frame: None, measured.summary("latency_us", way="nic"))
    return folder / manifests.MANIFEST


def test_a_manifest_is_the_same_after_reading_and_writing(saved):
    manifest = manifests.read(saved)
    assert json.dumps(manifest.to_json(), indent=1) == saved.read_text()
    assert manifests.read_all(saved.parents[2]) == {"toy_pipe": manifest}
    kinds = {name: exhibit.kind for name, exhibit in manifest.exhibits.items()}
    assert kinds == dict(pipe="number", nic="number", share="number", plain="number",
        table="table", gap="figure")  # fmt: skip
    exhibits = manifest.exhibits
    assert str(exhibits["nic"]) == str(exhibits["gap"]) == "not measured here: needs rdma"
    assert exhibits["table"].files == ("table.tex",) and exhibits["gap"].files == ()
    assert exhibits["pipe"].how.factor == 1e-3 and exhibits["share"].how.second == "bytes_moved"
    assert exhibits["plain"].how is None and exhibits["gap"].numbers == ()
    [number] = exhibits["table"].numbers
    assert (number.row, number.column, number.how.by) == (0, 1, "level")


def without(*path):
    def change(content):
        for key in path[:-1]:
            content = content[key]
        del content[path[-1]]

    return change


@pytest.mark.parametrize("change", [
    without("experiment"), without("files"), without("exhibits"),
    without("exhibits", "pipe", "kind"), without("exhibits", "pipe", "text"),
    without("exhibits", "pipe", "how", "q"), without("exhibits", "table", "cells"),
    without("exhibits", "table", "numbers"),
    without("exhibits", "table", "numbers", 0, "how", "q"),
    without("exhibits", "table", "numbers", 0, "row"),
    without("files", "trials.parquet", "sha256"),
    lambda content: content.update(exhibits=[1]),
    lambda content: content.update(files=None),
    lambda content: content["exhibits"].update(pipe="text"),
    lambda content: content["exhibits"]["pipe"].update(more=1),
    lambda content: content.update(more=1),
])  # fmt: skip
def test_a_manifest_of_another_form_is_one_line_with_the_way_out(saved, change):
    content = copy.deepcopy(json.loads(saved.read_text()))
    change(content)
    saved.write_text(json.dumps(content))
    with pytest.raises(UserError) as refused:
        manifests.read(saved)
    message = str(refused.value)
    assert message.startswith("exhibits.json of toy_pipe has another form (")
    assert message.endswith("; remove it, and run ./reproduce again") and "\n" not in message


RECIPE = Recipe("level", "m", ("way=a",), q=0.5, factor=1.0, unit="µs", second="")
ROW = ClaimRow(
    id="C1", sentence="a", experiment="toy/one", asked="below 1", value=0.5, low=0.4, high=0.6, n=6,
    unit="µs", confidence=0.95, cells=("way=a",), text="0.5 µs", blocks_for_5_percent=9,
    verdict="reproduced", why="below", short="below",
    basis=Basis("below", 1.0, 1.0, RECIPE, "m", values=(), paired=False, q=0.5),
)  # fmt: skip


def test_verdicts_are_the_same_after_reading_and_writing(tmp_path):
    unknown = ClaimRow(
        id="C2", sentence="b", experiment="toy/one", verdict="not run", why="w", short="w"
    )
    by_values = replace(ROW, id="C3", basis=replace(ROW.basis, recipe=None, values=(0.4, 0.6)))
    rows = [ROW, unknown, by_values]
    (tmp_path / "verdicts.json").write_text(json.dumps([row.to_json() for row in rows]))
    assert claim_rows.read(tmp_path) == rows
    assert list(ROW.to_json()) == list(claim_rows.ClaimRowJson.__annotations__)


def test_without_verdicts_there_are_no_rows(tmp_path):
    assert claim_rows.read(tmp_path) == []


@pytest.mark.parametrize("content", ['[{"id": "C1"}]', "[1]", "[null]", "{}", "no"])
def test_other_verdicts_are_one_line_with_the_way_out(tmp_path, content):
    (tmp_path / "verdicts.json").write_text(content)
    with pytest.raises(UserError, match=r"^verdicts\.json of .*; remove it, and run \./reproduce"):
        claim_rows.read(tmp_path)
