"""Saving figures, tables and numbers: each has a trail, none is half-written."""

import json

import matplotlib
import pandas as pd
import pytest

from benchpaper.analysis.exhibits import MANIFEST, ExhibitError, Exhibits, tex

matplotlib.use("Agg")

PIPE_1 = dict(way="pipe", size_bytes=1)
NIC_1 = dict(way="nic", size_bytes=1)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "exhibits" / "toy_pipe"


@pytest.fixture
def exhibits(measured, folder):
    return Exhibits(measured, folder)


def manifest(folder):
    return json.loads((folder / MANIFEST).read_text())


def entries(folder):
    return manifest(folder)["exhibits"]


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def draw(frame):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2, 1))
    figure.subplots().plot(frame["size_bytes"], frame["value"])
    return figure


# --- the manifest ----------------------------------------------------------------------------


def test_a_manifest_says_what_the_exhibits_come_from(exhibits, measured, folder):
    made = manifest(folder)
    assert (made["experiment"], made["notebook"]) == ("toy/pipe", "analysis/toy_pipe.ipynb")
    assert (made["site"], made["scale"], made["blocks"], made["source"]) == (
        "local",
        "quick",
        5,
        measured.source,
    )
    assert made["files"] == measured.files and made["exhibits"] == {}
    assert made["hosts"]["client.cpu"] and made["measured_on"] == str(
        measured.trial_df["started"].min().date()
    )


def test_a_number_is_entered_with_value_interval_and_trail_and_printed(
    exhibits, measured, folder, capsys
):
    estimate = measured.estimate("latency_us", **PIPE_1)
    exhibits.number("pipe-1", estimate)
    assert entries(folder) == {"pipe-1": {
        "kind": "number", "value": estimate.value, "low": estimate.low, "high": estimate.high,
        "n": 5, "unit": "µs",
        "missing": "", "failed": 0, "text": str(estimate).split(" [")[0],
        "interval": estimate.interval_text().strip(),
        "how": {
            "by": "level", "metric": "latency_us", "cells": ["way=pipe size_bytes=1"], "q": 0.5,
            "factor": 1.0, "unit": "µs", "second": "",
        },
        "metrics": ["latency_us"], "cells": ["way=pipe size_bytes=1"],
        "warnings": [str(warning) for warning in measured.warnings(["way=pipe size_bytes=1"])],
    }}  # fmt: skip
    assert capsys.readouterr().out == f"pipe-1: {estimate}\n"


def test_a_ratio_has_the_trail_of_both_cells(exhibits, measured, folder):
    exhibits.number(
        "growth",
        measured.ratio("latency_us", of=dict(size_bytes=4096), to=dict(size_bytes=1), way="pipe"),
    )
    assert entries(folder)["growth"]["cells"] == [
        "way=pipe size_bytes=4096",
        "way=pipe size_bytes=1",
    ]


def test_what_a_notebook_made_of_several_cells_cannot_be_reckoned_again_without_it(
    exhibits, measured, folder
):
    cells = ["way=pipe size_bytes=1", "way=pipe size_bytes=4096", "way=socket size_bytes=1"]
    exhibits.number(
        "most",
        measured.combined("latency_us", cells, lambda values: max(values.values()), unit="µs"),
    )
    assert entries(folder)["most"]["how"] is None and entries(folder)["most"]["cells"] == cells


def test_a_missing_number_is_entered_as_missing(exhibits, measured, folder, capsys):
    exhibits.number("nic-1", measured.estimate("latency_us", **NIC_1))
    entry = entries(folder)["nic-1"]
    assert (entry["value"], entry["text"], entry["interval"], entry["missing"]) == (
        None,
        None,
        "",
        "needs rdma",
    )
    assert capsys.readouterr().out == "nic-1: not measured here: needs rdma\n"


