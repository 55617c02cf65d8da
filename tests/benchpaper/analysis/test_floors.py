"""Which cell gives the noise floor: the twin, or the noisiest real cell where no twin shows it."""

from math import expm1, log

import numpy as np
import pytest

from benchpaper.analysis import claims, stats
from benchpaper.analysis.values import InsufficientDataError
from benchpaper.core.errors import UserError
from benchpaper.design.replication import Block

# Values by block, and their floors between neighbours: 0 < QUIET < LOUD.
FLAT = [10.0] * 8
QUIET = [10.0, 10.1, 9.9, 10.05, 9.95, 10.1, 9.9, 10.0]
LOUD = [10.0, 13.0, 9.0, 12.0, 8.0, 12.5, 9.5, 11.0]
ZEROS = [0.0, 3.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0]
A, B, C, NULL = (f"way={way} size=1" for way in ("a", "b", "c", "null"))


def neighbours(values):
    return stats.neighbour_floor(values).delta


def results(known, values, copy=None, /, **described):
    """Results with latencies by way; `copy` are those of the twin of way a, by default equal."""
    return known.write(
        "quick",
        {(way, 1): blocks for way, blocks in values.items()},
        twin=copy,
        described={**known.described, **described},
    )


TWIN = [v * (1.01 if n % 2 else 0.99) for n, v in enumerate(QUIET)]
CONTROL = {"way": ["a"]}


@pytest.mark.parametrize(
    "described, values, twin, cells, of",
    [
        # A real twin decides, though another cell is noisier.
        ({}, dict(a=QUIET, b=LOUD), TWIN, [B], "the twin"),
        # Without one, or with a control in its place, the noisiest real cell does.
        ({"twin": None}, dict(a=QUIET, b=LOUD, c=FLAT), None, [C], B),
        ({"controls": CONTROL}, dict(a=LOUD, b=QUIET, c=FLAT), LOUD[::-1], [C], B),
        ({"controls": CONTROL}, dict(a=QUIET, b=LOUD), TWIN, [], B),
        ({"twin": None}, dict(a=QUIET, null=LOUD), None, [A], A),  # null is no real system
        # A claim on controls alone is judged by what they are like.
        ({"controls": CONTROL}, dict(a=QUIET, b=LOUD), TWIN, [A], "the twin"),
        ({"controls": {"way": ["b", "c"]}}, dict(a=LOUD, b=QUIET, c=FLAT), TWIN, [B, C], B),
        ({"controls": CONTROL}, dict(a=QUIET, b=LOUD), TWIN, [A, B], B),
        # A twin without any noise says nothing of cells that have some.
        ({}, dict(a=FLAT, b=LOUD, c=QUIET), FLAT, [C], B),
        ({}, dict(a=FLAT, b=LOUD), FLAT, [], B),
        ({}, dict(a=FLAT, b=LOUD), FLAT, [A], "the twin"),
        ({}, dict(a=FLAT), FLAT, [], "the twin"),
        # A twin that failed, or had values without a ratio, gives no floor.
        ({}, dict(a=QUIET, b=LOUD), [None] * 8, [A], B),
        ({}, dict(a=QUIET, b=LOUD), ZEROS, [A], B),
        # Neither do cells with zeros.
        ({"twin": None}, dict(a=ZEROS, b=QUIET), None, [B], B),
        # Only controls have the metric.
        ({"twin": None, "controls": CONTROL}, dict(a=QUIET), None, [], A),
    ],
)
def test_the_cell_that_gives_the_floor(known, described, values, twin, cells, of):
    measured = results(known, values, twin, **described)
    floor = measured.floor("latency_us", cells=cells)
    if of == "the twin":
        assert floor == stats.noise_floor(values["a"], twin) and not floor.cell
    else:
        way = of.split()[0].removeprefix("way=")
        assert (floor.cell, floor.delta) == (of, pytest.approx(neighbours(values[way])))
        assert not floor.biased
    if not cells:
        number = measured.noise_floor("latency_us")
        assert number.value == pytest.approx(100 * expm1(floor.delta))
        assert number.cells == ((of,) if floor.cell else (A, f"{A} twin"))


