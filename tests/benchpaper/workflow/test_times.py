"""A plan's price follows from measured times as far as there are any, and says which it used."""

import pytest

from benchpaper import results
from benchpaper.workflow import plans, times
from benchpaper.workflow.pipeline import Pipeline

SLEEPS = """
    time.sleep(0.4 if cell.way == "b" else 0)
    yield dict(latency_us=1.0)
"""


@pytest.fixture
def planned(probed_once):
    """Return `plan(project, scale)`: a plan as data, as a new command makes it."""

    def plan(project, scale="smoke"):
        run = Pipeline(project, "local", scale, 1)
        vars(run)["probed"] = probed_once
        return plans.plan(run, "toy/one")

    return plan


def test_without_measurements_the_declared_seconds_count(make_toy, planned, capsys):
    item = planned(make_toy(SLEEPS, levels="ab", blocks=2))
    assert item["seconds_from"] == {"declared": 2} and item["seconds"] == 0.0
    plans.show_plans([item])
    assert "about 0 s (as declared), up to" in capsys.readouterr().out


@pytest.mark.parametrize("state", ["collected", "a finished block", "an interrupted block"])
def test_measured_seconds_count_for_the_rest_even_if_the_code_changed(
    make_toy, block_of, planned, capsys, state
):
    project = make_toy(SLEEPS, levels="ab", blocks=2)
    folder = project.results("local", "smoke") / "toy/one"
    blocks = [block_of(project, number=number) for number in range(2)]
    for block in blocks:
        block.measure()
    if state == "collected":
        results.collect(folder, 2)
    if state == "an interrupted block":
        lines = blocks[0].journal_path.read_bytes().splitlines(keepends=True)
        blocks[0].journal_path.write_bytes(next(line for line in lines if b'"way=b"' in line))
        for path in [*(folder / "blocks").iterdir(), blocks[1].journal_path]:
            path.unlink()
    path = project.experiments / "toy/one/experiment.py"
    path.write_text(path.read_text() + "\nchanged = 1\n")
    item = planned(project)
    plans.show_plans([item])
    shown = capsys.readouterr().out
    assert 0.8 <= item["seconds"] < 20
    if state == "an interrupted block":
        assert item["seconds_from"] == {"here": 1, "declared": 1}
        assert "(1 cells as measured here before, 1 cells as declared), up to" in shown
    else:
        assert item["seconds_from"] == {"here": 2} and "(as measured here before)" in shown


def test_the_reference_counts_at_its_own_scale_only(make_toy, block_of, planned):
    project = make_toy(SLEEPS, levels="ab")
    block_of(project, scale="full").measure()
    results.collect(project.results("local", "full") / "toy/one", 1)
    reference = project.results("local", "reference") / "toy"
    reference.parent.mkdir(parents=True)
    (project.results("local", "full") / "toy").rename(reference)
    assert planned(project, "full")["seconds_from"] == {"reference": 2}
    assert planned(project, "smoke")["seconds_from"] == {"declared": 2}


def test_a_declaration_far_from_the_measured_seconds_is_named(make_toy, block_of, planned, capsys):
    project = make_toy("time.sleep(1.2)\nyield dict(latency_us=1.0)")
    assert planned(project)["seconds_remark"] == ""
    block_of(project).measure()
    plans.show_plans([planned(project)])
    remark = "s on average, not trial_seconds=0.01; correct that for scale smoke in "
    assert f"{remark}experiments/toy/one/experiment.py" in capsys.readouterr().out


def test_a_trial_that_never_ran_and_a_broken_file_tell_no_time(make_toy, block_of, planned):
    project = make_toy(
        "yield dict(latency_us=1.0)", more="experiment.needs(lambda cell: ['rdma'])", blocks=2
    )
    block_of(project).measure()
    assert planned(project)["seconds_from"] == {}
    folder = project.results("local", "smoke") / "toy/one"
    results.block_file(folder, 0, results.TRIALS).write_bytes(b"PAR1")
    assert planned(project)["seconds"] == 0


@pytest.mark.parametrize(
    "stored, site, kind",
    [
        ("cloudlab", "cloudlab", "reference"),
        ("local", "cloudlab", "reference"),  # better than a guess
        ("cloudlab", "local", "declared"),
    ],
)
def test_the_reference_of_a_site_counts_there(make_toy, block_of, stored, site, kind):
    project = make_toy(SLEEPS, levels="ab")
    block_of(project, scale="full").measure()
    folder = project.results("local", "full") / "toy"
    results.collect(folder / "one", 1)
    reference = project.results(stored, "reference") / "toy"
    reference.parent.mkdir(parents=True)
    folder.rename(reference)
    known = times.measured(project, site, project.results(site, "full"), "toy/one", "full")
    assert len(known.reference) == (2 if kind == "reference" else 0)