def test_a_plain_number_needs_a_unit_and_to_be_a_number(exhibits, folder):
    exhibits.number("cells", 7, unit="count")
    exhibits.number("share", 0.5, unit="1")
    assert [entries(folder)[name]["text"] for name in ("cells", "share")] == ["7", "0.500"]
    with pytest.raises(ExhibitError, match='^number "more": a plain number needs a unit'):
        exhibits.number("more", 7)
    for value in (float("nan"), float("inf")):
        with pytest.raises(ExhibitError, match=f'^number "more": {value} is not a finite number$'):
            exhibits.number("more", value, unit="1")
    assert set(entries(folder)) == {"cells", "share"}


# --- names -----------------------------------------------------------------------------------


def save_each(exhibits, measured, name):
    """Three ways of saving an exhibit under `name`."""
    summary = measured.summary("latency_us", way="pipe")
    return [
        lambda: exhibits.number(name, measured.estimate("latency_us", **PIPE_1)),
        lambda: exhibits.table(name, pd.DataFrame({"a": ["x"]}), [summary]),
        lambda: exhibits.figure(name, draw, summary),
    ]


@pytest.mark.parametrize(
    "name",
    [
        "fabric_get",
        "Fabric",
        "4k",
        "",
        "a--b",
        "a-",
        "a b",
        "a\\b",
        "µ",
        "a\n",
        "../../evil",
        "a/b",
    ],
)
def test_a_name_that_tex_cannot_hold_is_refused_before_anything_is_written(
    exhibits, measured, folder, name
):
    for save in save_each(exhibits, measured, name):
        with pytest.raises(
            ExhibitError, match="must be lower-case words, digits and single hyphens"
        ):
            save()
    assert files(folder) == [MANIFEST] and entries(folder) == {}
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


@pytest.mark.parametrize("first", range(3))
@pytest.mark.parametrize("second", range(3))
def test_a_name_is_used_once(exhibits, measured, folder, first, second):
    saves = save_each(exhibits, measured, "latency")
    saves[first]()
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(
        ExhibitError,
        match='^exhibit "latency" is saved twice in this notebook; give each its own name$',
    ):
        saves[second]()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


# --- figures ---------------------------------------------------------------------------------


def test_a_figure_is_saved_twice_and_drawn_from_what_was_measured(
    exhibits, measured, folder, capsys
):
    drawn = []
    exhibits.figure(
        "latency", lambda frame: drawn.append(frame) or draw(frame), measured.summary("latency_us")
    )
    assert files(folder) == [MANIFEST, "latency.pdf", "latency.png"]
    assert (folder / "latency.pdf").read_bytes().startswith(b"%PDF") and (
        folder / "latency.png"
    ).read_bytes().startswith(b"\x89PNG")
    assert drawn[0]["way"].tolist() == ["pipe", "pipe", "socket"]
    entry = entries(folder)["latency"]
    assert (entry["kind"], entry["file"], entry["missing"], len(entry["cells"])) == (
        "figure",
        "latency.pdf",
        "",
        6,
    )
    assert capsys.readouterr().out.startswith("figure latency: 3 of 6 values measured\n")


def test_the_same_figure_has_the_same_bytes(measured, folder):
    for name in ("a", "b"):
        Exhibits(measured, folder / name).figure("latency", draw, measured.summary("latency_us"))
    for ending in ("pdf", "png"):
        assert len({(folder / name / f"latency.{ending}").read_bytes() for name in ("a", "b")}) == 1


def test_a_figure_of_which_nothing_was_measured_is_not_drawn(exhibits, measured, folder, capsys):
    exhibits.figure(
        "nic", lambda frame: pytest.fail("drawn"), measured.summary("latency_us", way="nic")
    )
    assert files(folder) == [MANIFEST] and entries(folder)["nic"]["missing"] == "needs rdma"
    assert capsys.readouterr().out == "figure nic: needs rdma\n"


