"""Estimates and verdicts over blocks that differ in seeds or inputs."""

import pandas as pd
import pytest

from benchpaper import Block
from benchpaper.analysis import claims, exhibits, judging, latex_tables, stats
from benchpaper.core.errors import UserError

RISING = [10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 16.0, 17.0]  # a clear trend
SEEDS = Block(over="seed", levels=range(10))
CLAIM = """
    @claim("C1", experiment="toy/known")
    def first(results):
        \"\"\"A sentence.\"\"\"
        return {condition}
"""
A = 'results.estimate("latency_us", way="a", size=1)'
RATIO = 'results.ratio("latency_us", of=dict(way="b"), to=dict(way="a"), size=1)'


@pytest.fixture
def over(known):
    """Return `write(block, values, ...)`: known results over such blocks."""

    def write(block, values, source="quick", **changes):
        described = {**known.described, **({"block": vars(block)} if block else {})}
        described |= changes.pop("described", {})
        return known.write(source, values, described=described, **changes)

    return write


def judged(known, condition, source="quick", **options):
    known.claims(CLAIM.format(condition=condition))
    return claims.judge_all(known.project, "local", source, **options)[0]


@pytest.mark.parametrize("block, drifts", [(None, True), (SEEDS, False)])
def test_order_is_asked_of_blocks_in_time_alone(over, known, block, drifts):
    measured = over(block, {("a", 1): RISING, ("b", 1): [2 * v for v in RISING]})
    kinds = [warning.kind for warning in measured.warnings()]
    assert ("drift" in kinds) == drifts
    row = judged(known, f"{A}.below({max(RISING) * 1.01})")  # less than half of the drift away
    assert row.verdict == ("inconclusive" if drifts else "reproduced"), row.why
    assert ("drift" in row.why) == drifts


@pytest.mark.parametrize(
    "block, interval, text, cell",
    [
        (None, "", "7.00 µs (n = 6, all equal)", "7.00 µs"),
        (SEEDS, "(deterministic)", "7.00 µs (deterministic) (n = 6)", "7.00 µs [=]"),
    ],
)
def test_equal_values_over_seeds_are_typeset_as_deterministic(over, block, interval, text, cell):
    measured = over(block, {("a", 1): [7.0] * 6})
    estimate = measured.estimate("latency_us", way="a", size=1)
    assert str(estimate) == text
    number = exhibits.number_of(estimate)
    assert (number.text, number.interval) == ("7.00 µs", interval)
    assert exhibits.cell_text(estimate) == cell
    table = latex_tables.booktabs(pd.DataFrame({"time": [cell], "size": ["1"]}))
    assert (latex_tables.NOTE in table) == bool(block)
    assert "deterministic" not in str(exhibits.number_of(estimate)) or block


@pytest.mark.parametrize("n, flagged", [(1, False), (2, False), (4, False), (5, True)])
def test_a_few_equal_values_prove_nothing(over, known, n, flagged):
    measured = over(SEEDS, {("a", 1): [7.0] * n}, described={"twin": None})
    assert ("deterministic" in str(measured.estimate("latency_us", way="a", size=1))) == flagged
    row = judged(known, f"{A}.below(8)")
    assert row.verdict == ("reproduced" if flagged else "inconclusive")


@pytest.mark.parametrize(
    "condition, verdict",
    [
        (f"{A}.below(8)", "reproduced"),
        (f"{A}.below(7)", "inconclusive"),  # the value is the bound
        (f"{A}.above(8)", "contradicted"),
        (f"{A}.equal(0.01, target=7)", "reproduced"),
        (f"{A}.equal(0.01, target=8)", "contradicted"),
        (f"{RATIO}.above(2.9)", "reproduced"),
        (f"{RATIO}.equal(0.001, target=3)", "reproduced"),
    ],
)
def test_a_claim_on_deterministic_values_needs_no_twin(over, known, condition, verdict):
    values = {("a", 1): [7.0] * 6, ("b", 1): [21.0] * 6}
    over(SEEDS, values, described={"twin": None})
    for family_wise in (False, True):
        row = judged(known, condition, family_wise=family_wise)
        assert row.verdict == verdict, row.why
    over(None, values, described={"twin": None})
    assert judged(known, condition).verdict == verdict  # in time, no cell shows any noise


@pytest.mark.parametrize("confidence, verdict", [(0.95, "reproduced"), (0.999, "inconclusive")])
def test_few_equal_values_do_not_attain_the_confidence_of_many_claims(over, confidence, verdict):
    results = over(SEEDS, {("a", 1): [7.0] * 6}, described={"twin": None})
    comparison = results.estimate("latency_us", way="a", size=1).below(8)
    interval = stats.level(comparison.estimate.values, confidence)
    assert judging.decide(comparison, interval, results, None, confidence).word == verdict


def test_values_that_differ_over_seeds_need_a_twin(over, known):
    values = {("a", 1): [7.0, 7.0, 7.0, 7.0, 7.0, 7.1]}
    over(SEEDS, values, described={"twin": None})
    row = judged(known, f"{A}.below(100)")
    assert row.verdict == "inconclusive" and "declares no twin" in row.why


def test_two_identical_cells_that_differ_discredit_deterministic_values_too(over, known):
    over(SEEDS, {("a", 1): [7.0] * 8, ("b", 1): [9.0] * 8}, twin=[7.5] * 8)
    row = judged(known, f"{A}.below(8)")
    assert row.verdict == "inconclusive" and "identical cells differ" in row.why


def test_a_share_over_seeds_keeps_its_interval(over):
    rate = {("a", 1): [1.0] * 6}
    measured = over(SEEDS, {("a", 1): [1.0] * 6}, rate=rate)
    share = measured.pooled_share("latency_us", "rate", way="a", size=1)
    assert "deterministic" not in str(share) and share.interval_text()


def test_runs_over_different_things_are_not_compared(over, known):
    from benchpaper.analysis.compare.pairs import Pair, check_alike

    here = over(SEEDS, {("a", 1): [7.0] * 6})
    there = over(Block(over="trace", levels=list("abcdef")), {("a", 1): [7.0] * 6}, "full")
    check_alike(Pair(here, here), "latency_us")
    with pytest.raises(UserError, match=r"blocks here: over seed; in the reference: over trace"):
        check_alike(Pair(here, there), "latency_us")
