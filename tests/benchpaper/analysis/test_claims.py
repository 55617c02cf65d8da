"""Claims: every verdict, what defeats one, and how many are wrong by chance."""

import math
from dataclasses import replace

import numpy as np
import pytest
from known_claims import A_1, B_TO_A, CLAIM, TWIN, TWO, A, times

from benchpaper.analysis import claims
from benchpaper.design.replication import Block

# --- the words -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "condition, source, word",
    [
        (f"{A_1}.below(11)", "quick", "reproduced"),
        (f"{A_1}.below(9)", "quick", "contradicted"),
        (f"{A_1}.above(10)", "quick", "inconclusive"),  # the interval holds the bound
        (f"{A_1}.below(10.3)", "quick", "inconclusive"),  # below, but not by the noise floor
        (f"{A_1}.equal(margin=0.10, target=10)", "quick", "reproduced"),
        (f"{A_1}.equal(margin=0.10, target=20)", "quick", "contradicted"),
        (
            f"{A_1}.equal(margin=0.01, target=10)",
            "quick",
            "inconclusive",
        ),  # a margin below the noise floor
        (f"{B_TO_A}.above(1.5)", "quick", "reproduced"),
        (f"{A_1}.below(11)", "reference", "holds in the reference"),
        (f"{A_1}.below(9)", "reference", "does not hold in the reference"),
        (f"{A_1}.above(10)", "reference", "inconclusive"),
    ],
)
def test_a_verdict_by_the_rule(judge, condition, source, word):
    row = judge(condition, {("a", 1): A, ("b", 1): times(A, 2)}, source)
    assert row.verdict == word and row.n == 6


def test_a_row_says_what_was_asked_found_and_why(judge):
    row = judge(f"{A_1}.below(11)", {("a", 1): A})
    assert (row.id, row.sentence, row.experiment, row.asked) == (
        "C1",
        "A sentence.",
        "toy/known",
        "below 11 µs",
    )
    assert (
        row.value == pytest.approx(math.sqrt(10.0 * 10.05))
        and row.low >= min(A)
        and row.high <= max(A)
    )
    assert row.text == "10.0 µs [9.8, 10.2] (n = 6)" and row.cells == ("way=a size=1",)
    assert row.why == (
        "10.02 [9.836, 10.16] (n = 6), through its drift [9.745, 10.26], against 11: "
        "below, and by more than the noise floor of 4.00%"
    )
    assert row.short == "below, and by more than the noise floor of 4.00%"


@pytest.mark.parametrize(
    "values, word, why",
    [
        ("needs rdma", "not testable here", "needs rdma"),
        ([None] * 6, "inconclusive", "all 6 trials failed (it broke)"),
        (
            [1.0, 1.0, None, None, 1.0, 1.0],
            "inconclusive",
            "4 blocks are too few for an interval; measure at least 5",
        ),
        ([1.0, 1.0, None, 1.0, 1.0, 1.0], "reproduced", "against 11"),
    ],
)
def test_what_was_not_measured_here(judge, values, word, why):
    row = judge(
        'results.estimate("latency_us", way="b", size=1).below(11)', {("a", 1): A, ("b", 1): values}
    )
    assert row.verdict == word and why in row.why and row.short in row.why
    assert (row.text == "") == (row.value is None) == (row.n == 0)


def test_without_results_a_claim_was_not_run(known):
    known.claims(CLAIM.format(condition=f"{A_1}.below(11)"))
    row = claims.judge_all(known.project, "local", "quick")[0]
    assert (row.verdict, row.why, row.value) == (
        "not run",
        "no results of toy/known at quick",
        None,
    )
    assert row.short == row.why


def test_a_cell_that_the_scale_leaves_out_was_not_run(judge):
    row = judge('results.estimate("latency_us", way="b", size=4).below(11)', {("a", 1): A})
    assert (row.verdict, row.why) == ("not run", "not planned at this scale")


def test_a_metric_that_the_cell_does_not_have_is_no_lack_of_the_host(judge):
    row = judge('results.estimate("rate", way="a", size=1).above(1)', {("a", 1): A})
    assert (row.verdict, row.why) == ("inconclusive", "this cell does not have this metric")


# --- what defeats a verdict ------------------------------------------------------------------

DRIFTING = [1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7]
B = 'results.estimate("latency_us", way="b", size=1)'


@pytest.mark.parametrize(
    "condition, verdict",
    [
        (f"{B}.below(100)", "reproduced"),  # it drifts, and far from the bound
        (f"{B}.above(100)", "contradicted"),
        (f"{B}.below(5.2)", "inconclusive"),  # the interval holds the bound
        (f"{B}.below(5.9)", "inconclusive"),  # only through its drift
        (f"{B}.equal(margin=0.25, target=4)", "inconclusive"),
        (f"{B}.equal(margin=2, target=4)", "reproduced"),
        (f"{B_TO_A}.above(2)", "reproduced"),  # in a ratio within blocks, drift cancels
    ],
)
def test_drift_leaves_a_level_undecided_only_where_it_reaches_the_bound(judge, condition, verdict):
    values = {("a", 1): DRIFTING, ("b", 1): times(DRIFTING, 3)}
    row = judge(condition, values, twin=DRIFTING)
    assert row.verdict == verdict, row.why
    assert ("through its drift" in row.why) == ("ratio" not in condition)
    if "5.9" in condition:
        assert row.short == "the drift of the blocks reaches the bound" and row.high < 5.2


