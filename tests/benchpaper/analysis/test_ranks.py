"""Pooled shares, agreement in rank, and cells that a small scale leaves out."""

import dataclasses

import pytest
from checkout import ROOT
from measured_cells import PIPE_1, SOCKET_1

from benchpaper.analysis import estimates, stats
from benchpaper.core.errors import UserError

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
    share, wilson = results.pooled_share("share", "tries", **PIPE_1), stats.wilson(4, 10)
    assert (share.value, share.low, share.high, share.n) == (0.4, wilson.low, wilson.high, 10)
    assert results.pooled_share("share", "tries", **SOCKET_1).missing == "no try could be judged"


# --- agreement in rank -----------------------------------------------------------------------

RANKED = '''
"""Two metrics of which the order over the cells is known."""
from benchpaper.core.capabilities import capability
from benchpaper.design.spec import Experiment, Factor, Metric, Scale

@capability("rdma", "an RDMA NIC", "run on a host with one")
def _rdma():
    return False, "no NIC"

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
    estimate = ranked.rank_agreement("speed", "wait_ms")
    assert (estimate.value, estimate.low, estimate.high) == (
        pytest.approx(1),
        pytest.approx(1),
        pytest.approx(1),
    )
    assert (estimate.n, estimate.paired) == (5, True)
    assert estimate.failed == 0 and len(estimate.cells) == 7  # one of them could not be measured


def test_one_swapped_pair_costs_what_kendall_says(ranked):
    assert ranked.rank_agreement("speed", "swapped_order").value == pytest.approx(
        1 - 2 * 1 / 15
    )  # 6 things, 15 pairs


def test_too_few_cells_have_no_agreement(ranked):
    estimate = ranked.rank_agreement("few", "wait_ms")
    assert estimate.value is None and "5 cells" in estimate.missing


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
    estimate = ask(without("quick"))
    assert estimate.missing == "not planned at this scale"
    if isinstance(estimate, estimates.Summary):
        assert estimate.frame.empty and estimate.measured.empty
        [estimate] = estimate.estimates
    assert (estimate.value, estimate.n, estimate.cells, estimate.planned) == (None, 0, (), False)


@pytest.mark.parametrize("ask", LEFT_OUT.values(), ids=LEFT_OUT)
def test_at_scale_full_a_cell_that_is_not_there_is_a_mistake(without, ask):
    with pytest.raises(
        UserError, match="toy/pipe: no cell has .*socket.*; see its factors and valid()"
    ):
        ask(without("full"))
