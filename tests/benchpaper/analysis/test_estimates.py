"""What a notebook reads from measured results: values, intervals, ratios, and reasons for gaps."""

import dataclasses
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from checkout import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st

from benchpaper import results as parquet
from benchpaper.analysis import claims, estimates, stats
from benchpaper.analysis.compare.ratios import shown_ratio
from benchpaper.analysis.exhibits import Exhibits
from benchpaper.analysis.values import Estimate, digits, percent, with_unit
from benchpaper.core.errors import UserError
from benchpaper.core.project import Project
from benchpaper.results import OBSERVATIONS, ResultsError

PIPE_1 = dict(way="pipe", size_bytes=1)
SOCKET_1 = dict(way="socket", size_bytes=1)


def medians(project, cell):
    """Return {block: median latency} of a cell, straight from the Parquet file."""
    table, _ = parquet.read(project.results("local", "quick") / "toy/pipe" / OBSERVATIONS)
    found = {}
    for row in table.to_pylist():
        if row["cell"] == cell:
            samples = np.repeat(row["latency_us"]["values"], row["latency_us"]["counts"])
            found[row["block"]] = float(np.sort(samples)[math.ceil(len(samples) / 2) - 1])
    return found


def geometric_median(values):
    return math.exp(np.median(np.log(list(values))))


# --- values ----------------------------------------------------------------------------------


def test_an_estimate_is_the_median_over_blocks_of_the_medians_within_them(
    measured, measured_project
):
    found = measured.estimate("latency_us", **PIPE_1)
    blocks = medians(measured_project, "way=pipe size_bytes=1")
    assert len(blocks) == found.n == 5
    assert found.value == pytest.approx(geometric_median(blocks.values()), rel=1e-6)
    assert (found.low, found.high) == (
        pytest.approx(min(blocks.values())),
        pytest.approx(max(blocks.values())),
    )
    assert (found.unit, found.metric, found.cells, found.missing, found.failed) == (
        "µs",
        "latency_us",
        ("way=pipe size_bytes=1",),
        "",
        0,
    )
    assert str(found) == (
        f"{digits(found.value)} µs [{digits(found.low, found.value)}, "
        f"{digits(found.high, found.value)}] (n = 5)"
    )


def test_a_plain_value_is_estimated_the_same_way(measured):
    found = measured.estimate("bytes_moved", way="pipe", size_bytes=4096)
    assert (found.value, found.low, found.high, found.n) == (4096_000, 4096_000, 4096_000, 5)


def test_the_twin_is_asked_for_by_name(measured, measured_project):
    found = measured.estimate("latency_us", twin=True, **PIPE_1)
    assert found.cells == ("way=pipe size_bytes=1 twin",)
    assert found.value == pytest.approx(
        geometric_median(medians(measured_project, found.cells[0]).values()), rel=1e-6
    )


def test_a_tail_is_a_quantile_within_each_block(measured):
    median, tail = (measured.estimate("latency_us", q=q, **PIPE_1) for q in (0.5, 0.99))
    assert tail.n == 5 and tail.value >= median.value
    rows = measured.observation_df[measured.observation_df["cell"] == "way=pipe size_bytes=1"][
        "latency_us"
    ]
    true = [np.sort(np.repeat(d["values"], d["counts"]))[989] for d in rows]
    assert tail.value == pytest.approx(geometric_median(true), rel=1e-6)


def test_a_tail_beyond_the_samples_is_refused_with_the_number_that_it_needs(measured):
    found = measured.estimate("latency_us", q=0.999, **PIPE_1)
    assert (
        found.value is None
        and found.missing
        == "p99.9 needs 10,000 samples in each trial; the smallest trial has 1,000"
    )
    ratio = measured.ratio(
        "latency_us", of=dict(size_bytes=4096), to=dict(size_bytes=1), q=0.999, way="pipe"
    )
    assert ratio.value is None and ratio.missing == found.missing


