"""Comparing a run with the reference: differences, and the words for them."""

from math import exp

import numpy as np
import pytest
from two_runs import HERE, REFERENCE, TWIN, as_json, by_cell, times

from benchpaper.analysis import stats
from benchpaper.analysis.compare.pairs import KnownFloors, UnknownFloors
from benchpaper.analysis.compare.ratios import describe_ratio, names_of, ratio_row

# --- what is found ---------------------------------------------------------------------------


def test_each_common_cell_says_by_how_much_and_against_which_noise(both):
    comparison = as_json(both)
    assert list(by_cell(comparison)) == [
        f"way={way} size={size}" for way in "abc" for size in (1, 2)
    ]
    same, slower, faster = (
        by_cell(comparison)[f"way={w} size={s}"] for w, s in (("a", 1), ("a", 2), ("b", 1))
    )
    assert (same["word"], slower["word"], faster["word"]) == (
        "within the noise",
        "slower",
        "faster",
    )
    assert slower["ratio"] == pytest.approx(2) and faster["ratio"] == pytest.approx(0.8)
    floor = f"noise floor {comparison['noise']['here']:.2%}"
    assert slower["text"].startswith("slower by 2.00x [1.9") and slower["text"].endswith(floor)
    assert faster["text"].startswith("faster by 1.25x [1.2") and faster["text"].endswith(floor)
    assert same["text"].startswith("within the noise: 1.00x [0.9") and same["text"].endswith(floor)
    assert slower["low"] == pytest.approx(
        stats.independent_ratio(HERE["a", 2], REFERENCE["a", 2]).low
    )
    assert (slower["way"], slower["size"], slower["n"]) == ("a", 2, [8, 8])


def test_what_cannot_be_compared_says_on_which_side_and_why(both):
    comparison = as_json(both)
    assert by_cell(comparison)["way=c size=1"]["text"] == "not compared: here: needs rdma"
    assert (
        by_cell(comparison)["way=c size=2"]["text"]
        == "not compared: in the reference: all 8 trials failed (it broke)"
    )
    assert (comparison["common"], comparison["only"]) == (6, {"here": 0, "in the reference": 2})
    assert comparison["words"] == {
        "faster": 2,
        "not compared": 2,
        "within the noise": 1,
        "slower": 1,
    }


def test_the_sites_differences_are_told_and_the_rest_is_said_to_be_the_same(both):
    sites = as_json(both)["sites"]
    assert {row["what"]: (row["here"], row["reference"]) for row in sites["different"]} == {
        "cpu": ("Quick 3000", "Slow 100"), "kernel": ("6.1", "5.10"), "memory": ("8 GiB", "4 GiB"),
        "version of cc": ("12", "11"),
        "code": (f"digest {'c' * 12}", f"digest {'d' * 12}"), "scale": ("quick", "reference"),
    }  # fmt: skip
    assert sites["same"] == ["cpus", "capabilities", "site", "blocks"]


def test_files_of_the_experiment_that_differ_are_named(both):
    described = {**both.described, "sources": {"experiments/a.c": "1", "experiments/b.py": "1"}}
    both.write("quick", HERE, described=described)
    both.write(
        "reference",
        REFERENCE,
        described={**described, "sources": {"experiments/a.c": "2", "experiments/b.py": "1"}},
    )
    assert as_json(both)["sites"]["sources"] == ["experiments/a.c"]


def test_claims_are_compared_by_what_they_ask_for(both):
    first, second = as_json(both)["claims"]
    assert (first["verdict"], first["verdict_in_reference"]) == (
        "reproduced",
        "holds in the reference",
    )
    assert first["ratio"] == pytest.approx(0.8) and first["text"].startswith("smaller by 1.25x")
    assert (second["verdict"], second["verdict_in_reference"]) == (
        "not run",
        "holds in the reference",
    )
    assert second["text"].startswith("not compared: here: not planned at this scale")


def test_the_shape_is_told_by_ranks_with_an_interval(both):
    latency, rate = as_json(both)["shapes"]
    assert latency["metric"] == "latency_us" and latency["cells"] == 4 and latency["low"] is None
    assert latency["tau"] == pytest.approx(
        stats.rank_agreement([10, 20, 40, 5], [10, 10, 50, 6]).estimate
    )
    assert rate["tau"] is None and rate["text"].startswith("no ranks: 0 cells")
    more = {
        (way, size): times(n + 1)
        for n, (way, size) in enumerate((w, s) for w in "abc" for s in (1, 2, 4))
    }
    both.write("quick", more, twin=times(1, TWIN))
    both.write(
        "reference", {cell: times(3, values) for cell, values in more.items()}, twin=times(3, TWIN)
    )
    shape = as_json(both)["shapes"][0]
    assert (shape["tau"], shape["cells"]) == (1.0, 9) and 0 < shape["low"] < shape["high"] == 1


def test_only_an_order_that_both_sides_decide_and_oppositely_is_a_crossover(both):
    largest = {("c", 2): times(300)}  # on both sides, so in no crossover
    both.write(
        "quick",
        {("a", 1): times(10), ("b", 1): times(20), ("c", 1): times(10.05), **largest},
        twin=times(10, TWIN),
    )
    both.write(
        "reference",
        {("a", 1): times(10), ("b", 1): times(5), ("c", 1): times(9.95), **largest},
        twin=times(10, TWIN),
    )
    crossed = as_json(both)["crossovers"]
    assert [row["cells"] for row in crossed] == [
        ["way=a size=1", "way=b size=1"],
        ["way=b size=1", "way=c size=1"],
    ]
    assert (crossed[0]["here"], crossed[0]["reference"]) == ("0.500x", "2.00x")


