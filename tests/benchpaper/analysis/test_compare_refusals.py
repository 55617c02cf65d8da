"""What cannot be compared, the figure, the command line, the reference itself."""

import copy
import json
import shutil
from dataclasses import replace

import pyarrow.parquet as pq
import pytest
from checkout import ROOT
from two_runs import REFERENCE, compared

from benchpaper.analysis import compare
from benchpaper.analysis.compare import forest
from benchpaper.analysis.compare.pairs import UnknownFloors
from benchpaper.analysis.compare.ratios import NotCompared
from benchpaper.analysis.estimates import load
from benchpaper.core.errors import UserError
from benchpaper.core.project import Project
from benchpaper.results import TRIALS, ResultsError

# --- what is refused -------------------------------------------------------------------------


def changed(described, part, n, **changes):
    described = copy.deepcopy(described)
    described[part][n] |= changes
    return described


@pytest.mark.parametrize(
    "part, n, changes, message",
    [
        (
            "factors",
            1,
            dict(unit="KiB"),
            (
                "toy/known: factors here: size (B), way; in the reference: size (KiB), way; "
                "these cannot be compared"
            ),
        ),
        (
            "metrics",
            0,
            dict(unit="ns"),
            (
                "metric latency_us here: µs, lower is better, value kept; in the reference: ns, "
                "lower is better"
            ),
        ),
        ("metrics", 0, dict(better="higher"), "in the reference: µs, higher is better"),
    ],
)
def test_other_factors_or_units_are_refused_naming_both_sides(both, part, n, changes, message):
    both.write("reference", REFERENCE, described=changed(both.described, part, n, **changes))
    with pytest.raises(UserError) as refused:
        compared(both)
    assert message in str(refused.value) and "\n" not in str(refused.value)


def test_a_metric_that_only_one_side_has_is_refused(both):
    described = copy.deepcopy(both.described)
    described["metrics"].pop()
    both.write("reference", REFERENCE, described=described)
    with pytest.raises(
        UserError, match="metric rate here: 1/s, .*; in the reference: not declared"
    ):
        compared(both, "rate")
    assert compared(both).metric["name"] == "latency_us"
    with pytest.raises(UserError, match='metric "latency" not found; did you mean "latency_us"'):
        compared(both, "latency")


def test_a_side_without_results_is_named(both):
    with pytest.raises(
        UserError, match=r'no results of toy/known in the reference \(site "lab", reference\)'
    ):
        compared(both, reference_site="lab")
    with pytest.raises(UserError, match=r'no results of toy/known here \(site "local", full\)'):
        compare.compare(both.project, "toy/known", "local", "full", "local")
    with pytest.raises(UserError, match="cannot be compared with itself"):
        compare.compare(both.project, "toy/known", "local", "reference", "local")


def test_a_reference_of_another_schema_is_refused(both):
    path = both.project.results("local", "reference") / "toy/known" / TRIALS
    table = pq.read_table(path)
    pq.write_table(
        table.replace_schema_metadata({**table.schema.metadata, b"benchpaper.schema": b"7"}), path
    )
    with pytest.raises(ResultsError, match="schema version 7, but this program reads 1"):
        compared(both)


# --- the figure and the command line ---------------------------------------------------------


def test_the_figure_has_a_row_for_each_compared_cell_and_stays_readable(both):
    comparison = compared(both)
    figure = forest.draw(comparison)
    labels = [label.get_text() for axis in figure.axes for label in axis.get_yticklabels()]
    assert labels == ["way a", "1 B", "2 B", "way b", "1 B", "2 B"]
    (row,) = (row for row in comparison.cells if row.cell == "way=a size=2")
    levels = [{"way": f"w{n // 20}", "size": n % 20} for n in range(120)]
    many = tuple(replace(row, levels=each) for each in levels)
    figure = forest.draw(replace(comparison, cells=many))
    assert len(figure.axes) >= 3 and sum(len(axis.get_yticks()) for axis in figure.axes) >= 120 + 6
    for axis in figure.axes:
        height = axis.get_position().height * figure.get_figheight()
        assert height / len(axis.get_yticks()) > 0.1  # inches a row
    nothing = replace(row, ratio=NotCompared("not compared: here: needs rdma"))
    assert forest.draw(replace(comparison, cells=(nothing,))) is None


