"""The plan: every cell once per block, in an order that the seed decides."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchpaper.core.errors import UserError
from benchpaper.design.plan import make_plan
from benchpaper.design.spec import Experiment, Factor, Metric, Scale
from benchpaper.workflow import plans

names = st.lists(st.from_regex("f[0-9]{1,2}", fullmatch=True), min_size=1, max_size=3, unique=True)
levels = st.lists(st.integers(-1000, 1000), min_size=1, max_size=4, unique=True)
seeds = st.integers(0, 2**40)


def experiment_of(factors, blocks, name="toy/one", valid=None, twin=None, **scale):
    made = Experiment(
        title="Toy", question="?", factors=[Factor(*item) for item in factors.items()],
        metrics=[Metric("latency_us", unit="µs", better="lower")], twin=twin,
        scales={s: Scale(blocks=blocks, **scale) for s in ("smoke", "quick", "full")},
    )  # fmt: skip
    made.name = name
    if valid:
        made.valid(valid)
    return made


@st.composite
def experiments(draw):
    factors = {name: draw(levels) for name in draw(names)}
    twin = (
        {name: draw(st.sampled_from(chosen)) for name, chosen in factors.items()}
        if draw(st.booleans())
        else None
    )
    refused = draw(st.integers(0, 3))

    def valid(cell):
        original = twin and all(getattr(cell, name) == level for name, level in twin.items())
        return (
            original
            or sum(cell.levels.values()) % 4 != refused
            or (twin is None and cell.id == first)
        )

    first = " ".join(f"{name}={chosen[0]}" for name, chosen in factors.items())
    return experiment_of(factors, draw(st.integers(1, 4)), valid=valid, twin=twin)


def order(block):
    return [trial.cell.id for trial in block]


@given(experiments(), seeds)
@settings(max_examples=150, deadline=None)
def test_every_valid_cell_comes_exactly_once_in_each_block(experiment, seed):
    plan = make_plan(experiment, "smoke", seed)
    expected = sorted(cell.id for cell in experiment.cells("smoke"))
    assert len(plan.blocks) == experiment.scale("smoke").blocks
    for number, block in enumerate(plan.blocks):
        assert sorted(order(block)) == expected
        assert [trial.position for trial in block] == list(range(len(expected)))
        assert {trial.block for trial in block} == {number}
        assert all(experiment.is_valid(trial.cell) for trial in block if not trial.cell.twin)


@given(experiments(), seeds)
@settings(max_examples=50, deadline=None)
def test_the_same_seed_gives_the_same_plan(experiment, seed):
    once, again = make_plan(experiment, "smoke", seed), make_plan(experiment, "smoke", seed)
    assert once == again and once.digest == again.digest


@given(experiments(), seeds, seeds)
@settings(max_examples=50, deadline=None)
def test_another_seed_gives_another_plan(experiment, seed, other):
    plans = [make_plan(experiment, "smoke", s) for s in (seed, other)]
    assert (plans[0].digest == plans[1].digest) == (seed == other)


def test_each_block_and_each_experiment_has_an_order_of_its_own():
    factors = {"size": list(range(40))}
    plan = make_plan(experiment_of(factors, 3), "smoke")
    other = make_plan(experiment_of(factors, 3, name="toy/two"), "smoke")
    orders = [tuple(order(block)) for block in (*plan.blocks, *other.blocks)]
    assert len(set(orders)) == 6
    assert len({trial.seed for trial in plan.trials}) == len(plan.trials)


def test_the_order_is_the_same_on_every_machine():
    """A golden order: it must never change, for journals and references are keyed by it."""
    plan = make_plan(experiment_of({"size": [1, 2, 3, 4, 5, 6]}, 1), "smoke", 7)
    assert [trial.cell.size for trial in plan.trials] == [1, 2, 3, 6, 5, 4]
    assert plan.trials[0].seed == 167985893


@given(
    st.lists(st.integers(0, 99), min_size=1, max_size=12, unique=True), st.integers(100, 200), seeds
)
@settings(max_examples=100, deadline=None)
def test_a_new_cell_keeps_the_order_of_the_others(sizes, new, seed):
    before = make_plan(experiment_of({"size": sizes}, 2), "smoke", seed)
    after = make_plan(experiment_of({"size": [*sizes, new]}, 2), "smoke", seed)
    for old, grown in zip(before.blocks, after.blocks):
        assert order(old) == [cell for cell in order(grown) if cell != f"size={new}"]
    assert before.digest != after.digest


def test_a_plan_is_priced_by_what_was_measured_and_else_by_what_was_announced():
    experiment = experiment_of({"size": [1, 2]}, 3, trial_seconds=2.0, disk_mb=7)
    assert make_plan(experiment, "smoke").seconds == 3 * (2 + 2)
    assert make_plan(experiment, "smoke", measured_seconds={"size=2": 0.5}).seconds == 3 * (2 + 0.5)
    assert make_plan(experiment, "smoke").disk_mb == 7


@pytest.mark.parametrize("seed", [-1, 1.0, "1", True])
def test_a_seed_that_is_no_whole_number_is_refused(seed):
    with pytest.raises(
        UserError, match=f"^seed {seed!r} must be a whole number from 0 to 2\\*\\*63 - 1$"
    ):
        make_plan(experiment_of({"size": [1]}, 1), "smoke", seed)


def test_plans_of_several_experiments_end_with_what_they_take_together(capsys):
    quick = dict(experiment="toy/one", scale="quick", site="local", cells=2, blocks=5, trials=10,
        seconds=50.0, seconds_from={"declared": 2}, seconds_remark="", disk_mb=1,
        seed=1, digest="0" * 64, blocks_fixed=None, pilot=None, again=None,
        block=None, inputs=[], missing={})  # fmt: skip
    plans.show_plans([quick])
    assert "in all" not in capsys.readouterr().out
    plans.show_plans([quick, {**quick, "experiment": "toy/other", "seconds": 100.0}])
    assert capsys.readouterr().out.endswith("in all 2 experiments: 20 trials, about 2 min\n")
