"""What a notebook reads from measured results: values, ratios, summaries."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from measured_cells import PIPE_1, SOCKET_1

from benchpaper import results as parquet
from benchpaper.analysis import stats
from benchpaper.analysis.values import digits
from benchpaper.core.errors import UserError
from benchpaper.results import OBSERVATIONS


def medians(project, cell):
    """Return {block: median latency} of a cell, straight from the Parquet file."""
    table, _ = parquet.read(project.results("local", "quick") / "toy/pipe" / OBSERVATIONS)
    by_block = {}
    for row in table.to_pylist():
        if row["cell"] == cell:
            samples = np.repeat(row["latency_us"]["values"], row["latency_us"]["counts"])
            by_block[row["block"]] = float(np.sort(samples)[math.ceil(len(samples) / 2) - 1])
    return by_block


def geometric_median(values):
    return math.exp(np.median(np.log(list(values))))


# --- values ----------------------------------------------------------------------------------


def test_an_estimate_is_the_median_over_blocks_of_the_medians_within_them(
    measured, measured_project
):
    estimate = measured.estimate("latency_us", **PIPE_1)
    blocks = medians(measured_project, "way=pipe size_bytes=1")
    assert len(blocks) == estimate.n == 5
    assert estimate.value == pytest.approx(geometric_median(blocks.values()), rel=1e-6)
    assert (estimate.low, estimate.high) == (
        pytest.approx(min(blocks.values())),
        pytest.approx(max(blocks.values())),
    )
    assert (estimate.unit, estimate.metric, estimate.cells, estimate.missing, estimate.failed) == (
        "µs",
        "latency_us",
        ("way=pipe size_bytes=1",),
        "",
        0,
    )
    assert str(estimate) == (
        f"{digits(estimate.value)} µs [{digits(estimate.low, estimate.value)}, "
        f"{digits(estimate.high, estimate.value)}] (n = 5)"
    )


def test_a_plain_value_is_estimated_the_same_way(measured):
    estimate = measured.estimate("bytes_moved", way="pipe", size_bytes=4096)
    assert (estimate.value, estimate.low, estimate.high, estimate.n) == (
        4096_000,
        4096_000,
        4096_000,
        5,
    )


def test_the_twin_is_asked_for_by_name(measured, measured_project):
    estimate = measured.estimate("latency_us", twin=True, **PIPE_1)
    assert estimate.cells == ("way=pipe size_bytes=1 twin",)
    assert estimate.value == pytest.approx(
        geometric_median(medians(measured_project, estimate.cells[0]).values()), rel=1e-6
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
    estimate = measured.estimate("latency_us", q=0.999, **PIPE_1)
    assert (
        estimate.value is None
        and estimate.missing
        == "p99.9 needs 10,000 samples in each trial; the smallest trial has 1,000"
    )
    ratio = measured.ratio(
        "latency_us", of=dict(size_bytes=4096), to=dict(size_bytes=1), q=0.999, way="pipe"
    )
    assert ratio.value is None and ratio.missing == estimate.missing


def test_failed_trials_are_shown_and_in_no_average(measured, measured_project):
    estimate = measured.estimate("latency_us", **SOCKET_1)
    blocks = medians(measured_project, "way=socket size_bytes=1")
    assert len(blocks) == 4 and (estimate.n, estimate.failed) == (4, 1)
    assert estimate.value == pytest.approx(geometric_median(blocks.values()), rel=1e-6)
    assert (
        estimate.low is None and str(estimate) == f"{digits(estimate.value)} µs (n = 4, 1 failed)"
    )


@pytest.mark.parametrize("levels, missing, failed", [
    (dict(way="nic", size_bytes=1), "needs rdma", 0),
    (dict(way="socket", size_bytes=4096), "all 5 trials failed (no buffer space)", 5),
])  # fmt: skip
def test_what_was_not_measured_says_why(measured, levels, missing, failed):
    estimate = measured.estimate("latency_us", **levels)
    assert (estimate.value, estimate.low, estimate.high, estimate.n, estimate.failed) == (
        None,
        None,
        None,
        0,
        failed,
    )
    assert estimate.missing == missing and str(estimate) == f"not measured here: {missing}"


def test_a_cell_without_the_metric_says_so(measured):
    measured.observation_df.loc[measured.observation_df["way"] == "pipe", "bytes_moved"] = np.nan
    assert (
        measured.estimate("bytes_moved", **PIPE_1).missing == "this cell does not have this metric"
    )


def test_several_observations_of_a_trial_are_not_averaged_behind_the_authors_back(measured):
    twice = measured.observation_df[measured.observation_df["way"] == "pipe"].assign(row=1)
    measured.observation_df = pd.concat([measured.observation_df, twice])
    with pytest.raises(UserError, match="2 cells have .*; say which row"):
        measured.estimate("latency_us", **PIPE_1)
    assert measured.estimate("latency_us", row=1, **PIPE_1).n == 5
    assert measured.summary("latency_us", **PIPE_1).frame["row"].tolist() == [0, 1]


# --- ratios and the noise floor --------------------------------------------------------------


def test_a_ratio_is_paired_within_blocks(measured, measured_project):
    estimate = measured.ratio(
        "latency_us", of=dict(size_bytes=4096), to=dict(size_bytes=1), way="pipe"
    )
    large, small = (medians(measured_project, f"way=pipe size_bytes={size}") for size in (4096, 1))
    assert estimate.value == pytest.approx(
        geometric_median(large[b] / small[b] for b in large), rel=1e-6
    )
    assert (estimate.n, estimate.unit, estimate.cells) == (
        5,
        "1",
        ("way=pipe size_bytes=4096", "way=pipe size_bytes=1"),
    )
    inverse = measured.ratio(
        "latency_us", of=dict(size_bytes=1), to=dict(size_bytes=4096), way="pipe"
    )
    assert inverse.value == pytest.approx(1 / estimate.value) and inverse.low == pytest.approx(
        1 / estimate.high
    )


def test_a_ratio_uses_the_blocks_that_have_both_cells_and_counts_the_failures(
    measured, measured_project
):
    estimate = measured.ratio(
        "latency_us", of=dict(way="socket"), to=dict(way="pipe"), size_bytes=1
    )
    socket, pipe = (
        medians(measured_project, f"way={way} size_bytes=1") for way in ("socket", "pipe")
    )
    assert (estimate.n, estimate.failed) == (4, 1)
    assert estimate.value == pytest.approx(
        geometric_median(socket[b] / pipe[b] for b in socket), rel=1e-6
    )


def test_a_ratio_to_what_was_not_measured_says_why(measured):
    estimate = measured.ratio("latency_us", of=dict(way="nic"), to=dict(way="pipe"), size_bytes=1)
    assert estimate.value is None and estimate.missing == "needs rdma"
    estimate = measured.ratio(
        "latency_us", of=dict(way="pipe"), to=dict(way="socket"), size_bytes=4096
    )
    assert estimate.missing == "all 5 trials failed (no buffer space)" and estimate.failed == 5


def test_a_ratio_to_zero_says_that_there_is_none(measured):
    measured.observation_df.loc[measured.observation_df["size_bytes"] == 1, "bytes_moved"] = 0.0
    estimate = measured.ratio(
        "bytes_moved", of=dict(size_bytes=4096), to=dict(size_bytes=1), way="pipe"
    )
    assert estimate.value is None and estimate.missing == "a value of 0 or below has no ratio"
    assert measured.estimate("bytes_moved", **PIPE_1).value == 0


def test_several_cells_are_combined_within_blocks(measured, measured_project):
    cells = ["way=pipe size_bytes=1", "way=socket size_bytes=1"]
    estimate = measured.combined(
        "latency_us", cells, lambda values: max(values[cell] for cell in cells), unit="µs"
    )
    pipe, socket = (medians(measured_project, cell) for cell in cells)
    assert (estimate.n, estimate.failed, estimate.cells, estimate.unit, estimate.paired) == (
        4,
        1,
        tuple(cells),
        "µs",
        True,
    )
    assert estimate.value == pytest.approx(
        geometric_median(max(pipe[b], socket[b]) for b in socket), rel=1e-6
    )


def test_a_combination_with_a_cell_that_was_not_measured_says_why(measured):
    estimate = measured.combined(
        "latency_us", ["way=pipe size_bytes=1", "way=nic size_bytes=1"], sum
    )
    assert estimate.value is None and estimate.missing == "needs rdma"


def test_the_noise_floor_is_the_difference_that_the_twin_cannot_exclude(known):
    a, twin = [10.0, 11.0, 12.0, 10.5, 11.5], [10.2, 11.3, 11.8, 10.4, 11.9]
    results = known.write("quick", {("a", 1): a}, twin=twin)
    estimate, floor = results.noise_floor("latency_us"), stats.noise_floor(a, twin)
    assert estimate.value == pytest.approx(100 * floor.smallest_difference)
    assert (estimate.unit, estimate.n) == ("%", 5)
    assert estimate.cells == ("way=a size=1", "way=a size=1 twin")
    cell = dict(way="a", size=1)
    pair = results.ratio("latency_us", of=dict(twin=False), to=dict(twin=True), **cell)
    assert estimate.value == pytest.approx(100 * (max(pair.high, 1 / pair.low) - 1))


def test_there_is_no_noise_floor_without_enough_blocks_or_enough_samples(measured):
    assert measured.noise_floor("latency_us", q=0.999).missing.startswith(
        "p99.9 needs 10,000 samples in each trial"
    )
    measured = replace(
        measured, observation_df=measured.observation_df[measured.observation_df["block"] < 4]
    )
    estimate = measured.noise_floor("latency_us")
    assert (
        estimate.value is None
        and estimate.missing == "a noise floor needs 5 blocks, and there are 4"
    )
    measured.described["twin"] = None  # the noisiest cell has as few
    assert measured.noise_floor("latency_us").missing == estimate.missing


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
