"""Warnings: each kind fires only on trials that deserve it, says what to do, and is shown."""

import json

import pytest

from benchpaper.analysis import quality
from benchpaper.analysis.exhibits import MANIFEST, Exhibits
from benchpaper.analysis.quality import OWN_SHARE
from benchpaper.hosts.agent import disturbances
from benchpaper.paper import provenance

STEADY = [1.00, 1.02, 0.99, 1.01, 0.98, 1.005, 0.995, 1.015]
CELLS = {("a", 1): STEADY, ("b", 1): [3 * value for value in STEADY]}


def kinds(results, cells=None):
    return {warning.kind: warning for warning in results.warnings(cells)}


def test_quiet_trials_warn_of_nothing(known):
    assert known.write("quick", CELLS).warnings() == []


@pytest.mark.parametrize(
    "changes, text",
    [
        (
            dict(steal_s=0.1),
            (
                "steal time: up to 5.0% of the CPU time in 24 of 24 trials (limit: 2.0%); "
                "measure when the hypervisor's"
            ),
        ),
        (
            dict(load_1m=5.0),
            (
                "load: up to 2.50 runnable tasks per CPU at the start in 24 of 24 trials (limit: "
                "1.00); end what else runs"
            ),
        ),
        (
            dict(suspended_s=2.0),
            (
                "suspended: up to 2.0 s in 24 of 24 trials (limit: 0.1); keep the machine awake "
                "while it measures"
            ),
        ),
        (
            dict(paused_s=90.0),
            (
                "paused: up to 90 s between two trials of one block in 24 of 24 trials (limit: "
                "none); if cells"
            ),
        ),
        (
            dict(swapped_mb=1.5),
            "swapping: up to 1.5 MB in 24 of 24 trials (limit: none); free memory",
        ),
        (
            dict(throttled_s=0.25),
            (
                "throttled: up to 0.25 s held back by a CPU quota in 24 of 24 trials (limit: "
                "none); raise"
            ),
        ),
        (
            dict(overheated=3),
            (
                "overheated: up to 3 thermal throttling events in 24 of 24 trials (limit: none); "
                "let the machine cool"
            ),
        ),
    ],
)
def test_a_disturbance_names_quantity_limit_and_next_action(known, changes, text):
    (warning,) = known.write("quick", CELLS, **changes).warnings()
    assert str(warning).startswith(text) and warning.trials == 24
    assert (
        warning.plain()["text"] == str(warning)
        and warning.quantity
        and warning.limit
        and warning.action
    )


@pytest.mark.parametrize("changes", [
    dict(steal_s=0.01, seconds=0.02),  # one tick of the clock is no evidence
    dict(steal_s=0.039), dict(load_1m=2.0), dict(suspended_s=1e-6), dict(swapped_mb=0.0),
    dict(throttled_s=None, overheated=None),
])  # fmt: skip
def test_what_is_within_its_limit_or_unknown_is_not_told(known, changes):
    assert known.write("quick", CELLS, **changes).warnings() == []


def test_results_from_before_a_column_are_not_warned_about(known):
    results = known.write("quick", CELLS, swapped_mb=1.0)
    results.trial_df = results.trial_df.drop(columns=["swapped_mb", "throttled_s", "overheated"])
    assert results.warnings() == []


def test_failed_trials_are_counted_with_their_most_frequent_reason(known):
    results = known.write("quick", {**CELLS, ("c", 1): [None, 1.0, None, 1.0, 1.0, 1.0, 1.0, 1.0]})
    warning = kinds(results)["failed trials"]
    assert (
        warning.trials == 2
        and "2 of 32 trials failed, 2 of them so: it broke" in str(warning)
        and "measure again" in warning.action
    )
    assert "failed trials" not in kinds(results, ["way=b size=1"])