def test_failed_trials_are_shown_and_in_no_average(measured, measured_project):
    found = measured.estimate("latency_us", **SOCKET_1)
    blocks = medians(measured_project, "way=socket size_bytes=1")
    assert len(blocks) == 4 and (found.n, found.failed) == (4, 1)
    assert found.value == pytest.approx(geometric_median(blocks.values()), rel=1e-6)
    assert found.low is None and str(found) == f"{digits(found.value)} µs (n = 4, 1 failed)"


@pytest.mark.parametrize("levels, missing, failed", [
    (dict(way="nic", size_bytes=1), "needs rdma", 0),
    (dict(way="socket", size_bytes=4096), "all 5 trials failed (no buffer space)", 5),
])  # fmt: skip
def test_what_was_not_measured_says_why(measured, levels, missing, failed):
    found = measured.estimate("latency_us", **levels)
    assert (found.value, found.low, found.high, found.n, found.failed) == (
        None,
        None,
        None,
        0,
        failed,
    )
    assert found.missing == missing and str(found) == f"not measured here: {missing}"


def test_a_cell_without_the_metric_says_so(measured):
    measured.observation_df.loc[measured.observation_df["way"] == "pipe", "bytes_moved"] = np.nan
    assert (
        measured.estimate("bytes_moved", **PIPE_1).missing == "this cell does not have this metric"
    )


def test_several_observations_of_a_trial_are_not_averaged_behind_the_authors_back(measured):
    measured.observation_df.loc[measured.observation_df["way"] == "pipe", "row"] = 1
    assert "a trial has several observations" in measured.estimate("latency_us", **PIPE_1).missing


# --- ratios and the noise floor --------------------------------------------------------------


def test_a_ratio_is_paired_within_blocks(measured, measured_project):
    found = measured.ratio(
        "latency_us", of=dict(size_bytes=4096), to=dict(size_bytes=1), way="pipe"
    )
    large, small = (medians(measured_project, f"way=pipe size_bytes={size}") for size in (4096, 1))
    assert found.value == pytest.approx(
        geometric_median(large[b] / small[b] for b in large), rel=1e-6
    )
    assert (found.n, found.unit, found.cells) == (
        5,
        "1",
        ("way=pipe size_bytes=4096", "way=pipe size_bytes=1"),
    )
    inverse = measured.ratio(
        "latency_us", of=dict(size_bytes=1), to=dict(size_bytes=4096), way="pipe"
    )
    assert inverse.value == pytest.approx(1 / found.value) and inverse.low == pytest.approx(
        1 / found.high
    )


def test_a_ratio_uses_the_blocks_that_have_both_cells_and_counts_the_failures(
    measured, measured_project
):
    found = measured.ratio("latency_us", of=dict(way="socket"), to=dict(way="pipe"), size_bytes=1)
    socket, pipe = (
        medians(measured_project, f"way={way} size_bytes=1") for way in ("socket", "pipe")
    )
    assert (found.n, found.failed) == (4, 1)
    assert found.value == pytest.approx(
        geometric_median(socket[b] / pipe[b] for b in socket), rel=1e-6
    )


def test_a_ratio_to_what_was_not_measured_says_why(measured):
    found = measured.ratio("latency_us", of=dict(way="nic"), to=dict(way="pipe"), size_bytes=1)
    assert found.value is None and found.missing == "needs rdma"
    found = measured.ratio(
        "latency_us", of=dict(way="pipe"), to=dict(way="socket"), size_bytes=4096
    )
    assert found.missing == "all 5 trials failed (no buffer space)" and found.failed == 5


def test_a_ratio_to_zero_says_that_there_is_none(measured):
    measured.observation_df.loc[measured.observation_df["size_bytes"] == 1, "bytes_moved"] = 0.0
    found = measured.ratio(
        "bytes_moved", of=dict(size_bytes=4096), to=dict(size_bytes=1), way="pipe"
    )
    assert found.value is None and found.missing == "a value of 0 or below has no ratio"
    assert measured.estimate("bytes_moved", **PIPE_1).value == 0


