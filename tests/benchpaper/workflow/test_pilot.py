"""How many blocks: a pilot, then a number that is fixed once, kept, and recorded."""

import json

import numpy as np
import pytest

from benchpaper import results
from benchpaper.analysis import stats
from benchpaper.core.errors import UserError
from benchpaper.design import catalog
from benchpaper.design.plan import make_plan
from benchpaper.design.spec import Experiment, Factor, Metric, Scale, SpecError
from benchpaper.results import OBSERVATIONS, TRIALS
from benchpaper.workflow import pilot

SPREAD = np.exp(
    [-0.2, -0.1, 0.0, 0.1, 0.2, -0.05, 0.05, 0.1, -0.1]
).tolist()  # a MAD of 0.1 on the log scale
PILOT = dict(blocks=99, pilot=9, half_width=0.05)


@pytest.fixture
def piloted(known):
    """Return `make(values, **scale)`: folder and experiment of toy/known after its pilot.

    Each of the nine blocks takes a second.
    """

    def make(values=SPREAD, **scale):
        known.write("quick", {("a", 1): values}, twin=values, seconds=0.4, overhead_s=0.1)
        experiment = catalog.load(known.project, "toy/known")
        experiment.scales["quick"] = Scale(**(scale or PILOT))
        return known.project.results("local", "quick") / "toy/known", experiment

    return make


@pytest.mark.parametrize(
    "scale, blocks, text",
    [
        (
            dict(blocks=99, pilot=9, half_width=0.05),
            54,
            "54 blocks, fixed by the pilot's 9 blocks: an interval of ±5% for latency_us",
        ),
        (
            dict(blocks=40, pilot=9, half_width=0.05),
            40,
            "40 blocks, fixed by the limit of 40 blocks (of 1 s each): an interval of ±5%",
        ),
        (
            dict(blocks=99, pilot=9, half_width=0.05, budget_s=25),
            25,
            "25 blocks, fixed by the limit of 25 blocks",
        ),
        (
            dict(blocks=99, pilot=9, half_width=0.05, budget_s=2),
            9,
            "9 blocks, fixed by the limit of 2 blocks",
        ),
        (
            dict(blocks=99, pilot=9, half_width=0.5),
            9,
            "9 blocks, fixed by the pilot's 9 blocks: an interval of ±50%",
        ),
    ],
)
def test_spread_and_time_fix_the_number(piloted, scale, blocks, text):
    folder, experiment = piloted(**scale)
    fixed = pilot.fix(folder, experiment, "quick")
    assert fixed["blocks"] == blocks and pilot.describe(fixed).startswith(text)
    assert fixed["needed"] == stats.blocks_needed(SPREAD, experiment.scale("quick").half_width)
    assert (fixed["cell"], fixed["metric"], fixed["block_seconds"]) == (
        "way=a size=1",
        "latency_us",
        1.0,
    )
    assert pilot.fixed(folder, experiment, "quick") == fixed


def test_the_number_is_noted_in_the_results_and_kept(piloted, known):
    folder, experiment = piloted()
    assert pilot.fixed(folder, experiment, "quick") is None
    pilot.check(folder, experiment, "quick")
    fixed = pilot.fix(folder, experiment, "quick")
    for kind in (OBSERVATIONS, TRIALS):
        assert results.read(folder / kind)[1]["blocks_fixed"] == fixed
    assert known.load("quick").described["blocks_fixed"]["blocks"] == 54
    with pytest.raises(
        UserError,
        match=(
            "fixed at 54 already, once and for all; to start over, with new blocks, remove "
            "results/local/quick/toy/known"
        ),
    ):
        pilot.check(folder, experiment, "quick")
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_what_was_fixed_for_other_cells_says_nothing_about_these(piloted):
    folder, experiment = piloted()
    pilot.fix(folder, experiment, "quick")
    text = json.loads((folder / pilot.FIXED).read_text())
    (folder / pilot.FIXED).write_text(json.dumps({**text, "cells_digest": "0"}))
    assert pilot.fixed(folder, experiment, "quick") is None
    (folder / pilot.FIXED).write_text("{")
    (folder / TRIALS).unlink()
    with pytest.raises(
        UserError, match="^results/local/quick/toy/known/blocks.json cannot be read; remove it"
    ):
        pilot.fixed(folder, experiment, "quick")


@pytest.mark.parametrize("cut", [0, 1, 20, -1])
def test_a_damaged_number_comes_back_from_the_results(piloted, cut):
    folder, experiment = piloted()
    content = pilot.fix(folder, experiment, "quick")
    path = folder / pilot.FIXED
    whole = path.read_bytes()
    assert not pilot.restore(folder)
    path.write_bytes(whole[:cut] + bytes(len(whole[cut:])))
    assert pilot.fixed(folder, experiment, "quick") == content
    assert pilot.restore(folder) and path.read_bytes() == whole