def test_too_few_blocks_name_the_scale_to_take(known):
    few = kinds(known.write("smoke", {("a", 1): STEADY[:4]}, twin=STEADY[:4]))["too few blocks"]
    assert str(few) == (
        "too few blocks: 4 blocks (at least 5 make an interval, and a verdict); measure at "
        "scale quick or full"
    )
    assert "too few blocks" not in kinds(
        known.write("quick", {("a", 1): STEADY[:5]}, twin=STEADY[:5])
    )


def test_drift_is_that_of_the_blocks_and_not_of_one_noisy_cell(known):
    drifting = [value * (1 + 0.05 * n) for n, value in enumerate(STEADY)]
    results = known.write(
        "quick",
        {("a", 1): drifting, ("b", 1): [3 * v for v in drifting], ("c", 1): STEADY},
        twin=drifting,
    )
    warning = kinds(results)["drift"]
    assert str(warning).startswith("drift: the 8 blocks drift: latency_us differs by up to ")
    assert "drift" not in kinds(results, ["way=c size=1"])
    alone = known.write(
        "quick", {("a", 1): STEADY, ("b", 1): drifting, ("c", 1): STEADY}, twin=STEADY
    )
    assert "drift" not in kinds(alone)


def test_drift_is_looked_for_in_the_order_of_measuring(known):
    order = [4, 6, 1, 7, 3, 0, 5, 2]
    values = [1 + 0.1 * place for place in order]
    results = known.write("quick", {("a", 1): values}, twin=values)
    assert "drift" not in kinds(results)
    results.trial_df["started"] = results.trial_df["started"].min() + results.trial_df["block"].map(
        lambda block: order[block]
    ) * (results.trial_df["started"].max() - results.trial_df["started"].min())
    vars(results).pop("_begun", None)
    assert "drift" in kinds(results)


@pytest.mark.parametrize("null, bound", [(0.5, 0), (0.85, 1), (2.5, 2)])
def test_a_cell_near_the_null_target_is_client_bound(known, null, bound):
    results = known.write("quick", {**CELLS, ("null", 1): [null * value for value in STEADY]})
    warning = kinds(results).get("client-bound")
    assert (warning is not None) == bool(bound)
    if bound:
        assert f"in {bound} of 2 cells the null target's latency_us is up to" in str(
            warning
        ) and f"limit: {OWN_SHARE:.0%}" in str(warning)
        assert warning.trials == 8 * bound
        assert ("client-bound" in kinds(results, ["way=b size=1"])) == (bound == 2)


def test_a_cell_is_compared_with_the_null_target_of_its_own_levels(known):
    cells = {
        ("a", 1): STEADY,
        ("a", 2): STEADY,
        ("null", 1): [v * 0.1 for v in STEADY],
        ("null", 2): [v * 0.9 for v in STEADY],
    }
    results = known.write("quick", cells)
    assert "in 1 of 2 cells" in str(kinds(results)["client-bound"])
    shares = quality.null_shares(results)
    assert shares == {"way=a size=1": pytest.approx(0.1), "way=a size=2": pytest.approx(0.9)}


# --- where they are shown --------------------------------------------------------------------


def test_an_exhibit_carries_the_warnings_of_its_own_cells_and_explain_tells_them(
    known, tmp_path, capsys
):
    results = known.write("quick", {**CELLS, ("c", 1): [None, *STEADY[1:]]})
    exhibits = Exhibits(results, known.project.build("local", "quick") / "exhibits" / "toy_known")
    exhibits.number("of-b", results.estimate("latency_us", way="b", size=1))
    exhibits.number("of-c", results.estimate("latency_us", way="c", size=1))
    entries = json.loads(
        (known.project.build("local", "quick") / "exhibits/toy_known" / MANIFEST).read_text()
    )["exhibits"]
    assert entries["of-b"]["warnings"] == [] and entries["of-c"]["warnings"][0].startswith(
        "failed trials: 1 of 8 trials failed"
    )
    provenance.show(provenance.explain(known.project, "of-c", "local", "quick"))
    assert "beware    of failed trials: 1 of 8 trials failed" in capsys.readouterr().out