def test_several_cells_are_combined_within_blocks(measured, measured_project):
    cells = ["way=pipe size_bytes=1", "way=socket size_bytes=1"]
    found = measured.combined(
        "latency_us", cells, lambda values: max(values[cell] for cell in cells), unit="µs"
    )
    pipe, socket = (medians(measured_project, cell) for cell in cells)
    assert (found.n, found.failed, found.cells, found.unit, found.paired) == (
        4,
        1,
        tuple(cells),
        "µs",
        True,
    )
    assert found.value == pytest.approx(
        geometric_median(max(pipe[b], socket[b]) for b in socket), rel=1e-6
    )


def test_a_combination_with_a_cell_that_was_not_measured_says_why(measured):
    found = measured.combined("latency_us", ["way=pipe size_bytes=1", "way=nic size_bytes=1"], sum)
    assert found.value is None and found.missing == "needs rdma"


def test_the_noise_floor_is_the_difference_that_the_twin_cannot_exclude(measured, measured_project):
    found = measured.noise_floor("latency_us")
    a, twin = (medians(measured_project, f"way=pipe size_bytes=1{end}") for end in ("", " twin"))
    floor = stats.noise_floor([a[b] for b in range(5)], [twin[b] for b in range(5)])
    assert found.value == pytest.approx(100 * floor.smallest_difference) and (
        found.unit,
        found.n,
    ) == ("%", 5)
    assert found.cells == ("way=pipe size_bytes=1", "way=pipe size_bytes=1 twin")
    pair = measured.ratio("latency_us", of=dict(twin=False), to=dict(twin=True), **PIPE_1)
    assert found.value == pytest.approx(100 * (max(pair.high, 1 / pair.low) - 1))


def test_there_is_no_noise_floor_without_a_twin_enough_blocks_or_enough_samples(measured):
    assert measured.noise_floor("latency_us", q=0.999).missing.startswith(
        "p99.9 needs 10,000 samples in each trial"
    )
    measured = replace(
        measured, observation_df=measured.observation_df[measured.observation_df["block"] < 4]
    )
    found = measured.noise_floor("latency_us")
    assert found.value is None and found.missing == "a noise floor needs 5 blocks, and there are 4"
    measured.described["twin"] = None
    assert measured.noise_floor("latency_us").missing == "the experiment declares no twin"


def test_blocks_come_in_the_order_in_which_they_were_measured(measured):
    """Snakemake may measure block 3 before block 0; drift is looked for in time."""
    cell = measured.cells(way="pipe", size_bytes=1)["cell"][0]
    last_first = measured.trial_df["block"].max() - measured.trial_df["block"]
    measured.trial_df = measured.trial_df.assign(
        started=pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(last_first, unit="h")
    )
    assert list(measured.block_df("latency_us", cell)["block"]) == [4, 3, 2, 1, 0]
    by_number = measured.observation_df.query("cell == @cell").set_index("block")["bytes_moved"]
    values = measured.estimate("bytes_moved", way="pipe", size_bytes=1).values
    assert values == tuple(by_number[[4, 3, 2, 1, 0]])


# --- summaries -------------------------------------------------------------------------------


def test_a_summary_has_a_row_per_cell_in_declared_order(measured):
    summary = measured.summary("latency_us")
    frame = summary.frame
    assert list(frame[["way", "size_bytes"]].itertuples(index=False, name=None)) == [
        (way, size) for way in ("pipe", "socket", "nic") for size in (1, 4096)
    ]
    assert (
        frame["n"].tolist() == [5, 5, 4, 0, 0, 0]
        and frame["value"].isna().tolist() == [False] * 3 + [True] * 3
    )
    assert frame["missing"].tolist()[3:] == [
        "all 5 trials failed (no buffer space)",
        "needs rdma",
        "needs rdma",
    ]
    assert frame["value"][0] == measured.estimate("latency_us", **PIPE_1).value
    assert len(summary.measured) == 3 and summary.missing == ""


