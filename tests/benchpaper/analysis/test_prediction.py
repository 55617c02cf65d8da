"""Predictions on cells that were held out: of a real run, and on values whose errors are known."""

import numpy as np
import pytest
import small_series

from benchpaper.analysis import claims, prediction
from benchpaper.analysis.values import gap

STORES = """
from benchpaper import Experiment, Factor, Metric, Scale

experiment = Experiment(
    title="Stores", question="Which number predicts the wait?",
    factors=[Factor("store", list(range(1, 13)))],
    within=[Factor("job", ["small", "large"])],
    metrics=[Metric("iops", unit="1/s", better="higher"), Metric("mb_s", unit="MB/s",
             better="higher"), Metric("model", unit="1", better="lower"),
             Metric("wait", unit="1", better="lower"), Metric("rare", unit="1", better="lower",
             optional=True)],
    scales={name: Scale(blocks=5) for name in ("smoke", "quick", "full")},
    twin=dict(store=1),
)

@experiment.trial
def trial(cell, site):
    iops, mb_s = 100.0 * cell.store, 2.0 ** (cell.store * 7 % 12)
    noise = 1 + (site.block.number + cell.twin) % 2 / 1000  # the twin is above, then below
    for job, wait in (("small", 5000 / iops), ("large", 100 / mb_s)):
        yield dict(job=job, iops=iops, mb_s=mb_s, wait=wait * noise, model=100 / mb_s,
                   rare=None if cell.store > 2 else 1.0)
"""


@pytest.fixture(scope="module")
def stores(tmp_path_factory, other_experiments):
    with other_experiments():
        return small_series.measured(tmp_path_factory.mktemp("stores"), STORES)


ALL = dict(store=list(range(1, 13)))


def test_the_number_that_decides_predicts_and_another_does_not(stores):
    for job, right, other in (("small", "iops", "mb_s"), ("large", "mb_s", "iops")):
        found = {n: prediction.held_out(stores, n, "wait", on=ALL, job=job) for n in (right, other)}
        assert found[right].agreement.estimate == pytest.approx(1.0)
        assert found[right].error.value < 1.2 < found[other].error.value
        assert found[other].agreement.high < 0.8 and found[right].error.n == 12
        limit = float(np.median(found[right].actual))
        assert found[right].wrong(limit).estimate < found[other].wrong(limit).estimate


def test_a_model_is_taken_as_it_is(stores):
    found = prediction.held_out(stores, "model", "wait", on=ALL, direct=True, job="large")
    assert found.error.value == pytest.approx(1.001, abs=0.001) and found.worst < 1.01
    assert found.error.over == "cell"


def test_a_curve_is_fitted_to_other_cells_alone(stores):
    """Beyond the fitted cells it stays at their outermost value."""
    on, fitted_to = dict(store=[11, 12]), dict(store=[1, 2, 3, 4])
    found = prediction.held_out(stores, "iops", "wait", on=on, fitted_to=fitted_to, job="small")
    assert found.predicted == pytest.approx([12.5, 12.5], rel=0.01)
    assert found.actual == pytest.approx([5000 / 1100, 5000 / 1200], rel=0.01)


def test_too_few_cells_are_a_gap_that_says_so(stores):
    rare = prediction.held_out(stores, "rare", "wait", on=ALL, job="small")
    assert "4 cells must have rare and wait; 2 have" in str(rare.error)
    assert rare.agreement is rare.worst is rare.wrong(1.0) is None
    few = prediction.held_out(
        stores, "iops", "wait", on=ALL, fitted_to=dict(store=[1, 2]), job="small"
    )
    assert few.error == gap(few.missing, "1", "wait", few.cells) and "2 cells" in few.missing


def test_a_claim_on_an_error_is_judged_by_its_interval_over_cells(stores):
    def claim(number):
        return claims.Claim(
            number, "toy/stores", "It predicts.",
            lambda r: prediction.held_out(r, number, "wait", on=ALL, job="large").error.below(1.5),
        )  # fmt: skip

    rows = claims.judge([claim("mb_s"), claim("iops")], stores, "quick")
    verdicts = {name: row.verdict for name, row in rows.items()}
    assert verdicts == {"mb_s": "reproduced", "iops": "contradicted"}, [
        row.why for row in rows.values()
    ]


def test_an_outlier_is_off_by_its_own_distance_because_the_curve_has_not_seen_it():
    x = np.arange(1.0, 11.0)
    y = x.copy()
    y[4] = 20.0
    off = prediction.without_each(x, y, rising=True) / y
    assert off[4] == pytest.approx(5 / 20, rel=0.05) and off.argmin() == 4
    assert off[1:3] == pytest.approx([1.0, 1.0], rel=0.05)


@pytest.mark.parametrize("rising", [True, False])
def test_the_curve_runs_one_way_only(rising):
    random = np.random.default_rng(7)
    x, y = random.lognormal(size=(2, 30))
    curve = prediction.monotone(x, y, np.sort(x), rising=rising)
    assert (np.diff(curve) * (1 if rising else -1) >= -1e-12).all()


def test_equal_numbers_get_one_prediction():
    assert prediction.monotone([1, 1, 2], [1, 4, 9], [1.0], rising=True) == pytest.approx([2.0])


@pytest.mark.parametrize("x, y", [([1, 2, 3], [1, 2, 3]), ([1, 2, 3, 0], [1, 2, 3, 4])])
def test_mistakes_are_refused(x, y):
    with pytest.raises(ValueError, match=r"too few|positive"):
        prediction.without_each(x, y, rising=True)
