"""Several observations of a trial, read by their level: a time series, or a row per key."""

import pytest
import small_series

from benchpaper.analysis import claims, exhibits, recomputing
from benchpaper.analysis.compare.comparison import cells
from benchpaper.analysis.compare.pairs import Pair
from benchpaper.analysis.values import InsufficientDataError
from benchpaper.artifact.bundle import observation_check
from benchpaper.core.errors import UserError

SERIES = """
from benchpaper import Experiment, Factor, Metric, Scale

experiment = Experiment(
    title="Series", question="How does a cache warm up?",
    factors=[Factor("size", [1, 2], unit="MB")],
    within=[Factor("second", [0, 1, 2], unit="s")],
    metrics=[Metric("hits", unit="1", better="higher", optional=True),
             Metric("total", unit="1", better="higher", optional=True)],
    scales={name: Scale(blocks=6) for name in ("smoke", "quick", "full")},
    twin=dict(size=1),
)

@experiment.trial
def trial(cell, site):
    block = site.block.number
    for second in (0, 1, 2):
        if (cell.size, second) != (2, 2):
            noise = 1 + block % 3 / (50 if second else 4) * (-1 if cell.twin else 1)
            yield dict(second=second, hits=10.0 * cell.size * (second + 1) * noise)
    yield dict(total=100.0 * cell.size + block % 2)
"""


@pytest.fixture(scope="module")
def series(tmp_path_factory, other_experiments):
    """Results of a real run, whose trials yield a value for each second, and a total."""
    with other_experiments():
        return small_series.measured(tmp_path_factory.mktemp("series"), SERIES)


def test_a_summary_has_a_row_for_each_cell_and_level(series):
    frame = series.summary("hits").frame
    assert frame[["size", "second"]].values.tolist() == [[s, n] for s in (1, 2) for n in (0, 1, 2)]
    assert frame["n"].tolist() == [6, 6, 6, 6, 6, 0]
    assert frame["missing"].tolist()[-1] == "this cell does not have this metric"
    assert series.summary("hits", second=[1, 2], size=1).frame["second"].tolist() == [1, 2]
    totals = series.summary("total").frame
    assert list(totals.columns)[:2] == ["size", "value"] and len(totals) == 2


def test_estimates_ratios_and_samples_take_a_level(series):
    estimate = series.estimate("hits", size=2, second=1)
    assert estimate.n == 6 and estimate.value == pytest.approx(40.8)
    assert estimate.cells == ("size=2 at second=1",)
    ratio = series.ratio("hits", of=dict(size=2), to=dict(size=1), second=1)
    assert ratio.paired and ratio.value == pytest.approx(2)
    later = series.ratio("hits", of=dict(second=1), to=dict(second=0), size=1)
    assert later.value > 1 and later.n == 6
    assert series.estimate("total", size=1).value == pytest.approx(100.5, rel=1e-3)


@pytest.mark.parametrize(
    "ask, message",
    [
        (
            lambda r: r.estimate("hits", size=1),
            "toy/series: 3 cells have {'size': 1}; say which second",
        ),
        (
            lambda r: r.estimate("hits", size=1, second=7),
            'toy/series: level of second "7" not found',
        ),
        (
            lambda r: r.estimate("total", size=1, second=1),
            "toy/series: total belongs to the whole trial; leave out second",
        ),
        (lambda r: r.cells(second=1), 'toy/series: no factor "second"'),
    ],
)
def test_a_mistake_names_what_to_do(series, ask, message):
    with pytest.raises(UserError) as refused:
        ask(series)
    assert message in str(refused.value) and "\n" not in str(refused.value)


def test_a_cell_alone_does_not_choose_a_row(series):
    with pytest.raises(InsufficientDataError, match="several values of hits; choose a level"):
        series.block_df("hits", "size=1")


@pytest.mark.parametrize("second, decided", [(0, False), (1, True)])
def test_the_noise_floor_is_that_of_the_level(series, second, decided):
    """The first second is noisy. That must not spoil claims on the second one."""
    [row] = claims.judge(
        [
            claims.Claim(
                "C1", "toy/series", "Larger is better.",
                lambda r: r.ratio(
                    "hits", of=dict(size=2), to=dict(size=1), second=second
                ).above(1.7),
            )
        ],
        series, "quick",
    ).values()  # fmt: skip
    assert (row.verdict == "reproduced") == decided, row.why
    noisy, calm = (series.floor("hits", at=[{"second": s}]).delta for s in (0, 1))
    assert noisy > 3 * calm and series.floor("hits").delta == noisy
    at = series.noise_floor("hits", second=1)
    assert at.value < series.noise_floor("hits").value
    assert recomputing.compute(series, recomputing.recipe(at)) == at


def test_an_exhibit_names_the_cell_and_its_recipe_the_row(series, tmp_path):
    saved = exhibits.Exhibits(series, tmp_path)
    saved.number("warm", series.estimate("hits", size=2, second=1))
    frames = []
    saved.figure("series", lambda frame: _figure(frame, frames), series.summary("hits"))
    manifest = exhibits.manifest_of(series, saved._entries)
    number = manifest.exhibits["warm"]
    assert number.cells == ("size=2",) and number.how.cells == ("size=2 at second=1",)
    assert manifest.exhibits["series"].cells == ("size=1", "size=2")
    again = recomputing.compute(series, number.how)
    assert exhibits.number_of(again).text == number.text
    assert frames[0]["second"].tolist() == [0, 1, 2, 0, 1]


def _figure(frame, frames):
    import matplotlib.pyplot as plt

    frames.append(frame)
    return plt.figure()


def test_two_runs_are_compared_row_by_row(series):
    compared = cells(Pair(series, series), series.metric("hits"))
    assert [row.cell for row in compared][:2] == ["size=1 at second=0", "size=1 at second=1"]
    assert [row.levels["second"] for row in compared] == [0, 1, 2, 0, 1, 2]


def test_the_interactive_plot_runs_along_the_level(series, tmp_path):
    from benchpaper.paper.html import plots

    saved = exhibits.Exhibits(series, tmp_path)
    saved.figure("series", lambda frame: _figure(frame, []), series.summary("hits"))
    drawn = plots.figure(series, saved._entries["series"])
    assert drawn.x == "second (s)" and len(drawn.rows) == 5


def test_verify_finds_rows_that_nothing_tells_apart(series):
    assert not [*observation_check._rows_within(series)]
    observed = series.observation_df.copy()
    observed.loc[observed["second"] == 2, "second"] = 1
    broken = type(series)(series.described, series.trial_df, observed, series.source)
    [first, *_] = observation_check._rows_within(broken)
    assert 'yields "hits" twice at second=1' in first