@pytest.mark.parametrize(
    "values, message",
    [
        ([None] * 9, r"shows no spread: all 9 trials failed \(it broke\); correct that"),
        (
            [1.0, 1.0, 1.0, 1.0, *[None] * 5],
            "shows no spread: 4 of 9 blocks have a positive latency_us in way=a size=1",
        ),
        ([0.0] * 9, "shows no spread: 9 of 9 blocks have a positive|shows no spread"),
    ],
)
def test_a_pilot_without_a_spread_fixes_nothing(piloted, values, message):
    folder, experiment = piloted(values)
    with pytest.raises(UserError, match=message):
        pilot.fix(folder, experiment, "quick")
    assert not (folder / pilot.FIXED).exists()


def test_a_scale_without_a_pilot_has_none_to_take(piloted):
    folder, experiment = piloted(blocks=7)
    with pytest.raises(
        UserError, match="toy/known declares no pilot at scale quick, but 7 blocks; declare Scale"
    ):
        pilot.check(folder, experiment, "quick")
    (folder / pilot.FIXED).write_text("never read")
    assert pilot.fixed(folder, experiment, "quick") is None


def test_the_pilots_blocks_stay_as_they_are_when_others_join_them(piloted):
    _, experiment = piloted()
    alone, all_of_them = (
        make_plan(experiment, "quick"),
        make_plan(experiment, "quick", fixed_blocks=20),
    )
    assert (len(alone.blocks), len(all_of_them.blocks)) == (9, 20)
    assert all_of_them.blocks[:9] == alone.blocks and all_of_them.digest == alone.digest
    assert make_plan(experiment, "quick", seed=2).digest != alone.digest
    assert all_of_them.seconds == pytest.approx(alone.seconds * 20 / 9)


def experiment_with(**scale):
    twin = scale.pop("twin", dict(way="a"))
    return Experiment(
        title="T", question="?", factors=[Factor("way", ["a", "b"])],
        metrics=[Metric("x_s", unit="s", better="lower")],
        twin=twin, scales={name: Scale(**scale) for name in ("smoke", "quick", "full")},
    )  # fmt: skip


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(blocks=40, pilot=9), "pilot, half_width and budget_s belong together"),
        (dict(blocks=40, half_width=0.05), "belong together"),
        (dict(blocks=40, budget_s=60), "belong together"),
        (
            dict(blocks=40, pilot=5, half_width=0.05),
            "pilot=5 must be a whole number from 9 to blocks=40",
        ),
        (
            dict(blocks=8, pilot=9, half_width=0.05),
            "pilot=9 must be a whole number from 9 to blocks=8",
        ),
        (dict(blocks=40, pilot=9.0, half_width=0.05), "pilot=9.0 must be a whole number"),
        (dict(blocks=40, pilot=9, half_width=0), "half_width 0 must be above 0"),
        (dict(blocks=40, pilot=9, half_width=0.05, budget_s=0), "budget_s 0 must be above 0"),
        (
            dict(blocks=40, pilot=9, half_width=0.05, twin=None),
            'scale "smoke": a pilot needs a twin',
        ),
    ],
)
def test_a_pilot_that_cannot_be_is_refused(options, message):
    with pytest.raises(SpecError) as refused:
        experiment_with(**options)
    assert message in str(refused.value)


@pytest.mark.parametrize("noise", [0.03, 0.08, 0.12, 0.3])
def test_fixing_the_number_once_costs_no_coverage(noise):
    """The pilot's blocks count among the others; the number depends on their spread alone."""
    rng = np.random.default_rng(1)
    covered = 0
    for values in np.exp(rng.normal(0, noise, (2_000, 60))):
        n = min(60, max(9, stats.blocks_needed(values[:9], 0.05)))
        interval = stats.level(values[:n])
        covered += interval.low <= 1 <= interval.high
    assert 0.92 <= covered / 2_000 <= 0.97


def test_from_pilot_to_the_last_block(make_project, pipe_experiment, run_benchpaper):
    """The command measures nine blocks and fixes the number; the next run measures the rest."""
    text = pipe_experiment.replace(
        "smoke=Scale(blocks=2,", "smoke=Scale(blocks=11, pilot=9, half_width=0.0001,"
    )
    project = make_project({"experiments/toy/pipe/experiment.py": text})
    planned = run_benchpaper(project, "plan", "--scale", "smoke")
    assert (
        "x 9 blocks" in planned.stdout
        and "benchpaper pilot toy/pipe --scale smoke measures it, and fixes how many blocks follow"
        in planned.stdout
    )
    done = run_benchpaper(project, "pilot", "toy/pipe", "--scale", "smoke")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "11 blocks, fixed by the limit of 11 blocks" in done.stdout
    folder = project.results("local", "smoke") / "toy/pipe"
    first = results.file_digest(results.block_file(folder, 0, TRIALS))
    assert "x 11 blocks" in run_benchpaper(project, "plan", "--scale", "smoke").stdout
    rest = run_benchpaper(project, "run", "results", "toy/pipe", "--scale", "smoke")
    assert rest.returncode == 0, rest.stdout + rest.stderr
    table, described = results.read(folder / TRIALS)
    assert (
        len(set(table.column("block").to_pylist())) == 11
        and described["blocks_fixed"]["blocks"] == 11
    )
    assert results.file_digest(results.block_file(folder, 0, TRIALS)) == first
    again = run_benchpaper(project, "pilot", "toy/pipe", "--scale", "smoke")
    assert again.returncode == 2 and "fixed at 11 already" in again.stderr