def test_blocks_over_seeds_have_no_order_to_drift_in(judge, known):
    described = {**known.described, "block": vars(Block(over="seed", levels=range(8)))}
    values = {("a", 1): DRIFTING, ("b", 1): times(DRIFTING, 3)}
    row = judge(f"{B}.below(5.9)", values, twin=DRIFTING, described=described)
    assert row.verdict == "reproduced" and "drift" not in row.why


def test_when_identical_cells_differ_in_a_metric_nothing_of_the_experiment_is_decided(known):
    values, twin = A + A, TWIN + TWIN  # six blocks are too few for a look at two metrics
    rates = {("a", 1): values, ("a", 1, "twin"): twin, ("b", 1): times(values, 5)}
    known.claims(
        TWO.format(
            condition=f"{B_TO_A}.above(2)",
            other='results.estimate("rate", way="b", size=1).above(1)',
        )
    )
    known.write(
        "quick", {("a", 1): values, ("b", 1): times(values, 4)}, twin=times(twin, 1.2), rate=rates
    )
    rows = claims.judge_all(known.project, "local", "quick")
    assert [row.verdict for row in rows] == ["inconclusive"] * 2
    for row in rows:
        assert row.why.startswith("two identical cells differ in latency_us (A/A' = 0.8")
        assert row.short == "two identical cells differ in latency_us"
        assert row.why.endswith(
            "so nothing in toy/known is decided; find what distinguishes them, and measure again"
        )
    known.claims(CLAIM.format(condition='results.estimate("rate", way="b", size=1).above(1)'))
    alone = claims.judge_all(
        known.project, "local", "quick"
    )  # only metrics that a claim uses are looked at
    assert [row.verdict for row in alone] == ["reproduced"]


def test_counts_of_zero_are_judged_on_their_own_scale(judge):
    nothing = [0.0] * 6
    row = judge(
        'results.estimate("rate", way="a", size=1).below(1)',
        {("a", 1): A},
        rate={("a", 1): nothing, ("a", 1, "twin"): nothing},
    )
    assert (row.verdict, row.value, row.high) == ("reproduced", 0, 0)
    row = judge(
        'results.estimate("rate", way="a", size=1).below(1)',
        {("a", 1): A},
        rate={("a", 1): nothing, ("a", 1, "twin"): [0, 0, 1, 0, 0, 0]},
    )
    assert row.why == "the noise floor of rate is unknown: a value of 0 or below has no ratio"


# --- how many verdicts are wrong by chance ---------------------------------------------------


def test_by_chance_counts_what_each_interval_attains():
    row = claims.ClaimRow(id="C1", sentence="", experiment="", verdict="", why="", short="")
    rows = [replace(row, confidence=confidence) for confidence in (0.95, 0.9375, None)]
    assert claims.by_chance(rows) == (2, pytest.approx(0.025 + 0.03125))
    assert claims.by_chance([]) == (0, 0)


def test_family_wise_intervals_are_wider_and_their_confidence_is_shared_out(judge):
    values = {("a", 1): A * 3, ("b", 1): times(A, 2) * 3}
    rng = np.random.default_rng(1)
    values = {
        cell: (np.array(v) * rng.lognormal(0, 0.02, len(v))).tolist() for cell, v in values.items()
    }
    condition = 'results.estimate("latency_us", way="b", size=1).above(1)'
    many = condition + "".join(
        f'\n    @claim("D{n}", experiment="toy/known")\n    def more{n}(results):\n'
        f'        """More."""\n        return {A_1}.below(11)\n'
        for n in range(9)
    )
    alone, family = (
        judge(many, values, twin=values["a", 1], family_wise=wide) for wide in (False, True)
    )
    assert alone.confidence == 0.95 and family.confidence == pytest.approx(1 - 0.05 / 10)
    assert family.low < alone.low and family.high > alone.high and family.value == alone.value
    assert alone.verdict == family.verdict == "reproduced"


def test_too_few_blocks_for_a_family_say_how_many_it_takes(known):
    known.claims(TWO.format(condition=f"{A_1}.below(11)", other=f"{A_1}.below(12)"))
    known.write("quick", {("a", 1): A[:5]}, twin=TWIN[:5])
    alone, family = (
        claims.judge_all(known.project, "local", "quick", wide)[0] for wide in (False, True)
    )
    assert alone.verdict == "reproduced"
    assert (family.verdict, family.why) == (
        "inconclusive",
        (
            "over all claims together 5 blocks are too few for an interval at 97.50%; measure at "
            "least 7"
        ),
    )
    known.write("quick", {("a", 1): [*A, 10.0]}, twin=[*TWIN, 10.0])
    assert claims.judge_all(known.project, "local", "quick", True)[0].verdict == "reproduced"


@pytest.mark.parametrize(
    "values, blocks",
    [
        (
            np.exp([-0.2, -0.1, 0.0, 0.1, 0.2]).tolist(),
            math.ceil((2.46 * 1.4826 * 0.1 / 0.05) ** 2),
        ),
        (A, 5),
        ([1.0, 1.0, 1.0, 1.0, 9.0, 9.0, 9.0], None),  # two groups: no number of blocks narrows that
        ([1.0, 2.0, 3.0, 4.0], None),
    ],
)
def test_how_many_blocks_five_percent_would_take(judge, values, blocks):
    assert judge(f"{A_1}.below(1)", {("a", 1): values}, twin=values).blocks_for_5_percent == blocks