def test_a_drawing_that_fails_leaves_no_entry_and_no_file(exhibits, measured, folder):
    class Broken:
        def savefig(self, path, **_):
            path.write_bytes(b"half")
            raise OSError(28, "No space left on device")

    with pytest.raises(ZeroDivisionError):
        exhibits.figure("latency", lambda frame: 1 / 0, measured.summary("latency_us"))
    with pytest.raises(OSError, match="No space left"):
        exhibits.figure("latency", lambda frame: Broken(), measured.summary("latency_us"))
    assert files(folder) == [MANIFEST] and entries(folder) == {}
    exhibits.figure("latency", draw, measured.summary("latency_us"))  # and may be tried again


# --- tables ----------------------------------------------------------------------------------


def test_a_table_is_latex_with_everything_special_escaped(exhibits, measured, folder):
    summary = measured.summary("latency_us", size_bytes=1)
    frame = pd.DataFrame(
        {"way & size_b": ["50 % of {pipe}", r"a\b", "nic #1"], "latency (µs)": summary.estimates}
    )
    exhibits.table("latency", frame, [summary])
    values = [str(e).split(" (n")[0].replace("µ", r"\textmu{}") for e in summary.estimates[:2]]
    assert (folder / "latency.tex").read_text() == "\n".join([
        r"\begin{tabular}{ll}", r"\toprule", r"way \& size\_b & latency (\textmu{}s) \\",
        r"\midrule",
        rf"50 \% of \{{pipe\}} & {values[0]} \\", rf"a\textbackslash{{}}b & {values[1]} \\",
        r"nic \#1 & needs rdma \\",
        r"\bottomrule", r"\end{tabular}", "",
    ])  # fmt: skip
    assert entries(folder)["latency"]["file"] == "latency.tex"


def test_columns_of_numbers_stand_to_the_right(exhibits, measured, folder):
    summary = measured.summary("latency_us", way="pipe")
    exhibits.table(
        "latency",
        pd.DataFrame({"size": [1, 4096], "change": [-1.5, 2], "way": ["a", "b"]}),
        [summary],
    )
    assert (folder / "latency.tex").read_text().startswith(r"\begin{tabular}{rrl}")


def test_a_table_of_which_nothing_was_measured_is_missing(exhibits, measured, folder, capsys):
    summary = measured.summary("latency_us", way="nic")
    exhibits.table("nic", pd.DataFrame({"a": summary.estimates}), [summary])
    assert files(folder) == [MANIFEST] and entries(folder)["nic"]["missing"] == "needs rdma"
    assert capsys.readouterr().out == "table nic: needs rdma\n"


@pytest.mark.parametrize("text, shown", [
    (r"\&%$#_{}~^", r"\textbackslash{}\&\%\$\#\_\{\}\textasciitilde{}\textasciicircum{}"),
    ("1 µs × 2 ≤ 3 – <x>", r"1 \textmu{}s $\times$ 2 $\le$ 3 -- \textless{}x\textgreater{}"),
    ("≥ ≈ − →", r"$\ge$ $\approx$ $-$ $\to$"),
    (5, "5"),
])  # fmt: skip
def test_what_is_special_to_tex_is_escaped(text, shown):
    assert tex(text) == shown


# --- without a folder ------------------------------------------------------------------------


def test_without_a_folder_nothing_is_written_and_mistakes_are_still_found(
    measured, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    exhibits = Exhibits(measured)
    for number, save in enumerate(save_each(exhibits, measured, "a")):
        if number:
            with pytest.raises(ExhibitError, match="saved twice"):
                save()
        else:
            save()
    exhibits.table("b", pd.DataFrame({"a": ["x"]}), [measured.summary("latency_us")])
    exhibits.figure("c", draw, measured.summary("latency_us"))
    assert list(tmp_path.iterdir()) == []
    assert "table b\na\nx\n" in capsys.readouterr().out.replace(" ", "").replace(
        "tableb", "table b"
    )