def test_another_metric_may_be_chosen_and_higher_is_then_faster(both):
    for source, factor in (("quick", 2), ("reference", 1)):
        cells = [("a", 1), ("b", 1)]
        rate = {cell: times(factor) for cell in cells} | {("a", 1, "twin"): times(factor, TWIN)}
        both.write(source, {cell: times(10) for cell in cells}, twin=times(10, TWIN), rate=rate)
    comparison = as_json(both, "rate")
    assert comparison["metric"] == "rate" and {row["word"] for row in comparison["cells"]} == {
        "faster"
    }
    assert comparison["cells"][0]["text"].startswith("faster by 2.00x [")


# --- the words -------------------------------------------------------------------------------

QUIET = KnownFloors(0.05, 0.05, delta=0.05)


def ratio(estimate, low, high, n=8):
    return stats.Interval(estimate, low, high, n, 0.95, "given")


@pytest.mark.parametrize("given, floors, through, text", [
    (ratio(1.5, 1.2, 1.8), QUIET, None, "slower by 1.50x [1.20, 1.80], noise floor 5.13%"),
    (ratio(0.5, 0.4, 0.8), QUIET, None, "faster by 2.00x [1.25, 2.50], noise floor 5.13%"),
    (ratio(1.03, 1.01, 1.05), QUIET, None,
        "within the noise: 1.03x [1.01, 1.05], noise floor 5.13%"),
    (ratio(1.5, 0.9, 1.8), QUIET, None,
        "undecided: 1.50x [0.90, 1.80], noise floor 5.13%: the interval holds 1"),
    (ratio(1.5, 1.2, 1.8), KnownFloors(0.5, 0.5, delta=0.5), None,
        "within the noise: 1.50x [1.20, 1.80], noise floor 64.87%"),
    (ratio(1.5, 1.2, 1.8), QUIET, ratio(1.5, 0.99, 2.2),
     "undecided: 1.50x [1.20, 1.80], noise floor 5.13%: the drift of the blocks reaches 1"),
    (ratio(1.5, 1.2, 1.8), QUIET, ratio(1.5, 1.01, 2.2),
     "slower by 1.50x [1.20, 1.80], noise floor 5.13%"),
    (ratio(1.5, 1.2, 1.8), UnknownFloors("here: two identical cells differ"), None,
     ("undecided: 1.50x [1.20, 1.80], and there is no noise floor (here: two identical cells "
     "differ)")),
    (stats.PointEstimate(1.5, 3, "given"), QUIET, None,
     "undecided: 1.50x: 3 blocks are too few for an interval; measure at least 5"),
])  # fmt: skip
def test_told(given, floors, through, text):
    assert describe_ratio(given, floors, ("slower", "faster"), through)[1] == text


@pytest.mark.parametrize(
    "unit, better, names",
    [
        ("µs", "lower", ("slower", "faster")),
        ("GB/s", "higher", ("faster", "slower")),
        ("1", "higher", ("better", "worse")),
        ("s/GB", "lower", ("worse", "better")),
        ("µs", "neither", ("larger", "smaller")),
    ],
)
def test_names_follow_the_metrics_direction(unit, better, names):
    assert names_of({"unit": unit, "better": better}) == names


@pytest.mark.parametrize("here, word", [(times(1.45), "undecided"), (times(9), "slower")])
def test_a_level_must_differ_through_the_drift_of_both_sides(here, word):
    drifting = [1.0, 1.05, 1.1, 1.15, 1.2, 1.25, 1.3, 1.35]
    level, paired = (
        ratio_row(here, drifting, QUIET, ("slower", "faster"), ordered) for ordered in (True, False)
    )
    assert paired.word == "slower" and level.word == word, level.text


def test_a_value_of_zero_has_no_ratio():
    assert (
        ratio_row([1, 0, 1], [1, 1, 1], QUIET, ("a", "b")).text
        == "not compared: here: a value of 0 or below has no ratio"
    )


def test_the_larger_noise_floor_of_the_two_counts_and_a_biased_one_leaves_all_undecided(both):
    loud = [1.2, 0.9, 1.1, 0.8, 1.0, 1.1, 0.9, 1.0]
    both.write("reference", REFERENCE, twin=times(10, loud))
    comparison = as_json(both)
    assert comparison["noise"]["in the reference"] > comparison["noise"]["here"]
    assert exp(comparison["noise"]["delta"]) - 1 == pytest.approx(
        comparison["noise"]["in the reference"]
    )
    both.write("reference", REFERENCE, twin=times(13, TWIN))
    comparison = as_json(both)
    assert comparison["noise"]["why"] == "in the reference: two identical cells differ"
    assert {row["word"] for row in comparison["cells"]} == {
        "undecided",
        "not compared",
    } and comparison["crossovers"] == []


def test_identical_sites_are_rarely_said_to_differ():
    """Two sets of blocks and two noise floors from one distribution: at most 5 % differ."""
    rng = np.random.default_rng(2026)
    said = 0
    for _ in range(1000):
        blocks = np.exp(rng.normal(0, 0.1, (2, 9)))
        floors = [stats.noise_floor(*np.exp(rng.normal(0, 0.1, (2, 9)))).delta for _ in range(2)]
        word, _ = describe_ratio(
            stats.independent_ratio(*blocks),
            KnownFloors(*floors, delta=max(floors)),
            ("slower", "faster"),
        )
        said += word in ("slower", "faster")
    assert said <= 50
