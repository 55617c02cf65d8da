"""What blocks differ in: time, seeds, traces, or data sets."""

import pytest

from benchpaper import Block
from benchpaper.design.plan import make_plan
from benchpaper.design.spec import Experiment, Factor, Metric, Scale, SpecError

SCALES = ("smoke", "quick", "full")


def experiment(block=None, name="toy/one", **scales):
    chosen = {"block": block} if block else {}
    made = Experiment(
        title="Toy",
        question="?",
        factors=[Factor("size", [1, 2, 3])],
        metrics=[Metric("misses", unit="1", better="lower")],
        scales={scale: scales.get(scale, Scale(blocks=2)) for scale in SCALES},
        **chosen,
    )
    made.name = name
    return made


TRACES = Block(over="trace", levels=["web", "mail", "disk"], meaning="a recorded day")


def test_without_a_level_per_block_a_plan_is_as_it_was():
    """The digest of a plan in time names block, position, seed, and cell, as it always did."""
    plan = make_plan(experiment(full=Scale(blocks=3)), "full")
    assert plan.digest == "727e95eefbd36beddc7e9616f24ce310af5ce7aa9e36b8add7ddca2d91fcc0f7"
    assert {t.of_block.level for t in plan.trials} == {None}
    assert "block" not in experiment().describe()


def test_each_block_has_its_level_and_a_seed_that_its_cells_share():
    plan = make_plan(experiment(TRACES, full=Scale()), "full")
    blocks = [{t.of_block for t in block} for block in plan.blocks]
    assert [len(block) for block in blocks] == [1, 1, 1]
    assert [block.pop().level for block in blocks] == ["web", "mail", "disk"]
    seeds = {t.of_block.seed for t in plan.trials}
    assert len(seeds) == 3 and not seeds & {t.seed for t in plan.trials}
    assert len({t.seed for t in plan.trials}) == 9
    other = make_plan(experiment(TRACES, full=Scale()), "full", seed=2)
    assert not seeds & {t.of_block.seed for t in other.trials}


def test_blocks_over_seeds_have_the_seeds_that_they_name():
    plan = make_plan(experiment(Block(over="seed", levels=range(7, 10)), full=Scale()), "full")
    assert [block[0].of_block.seed for block in plan.blocks] == [7, 8, 9]
    assert {t.of_block.level for t in plan.trials} == {7, 8, 9}


@pytest.mark.parametrize("levels", [["web", "mail", "tape"], ["mail", "web", "disk"]])
def test_another_level_is_another_plan(levels):
    plan = make_plan(experiment(TRACES, full=Scale()), "full")
    other = make_plan(experiment(Block(over="trace", levels=levels), full=Scale()), "full")
    assert plan.digest != other.digest


def test_a_smaller_scale_takes_the_first_levels():
    made = experiment(TRACES, smoke=Scale(blocks=2), quick=Scale(), full=Scale())
    assert [made.scale(scale).blocks for scale in SCALES] == [2, 3, 3]
    assert [block[0].of_block.level for block in make_plan(made, "smoke").blocks] == ["web", "mail"]


def test_experiments_may_share_a_scale():
    shared = Scale()
    assert experiment(TRACES, full=shared).scale("full").blocks == 3
    seeds = Block(over="seed", levels=range(4))
    assert experiment(seeds, full=shared).scale("full").blocks == 4


@pytest.mark.parametrize(
    "make, message",
    [
        (
            lambda: experiment(TRACES, full=Scale(blocks=4)),
            'scale "full": blocks=4, but Block(over="trace") has 3 levels, and each block needs '
            "its own; add levels, or leave blocks out",
        ),
        (
            lambda: experiment(full=Scale()),
            'scale "full" has no number of blocks; give Scale(blocks=...), or the experiment a '
            'block=Block(over="seed", levels=[...])',
        ),
        (
            lambda: Block(levels=[1, 2]),
            'Block(over="time") has no levels; say what the blocks differ in: '
            'Block(over="trace", levels=[...])',
        ),
        (lambda: Block(over="trace"), 'Block(over="trace") has no levels; give at least one'),
        (
            lambda: Block(over="trace", levels="web"),
            "Block(over=\"trace\"): levels 'web' must be a list",
        ),
        (
            lambda: Block(over="trace", levels=["web", 1]),
            'Block(over="trace"): level 1 is int, but the others are str; make them all one type',
        ),
        (
            lambda: Block(over="trace", levels=["web", "web"]),
            "Block(over=\"trace\") has a level twice: ['web', 'web']",
        ),
        (
            lambda: Block(over="trace", levels=["web\n"]),
            "Block(over=\"trace\"): level 'web\\n' holds '\\n'; give one line of printable "
            "characters",
        ),
        (
            lambda: Block(over="seed", levels=["a"]),
            'Block(over="seed"): seeds must be whole numbers of at least 0',
        ),
        (
            lambda: Block(over="seed", levels=[3, -1]),
            'Block(over="seed"): seeds must be whole numbers of at least 0',
        ),
        (
            lambda: Block(over="A trace", levels=[1]),
            'Block(over=\'A trace\') must match [a-z][a-z0-9_]*, such as "seed" or "trace"',
        ),
        (
            lambda: experiment(block="trace"),
            "block='trace' must be a Block, as Block(over=\"trace\", ...)",
        ),
        (
            lambda: Block(over="seed", levels=5),
            'Block(over="seed"): levels 5 must be a list',
        ),
        *[
            (
                lambda within=within: Experiment(
                    title="Toy", question="?", factors=[], metrics=[], scales={}, within=within
                ),
                'within must be a list of factors: within=[Factor("second", [0, 1, 2])]',
            )
            for within in ("second", ["second"], Factor("second", [1]))
        ],
        (
            lambda: Scale(pilot=9, half_width=0.05),
            "a pilot needs blocks=..., the most that may be measured",
        ),
    ],
)
def test_a_mistake_is_refused_in_one_line(make, message):
    with pytest.raises(SpecError) as refused:
        make()
    assert str(refused.value) == message