def test_a_summary_may_be_restricted_and_says_why_it_is_empty(measured):
    assert measured.summary("latency_us", way=["pipe", "nic"], size_bytes=1).frame[
        "way"
    ].tolist() == ["pipe", "nic"]
    nothing = measured.summary("latency_us", way=["nic", "socket"], size_bytes=4096)
    assert (
        nothing.measured.empty
        and nothing.missing == "all 5 trials failed (no buffer space); needs rdma"
    )


def test_all_samples_of_a_cell_can_be_drawn(measured):
    values, counts = measured.samples("latency_us", "way=pipe size_bytes=1")
    assert counts.sum() == 5 * 1000 and (np.diff(values) > 0).all() and counts.dtype.kind == "i"


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
    found = {"Mbit/s", "h", "min", "us", "elements", "GiB"}
    for path in (Project.find().root / "artifacts/reference").rglob(OBSERVATIONS):
        found |= {metric["unit"] for metric in parquet.read(path)[1]["metrics"]}
    assert found >= {"1", "count", "%", "s/GB", "M/s", "MiB", "GB/s", "µs"}
    return sorted(found)


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
    assert row["text"] == "4.00 µs (n = 5, all equal)" and row["why"].startswith(
        "4 (n = 5) against 5: below"
    )
    assert shown_ratio(stats.independent_ratio([4.0] * 5, [2.0] * 5)) == "2.00x"


def test_a_rare_event_that_no_block_saw_keeps_the_interval_of_its_rate():
    share = stats.wilson(0, 40)
    found = Estimate(
        share.estimate, share.low, share.high, 40, "1", "lost", (), values=(0.0,) * 5, tries="tries"
    )
    assert str(found) == "0.00 [0.00, 0.09] (n = 40)"


# --- shares of many tries ----------------------------------------------------------------------


def test_a_pooled_share_counts_all_tries_of_all_blocks(measured):
    frame = measured.observation_df.copy()
    own = frame["cell"] == "way=pipe size_bytes=1"
    frame.loc[own, "share"], frame.loc[own, "tries"] = (
        [0.0, 0.5, 0.0, 1.0, None],
        [2, 4, 2, 2, None],
    )
    metrics = [
        *measured.described["metrics"],
        dict(name="share", unit="1", kept="value"),
        dict(name="tries", unit="count", kept="value"),
    ]
    results = dataclasses.replace(
        measured, observation_df=frame, described={**measured.described, "metrics": metrics}
    )
    found, wilson = results.pooled_share("share", "tries", **PIPE_1), stats.wilson(4, 10)
    assert (found.value, found.low, found.high, found.n) == (0.4, wilson.low, wilson.high, 10)
    assert results.pooled_share("share", "tries", **SOCKET_1).missing == "no try could be judged"


# --- agreement in rank -----------------------------------------------------------------------

RANKED = '''
"""Two metrics of which the order over the cells is known."""
from benchpaper.design.spec import Experiment, Factor, Metric, Scale

experiment = Experiment(
    title="Ranks", question="In which order?",
    factors=[Factor("thing", ["a", "b", "c", "d", "e", "f", "gone"])],
    metrics=[Metric("speed", unit="1/s", better="higher"),
             Metric("wait_ms", unit="ms", better="lower"),
             Metric("swapped_order", unit="1", better="higher"),
             Metric("few", unit="1", better="higher", optional=True)],
    scales=dict(smoke=Scale(blocks=2, trial_seconds=0.01),
                quick=Scale(blocks=5, trial_seconds=0.01),
                full=Scale(blocks=5, trial_seconds=0.01)),
)

@experiment.needs
def needs(cell):
    return ["rdma"] if cell.thing == "gone" else []

@experiment.trial
def trial(cell, site):
    place = "abcdef".index(cell.thing) + 1
    swapped = {1: 2, 2: 1}.get(place, place)
    yield dict(speed=10.0 * place, wait_ms=1.0 / place, swapped_order=float(swapped),
               few=1.0 * place if place < 4 else None)
'''