def test_saving_the_figure_leaves_two_files_and_the_same_bytes(both, tmp_path):
    for folder in ("one", "two"):
        forest.save(forest.draw(compared(both)), tmp_path / folder, "toy_known")
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == [
        "toy_known.pdf",
        "toy_known.png",
    ]
    assert (tmp_path / "one/toy_known.png").read_bytes() == (
        tmp_path / "two/toy_known.png"
    ).read_bytes()


def test_the_command_tells_the_sites_first_and_where_the_figure_lies(both, run_benchpaper):
    done = run_benchpaper(both.project, "compare")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == (
        "toy/known: results of site local, scale quick, 8 blocks, compared with reference results "
        "of site local, scale reference, 8 blocks"
    )
    assert (
        lines[1] == "  what differs between the sites:"
        and lines[2] == "    cpu: here Quick 3000; in the reference Slow 100"
    )
    for told_ in (
        "C1: here: reproduced",
        "slower by 2.00x [",
        "6 cells common to both (2 only in the reference)",
        "1 cells not compared: here: needs rdma",
    ):
        assert told_ in done.stdout
    assert lines[-2:] == [
        "  figure: build/local-quick/compare/toy_known.png and "
        "build/local-quick/compare/toy_known.pdf",
        "the claims of toy: build/local-quick/compare/family-toy.png",
    ]
    assert all(
        (both.project.root / name).stat().st_size > 1000
        for name in lines[-1].split(": ")[1].split(" and ")
    )
    comparison = json.loads(
        run_benchpaper(
            both.project, "compare", "toy/known", "--json", "--metric", "latency_us"
        ).stdout
    )
    assert comparison[0]["cells"][1]["word"] == "slower" and comparison[0]["figures"][0].endswith(
        "toy_known.png"
    )


@pytest.mark.parametrize(
    "words, message",
    [
        (["toy/knwon"], 'experiment "toy/knwon" not found; did you mean "toy/known"?'),
        (["--metric", "latency"], 'metric "latency" not found; did you mean "latency_us"?'),
        (
            ["--scale", "full"],
            'no results for site "local" at scale full; choose --scale quick or --from reference',
        ),
        (
            ["--reference-site", "lab"],
            'site of reference results "lab" not found (there are: local)',
        ),
    ],
)
def test_a_mistake_is_one_line(both, run_benchpaper, words, message):
    done = run_benchpaper(both.project, "compare", *words)
    assert done.returncode == 2 and message in done.stderr and done.stderr.count("\n") == 1


def test_two_sites_of_the_reference_are_compared_by_what_both_have(both, run_benchpaper):
    guests, asked = both.project.results("guests", "reference"), ["--site", "guests"]
    shutil.copytree(both.project.results("local", "quick"), guests)
    done = run_benchpaper(both.project, "compare", *asked, "--from", "reference")
    assert done.returncode == 0, done.stderr
    assert "cpu: here Quick 3000; in the reference Slow 100" in done.stdout
    assert "build/guests-reference/compare/toy_known.png" in done.stdout
    experiments = both.project.root / "experiments/toy"
    shutil.copytree(experiments / "known", experiments / "other")
    (guests / "toy/known").rename(guests / "toy/other")
    done = run_benchpaper(both.project, "compare", *asked, "--from", "reference")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert 'has results of both the site "guests" (reference) and the reference' in done.stderr


# --- the reference against itself ------------------------------------------------------------

REFERENCE_RESULTS = Project(ROOT).results("local", "reference")
MEASURED_BY_THE_AUTHORS = sorted(
    path.parent.relative_to(REFERENCE_RESULTS).as_posix()
    for path in REFERENCE_RESULTS.glob("*/*/trials.parquet")
)


class FewCells(compare.Pair):
    """The first cells alone: comparing all of them takes minutes."""

    @property
    def cells(self):
        return super().cells[:3]


@pytest.mark.parametrize("experiment", MEASURED_BY_THE_AUTHORS)
def test_every_metric_of_every_experiment_can_be_compared(experiment):
    results = load(experiment, REFERENCE_RESULTS)
    pair = FewCells(results, results)
    for metric in results.described["metrics"]:
        noise = compare.noise(pair, metric["name"])
        if isinstance(noise, UnknownFloors):
            assert noise.why
            rows = compare.cells(pair, metric)
            assert all(row.ratio.word in ("undecided", "not compared") for row in rows), rows
            assert compare.crossovers(pair, metric["name"]) == []