def test_the_summary_of_a_run_tells_each_kind_once(known, run_benchpaper):
    from benchpaper.workflow import pipeline, summary

    known.write("quick", CELLS, load_1m=9.0, swapped_mb=1.0)
    lines = summary._warnings(pipeline.Pipeline(known.project, "local", "quick", 1), "toy/known")
    assert [line.split(":")[0] for line in lines] == ["load", "swapping"]


def test_a_trial_that_was_not_tried_again_is_no_failed_trial(known):
    results = known.write("quick", CELLS)
    frame = results.trial_df
    cell = frame["cell"] == "way=a size=1"
    frame.loc[cell, "state"] = "failed"
    frame.loc[cell, "reason"] = "not tried again: all 2 attempts in block 0 ended so: it broke"
    frame.loc[cell & (frame["block"] == 0), "reason"] = "it broke"
    warning = kinds(results)["failed trials"]
    assert warning.trials == 1 and str(warning).startswith("failed trials: 1 of ")
    assert "1 of them so: it broke; 7 more were not tried again (" in str(warning)
    estimate = results.estimate("latency_us", way="a", size=1)
    assert estimate.missing == "1 trials failed (it broke), and the other 7 were not tried again"
    assert estimate.failed == 1


def test_results_that_were_measured_warn_of_their_failures(measured):
    warnings = kinds(measured)
    assert warnings["failed trials"].trials == 6 and "5 of them so: no buffer space" in str(
        warnings["failed trials"]
    )


# --- what a trial stores ---------------------------------------------------------------------


def test_a_measured_trial_stores_what_disturbed_it(measured):
    trials = measured.trial_df
    assert {"swapped_mb", "throttled_s", "overheated"} <= set(trials) and (
        trials["swapped_mb"] >= 0
    ).all()


def test_disturbances_are_differences_and_the_unknown_stays_unknown():
    before = dict(
        steal_s=1.0, load_1m=0.5, suspended_s=0.0, swapped_mb=10.0, throttled_s=None, overheated=2
    )
    after = dict(
        steal_s=1.5, load_1m=1.5, suspended_s=-1e-7, swapped_mb=12.0, throttled_s=None, overheated=5
    )
    assert disturbances.between(before, after) == dict(
        steal_s=0.5, load_1m=0.5, suspended_s=0, swapped_mb=2.0, throttled_s=None, overheated=3
    )
    assert set(disturbances.so_far()) == set(before)


@pytest.mark.parametrize(
    "machine, stood_still, suspended_s",
    [(0.0, 3.0, 3.0), (2.0, 3.0, 5.0), (None, 3.0, 3.0), (None, 0.0, None)],
)
def test_a_trial_that_stood_still_was_suspended_whatever_the_machine_did(
    machine, stood_still, suspended_s
):
    before = dict.fromkeys(disturbances.so_far())
    before |= dict(suspended_s=None if machine is None else 1.0, load_1m=0.5)
    after = before | dict(suspended_s=None if machine is None else 1.0 + machine)
    passed = disturbances.with_standstill(disturbances.between(before, after), stood_still)
    assert passed["suspended_s"] == suspended_s


def test_counters_are_read_by_name_and_missing_ones_are_unknown(tmp_path):
    (tmp_path / "cpu.stat").write_text("usage_usec 5\nnr_throttled 2\nthrottled_usec 2500000\n")
    assert disturbances._count(tmp_path / "cpu.stat", "throttled_usec") == 2_500_000
    assert (
        disturbances._count(tmp_path / "cpu.stat", "nothing") is None
        and disturbances._count(tmp_path / "none") is None
    )
    (tmp_path / "core_throttle_count").write_text("7\n")
    assert disturbances._count(tmp_path / "core_throttle_count") == 7