@pytest.fixture(scope="module")
def ranked(tmp_path_factory):
    """The results of `RANKED`, measured."""
    import os
    import shutil
    import subprocess
    import sys
    from pathlib import Path

    from benchpaper.analysis.estimates import load
    from benchpaper.core.project import Project

    root, source = tmp_path_factory.mktemp("ranked"), ROOT
    (root / "experiments" / "toy" / "ranks").mkdir(parents=True)
    (root / "experiments" / "toy" / "ranks" / "experiment.py").write_text(RANKED)
    for folder in ("analysis", "paper", "sites", "artifacts"):
        (root / folder).mkdir()
    shutil.copyfile(source / "Snakefile", root / "Snakefile")
    shutil.copytree(source / "profiles", root / "profiles")
    (root / "src").symlink_to(source / "src")
    command = [
        str(Path(sys.executable).with_name("benchpaper")),
        "run",
        "results",
        "toy/ranks",
        "--scale",
        "quick",
    ]
    subprocess.run(
        command, cwd=root, env=dict(os.environ), check=True, capture_output=True, timeout=600
    )
    return load("toy/ranks", Project(root).results("local", "quick"))


def test_the_order_is_from_best_to_worst_whatever_is_better(ranked):
    found = ranked.rank_agreement("speed", "wait_ms")
    assert (found.value, found.low, found.high) == (
        pytest.approx(1),
        pytest.approx(1),
        pytest.approx(1),
    )
    assert (found.n, found.paired) == (5, True)
    assert found.failed == 0 and len(found.cells) == 7  # one of them could not be measured


def test_one_swapped_pair_costs_what_kendall_says(ranked):
    assert ranked.rank_agreement("speed", "swapped_order").value == pytest.approx(
        1 - 2 * 1 / 15
    )  # 6 things, 15 pairs


def test_too_few_cells_have_no_agreement(ranked):
    found = ranked.rank_agreement("few", "wait_ms")
    assert found.value is None and "5 cells" in found.missing


LEFT_OUT = {
    "estimate": lambda r: r.estimate("latency_us", twin=True, **SOCKET_1),
    "pooled share": lambda r: r.pooled_share("bytes_moved", "bytes_moved", twin=True, **SOCKET_1),
    "ratio": lambda r: r.ratio("latency_us", of=dict(twin=True), to=PIPE_1, **SOCKET_1),
    "summary": lambda r: r.summary("latency_us", way="socket", size_bytes=4096),
}


@pytest.fixture
def without(measured):
    """Results at a scale, as if socket with 4096 bytes had not been planned. Socket has no twin."""

    def at(scale):
        kept = measured.trial_df[measured.trial_df["cell"] != "way=socket size_bytes=4096"].assign(
            scale=scale
        )
        return dataclasses.replace(measured, trial_df=kept)

    return at


@pytest.mark.parametrize("ask", LEFT_OUT.values(), ids=LEFT_OUT)
def test_what_a_small_scale_leaves_out_is_a_gap(without, ask):
    found = ask(without("quick"))
    assert found.missing == "not planned at this scale"
    if isinstance(found, estimates.Summary):
        assert found.frame.empty and found.measured.empty
        [found] = found.estimates
    assert (found.value, found.n, found.cells, found.planned) == (None, 0, (), False)


@pytest.mark.parametrize("ask", LEFT_OUT.values(), ids=LEFT_OUT)
def test_at_scale_full_a_cell_that_is_not_there_is_a_mistake(without, ask):
    with pytest.raises(
        UserError, match="toy/pipe: no cell has .*socket.*; see its factors and valid()"
    ):
        ask(without("full"))