@pytest.mark.parametrize(
    "described, values, twin, why",
    [
        ({"twin": None}, dict(a=ZEROS), None, "toy/known declares no twin; declare twin=dict"),
        ({}, dict(a=ZEROS), QUIET, "a value of 0 or below has no ratio"),
        ({"controls": CONTROL}, dict(a=ZEROS), QUIET, "the twin is a control, and no cell gives"),
        (  # differences between traces are no noise
            {"twin": None, "block": vars(Block(over="trace", levels=list("abcdefgh")))},
            dict(a=LOUD), None, "declares no twin",
        ),
    ],
)  # fmt: skip
def test_without_any_such_cell_there_is_no_floor(known, described, values, twin, why):
    measured = results(known, values, twin, **described)
    with pytest.raises(InsufficientDataError, match=why):
        measured.floor("latency_us")


def test_few_blocks_give_no_floor_with_or_without_a_twin(known):
    measured = results(known, dict(a=QUIET[:4], b=LOUD[:4]), twin=None)
    assert not measured.floor("latency_us").known
    missing = measured.noise_floor("latency_us").missing
    assert missing == "a noise floor needs 5 blocks, and there are 4"


def test_a_twin_that_a_small_scale_leaves_out_stops_no_notebook(known):
    measured = results(known, dict(a=QUIET, b=LOUD), twin={"way": "c", "size": 1})
    number = measured.noise_floor("latency_us")
    assert number.value == pytest.approx(100 * expm1(neighbours(LOUD))) and number.cells == (B,)


def test_a_control_does_not_stand_in_for_real_cells_with_few_blocks(known):
    values = dict(a=QUIET, b=LOUD[:4] + [None] * 4)
    assert not results(known, values, twin=None, controls=CONTROL).floor("latency_us").known


def test_a_control_whose_copies_differ_discredits_no_claim_on_real_systems(known):
    """An effect of a factor of four is decided by the noise of what was compared."""
    known.claims(
        """
        @claim("C1", experiment="toy/known")
        def faster(results):
            '''B is slower than C.'''
            of, to = dict(way="b"), dict(way="c")
            return results.ratio("latency_us", of=of, to=to, size=1).above(2)
        """
    )
    values = dict(a=QUIET, b=[4 * v for v in LOUD], c=QUIET)
    rows = {}
    for controls in (CONTROL, {}):
        results(known, values, [1.05 * v for v in QUIET], controls=controls)
        rows[bool(controls)] = claims.judge_all(known.project, "local", "quick")[0]
    assert rows[True].verdict == "reproduced" and f"the noisiest cell, {B})" in rows[True].why
    assert rows[False].short == "two identical cells differ in latency_us"


# --- controls of results that are older than their declaration -------------------------------

TOML = '[controls]\n"toy/known" = { way = ["a"] }\n'


@pytest.mark.parametrize(
    "toml, described, cell",
    [
        (TOML, {}, B),
        (TOML.replace("known", "other"), {}, ""),
        (TOML, {"controls": {"way": ["c"]}}, ""),  # what the results say comes first
    ],
)
def test_older_results_have_their_controls_from_the_project(known, toml, described, cell):
    (known.project.root / "benchpaper.toml").write_text(toml)
    measured = results(known, dict(a=QUIET, b=LOUD), TWIN, **described)
    assert measured.floor("latency_us").cell == cell


@pytest.mark.parametrize(
    "toml", ["controls = 3", "[controls]\n'toy/known' = 3", "[controls]\n'toy/known' = {way = 'a'}"]
)
def test_other_controls_in_the_project_are_refused(known, toml):
    (known.project.root / "benchpaper.toml").write_text(toml)
    with pytest.raises(UserError, match=r"\[controls\] must give lists of levels: "):
        results(known, dict(a=QUIET))


# --- the floor between neighbours ------------------------------------------------------------


@pytest.mark.parametrize("n", [5, 8, 15, 30])
def test_neighbouring_blocks_give_about_the_floor_of_a_twin(n):
    rng = np.random.default_rng(n)
    cells = np.exp(rng.normal(0, 0.1, (300, n)))
    twins = np.exp(rng.normal(0, 0.1, (300, n)))
    by_twin = [stats.noise_floor(a, b).delta for a, b in zip(cells, twins)]
    by_neighbour = [neighbours(a) for a in cells]
    assert 0.75 <= np.median(by_neighbour) / np.median(by_twin) <= 1.25


def test_a_drift_adds_a_step_of_it_to_the_floor_between_neighbours():
    drifting = np.exp(np.linspace(0, 1, 21))
    assert neighbours(drifting) == pytest.approx(1 / 20)
    assert neighbours([3.0] * 5) == 0
    assert neighbours(LOUD) == pytest.approx(neighbours(np.multiply(LOUD, 7)))
    assert neighbours(LOUD) > 10 * log(1.001) and not stats.neighbour_floor([1.0] * 4).known
