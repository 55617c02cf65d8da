"""How results are loaded, how numbers read, and what a mistake says."""

from dataclasses import replace

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from measured_cells import PIPE_1

from benchpaper import results as parquet
from benchpaper.analysis import claims, estimates, stats
from benchpaper.analysis.compare.ratios import shown_ratio
from benchpaper.analysis.exhibits import Exhibits
from benchpaper.analysis.values import Estimate, percent, with_unit
from benchpaper.core.errors import UserError
from benchpaper.core.project import Project
from benchpaper.results import OBSERVATIONS, ResultsError

# --- mistakes --------------------------------------------------------------------------------


@pytest.mark.parametrize("ask, message", [
    (lambda r: r.estimate("latency", **PIPE_1),
     ('toy/pipe: metric "latency" not found; did you mean "latency_us"? (there are: '
     'latency_us, bytes_moved)')),
    (lambda r: r.estimate("latency_us", way="pip", size_bytes=1),
     'toy/pipe: level of way "pip" not found; did you mean "pipe"? (there are: pipe, socket, nic)'),
    (lambda r: r.summary("latency_us", size_bytes=[1, 2]),
     'toy/pipe: level of size_bytes "2" not found (there are: 1, 4096)'),
    (lambda r: r.estimate("latency_us", size_byte=1),
        'toy/pipe: no factor "size_byte"; did you mean "size_bytes"?'),
    (lambda r: r.estimate("latency_us", way="pipe"),
        "toy/pipe: 2 cells have {'way': 'pipe'}; say which size_bytes"),
    (lambda r: r.estimate("latency_us"), "toy/pipe: 6 cells have {}; say which way and size_bytes"),
    (lambda r: r.ratio("latency_us", of=dict(way="pipe"), to=dict(way="socket")),
     "toy/pipe: 2 cells have {'way': 'pipe'}; say which size_bytes"),
])  # fmt: skip
def test_a_mistake_in_the_question_is_one_line(measured, ask, message):
    with pytest.raises(UserError) as refused:
        ask(measured)
    assert str(refused.value) == message


# --- loading ---------------------------------------------------------------------------------


def test_results_say_where_they_come_from(measured, measured_project):
    assert measured.source == "results of site local, scale quick, 5 blocks"
    assert (measured.experiment, measured.factors, measured.blocks) == (
        "toy/pipe",
        ["way", "size_bytes"],
        5,
    )
    path = measured_project.results("local", "quick") / measured.files[OBSERVATIONS]["path"]
    assert parquet.file_digest(path) == measured.files[OBSERVATIONS]["sha256"]


def test_the_reference_is_loaded_by_default_and_relative_folders_lie_in_the_project(
    measured_project, make_project, monkeypatch
):
    import shutil

    project = make_project({})
    source = measured_project.results("local", "quick") / "toy/pipe"
    for folder in (project.results("local", "reference"), project.root / "elsewhere"):
        shutil.copytree(source, folder / "toy/pipe")
    monkeypatch.setenv("BENCHPAPER_PROJECT", str(project.root))
    assert (
        estimates.load("toy/pipe").source
        == "reference results of site local, scale quick, 5 blocks"
    )
    assert (
        estimates.load("toy/pipe", "elsewhere").source
        == "results of site local, scale quick, 5 blocks"
    )


def test_results_that_are_missing_or_broken_are_one_line(measured_project, tmp_path):
    with pytest.raises(
        ResultsError, match="toy/pip/observations.parquet does not exist; measure first"
    ):
        estimates.load("toy/pip", measured_project.results("local", "quick"))
    (tmp_path / "toy/pipe").mkdir(parents=True)
    (tmp_path / "toy/pipe" / OBSERVATIONS).write_bytes(b"")
    with pytest.raises(ResultsError, match="toy/pipe/observations.parquet cannot be read"):
        estimates.load("toy/pipe", tmp_path)


# --- how numbers read ------------------------------------------------------------------------


@pytest.mark.parametrize("value, unit, shown", [
    (0.66437, "µs", "0.664 µs"), (12.345, "µs", "12.3 µs"), (1234.5, "B", "1234 B"),
    (0.0, "s", "0.00 s"),
    (-0.0123, "s", "-0.0123 s"),
    (1.5, "1", "1.50"), (42.0, "count", "42"), (2.5, "count", "2.50"), (3.2e-9, "s", "3.20 ns"),
    (-3.2e-9, "s", "-3.20 ns"),
    (3.2e-7, "s/GB", "320 ns/GB"), (2e-5, "M/s", "20.0 1/s"), (1e-5, "MiB", "10.5 B"),
    (1.23e-7, "1", "0.000000123"),
    (0.000391, "ms", "0.000391 ms"), (4e-18, "s", "0.00400 fs"),
])  # fmt: skip
def test_numbers_read_to_three_digits_with_their_unit(value, unit, shown):
    assert with_unit(value, unit) == shown


SIZES = {
    "1": 1, "count": 1, "%": 1, "elements": 1, "h": 3600, "min": 60, "s": 1, "ms": 1e-3, "us": 1e-6,
    "µs": 1e-6, "ns": 1e-9,
    "ps": 1e-12, "fs": 1e-15, "B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2**10, "MiB": 2**20,
    "GiB": 2**30,
    "k": 1e3, "M": 1e6, "bit": 1, "kbit": 1e3, "Mbit": 1e6,
}  # fmt: skip


@pytest.fixture(scope="module")
def units():
    """The units of all metrics of the reference, and those into which notebooks turn them."""
    known = {"Mbit/s", "h", "min", "us", "elements", "GiB"}
    for path in (Project.find().root / "artifacts/reference").rglob(OBSERVATIONS):
        known |= {metric["unit"] for metric in parquet.read(path)[1]["metrics"]}
    assert known >= {"1", "count", "%", "s/GB", "M/s", "MiB", "GB/s", "µs"}
    return sorted(known)


@settings(max_examples=300, deadline=None)
@given(st.floats(1e-15, 1e18), st.sampled_from([1, -1]), st.data())
def test_a_printed_number_is_the_value_at_every_magnitude_in_every_unit(units, size, sign, data):
    value, unit = sign * size, data.draw(st.sampled_from(units))
    number, _, shown = with_unit(value, unit).partition(" ")
    head, _, per = (shown or unit).partition("/")
    assert "e" not in number and per == unit.partition("/")[2]
    assert float(number) * SIZES[head] == pytest.approx(
        value * SIZES[unit.partition("/")[0]], rel=0.005
    )
    assert len(number.lstrip("-0.").replace(".", "")) >= 3 or float(number) == value


@settings(max_examples=100, deadline=None)
@given(st.floats(1e-15, 1e3))
def test_a_share_in_percent_is_the_share(share):
    assert float(percent(share).removesuffix("%")) / 100 == pytest.approx(share, rel=0.005)


def test_an_interval_has_the_unit_and_as_many_decimals_as_its_value():
    estimate = Estimate(1.5, 0.999, 10.01, 5, "µs", "latency_us", ())
    assert str(estimate) == "1.50 µs [1.00, 10.01] (n = 5)"
    assert (
        str(replace(estimate, value=3.2e-8, low=3.1e-8, high=3.35e-8, unit="s"))
        == "32.0 ns [31.0, 33.5] (n = 5)"
    )


def test_what_all_blocks_agree_on_carries_no_interval_and_says_so_wherever_it_is_printed(
    known, capsys
):
    known.claims(
        '@claim("C1", experiment="toy/known")\ndef c1(results):\n    """A claim."""\n'
        '    return results.estimate("latency_us", way="a", size=1).below(5)'
    )
    results = known.write(
        "quick", {("a", 1): [4.0] * 5, ("b", 1): [8.0] * 5, ("c", 1): [1.0, 2, 3, 4, 5]}
    )
    same, other = (results.estimate("latency_us", way=way, size=1) for way in "ac")
    ratio = results.ratio("latency_us", dict(way="b"), dict(way="a"), size=1)
    assert (
        str(same) == "4.00 µs (n = 5, all equal)" and same.interval_text() == "" and same.low == 4
    )
    assert str(ratio) == "2.00 (n = 5, all equal)" and " [1.00, 5.00] (n = 5)" in str(other)
    assert str(same.scaled(1e-3, "ms")) == "0.00400 ms (n = 5, all equal)"
    exhibits = Exhibits(results)
    exhibits.number("same", same)
    exhibits.table("both", pd.DataFrame({"a": [same], "c": [other]}), [same, other])
    assert (
        "same: 4.00 µs (n = 5, all equal)\n" in (printed := capsys.readouterr().out)
        and printed.count("[") == 1
    )
    (row,) = claims.judge_all(known.project, "local", "quick")
    assert row.text == "4.00 µs (n = 5, all equal)" and row.why.startswith(
        "4 (n = 5) against 5: below"
    )
    assert shown_ratio(stats.independent_ratio([4.0] * 5, [2.0] * 5)) == "2.00x"


def test_a_rare_event_that_no_block_saw_keeps_the_interval_of_its_rate():
    share = stats.wilson(0, 40)
    rate = Estimate(
        share.estimate, share.low, share.high, 40, "1", "lost", (), values=(0.0,) * 5, tries="tries"
    )
    assert str(rate) == "0.00 [0.00, 0.09] (n = 40)"
