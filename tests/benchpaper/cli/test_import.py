"""`benchpaper import`, and what the other commands say of what it imported."""

import json

import pytest
from published_tables import EXPERIMENT, NAME, csv, files, imported, rows

from benchpaper.analysis import estimates
from benchpaper.design.plan import DEFAULT_SEED
from benchpaper.workflow import damage, dependencies, plans
from benchpaper.workflow.pipeline import Pipeline

OPTIONS = {
    "--experiment": NAME,
    "--origin": "https://example.org/table.csv",
    "--licence": "CC-BY-4.0",
    "--host": "cpu=Xeon 6130",
    "--map": "miss_ratio=mr",
    "--block": "trace",
}


@pytest.fixture
def fresh(make_project):
    """A project with an experiment that nothing can measure, and a table."""
    project = make_project(files())
    (project.root / "results.csv").write_bytes(csv())
    return project


def words(*more, **changed):
    chosen = {**OPTIONS, **{f"--{name}": text for name, text in changed.items()}}
    return [
        "import",
        "results.csv",
        *(w for pair in chosen.items() if pair[1] for w in pair),
        *more,
    ]


def test_an_import_says_what_it_wrote_and_from_where(call, fresh):
    done = call(fresh.root, *words())
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == f"artifacts/reference/local/{NAME}/table.csv"
    assert "24 rows imported from https://example.org/table.csv" in done.stdout
    assert 'a block is a value of the column "trace"' in done.stdout
    plain = json.loads((fresh.results("local", "reference") / NAME / "import.json").read_text())
    assert plain["imported_by"] == ""  # a name only if one is given
    assert str(fresh.root) not in json.dumps(plain)


MISTAKES = {
    "no experiment": (dict(experiment=""), (), "--experiment is missing"),
    "unknown experiment": (dict(experiment="caching/published2"), (), f'did you mean "{NAME}"'),
    "no source": (dict(origin=""), (), '--origin "" says nothing; give the URL or the DOI'),
    "no licence": (dict(licence=""), (), '--licence "" says nothing'),
    "no host": (dict(host=""), (), "--host is missing"),
    "a host without a fact": (dict(host="Xeon"), (), '--host "Xeon" must be FACT=VALUE'),
    "a map without a column": (dict(map="miss_ratio"), (), "must be NAME=COLUMN"),
    "two columns for one": ({}, ("--map", "miss_ratio=x"), "--map gives miss_ratio twice"),
    "a factor that is no number": ({}, ("--times", "miss_ratio=x"), "must be a number"),
    "another digest": ({}, ("--sha256", "ab" * 32), "it is another file, or cut off"),
    "a zero digest": ({}, ("--sha256", "0" * 64), "not all zeros"),
    "a folder in a note": ({}, ("--note", "from /home/ada/t.csv"), "note would publish a folder"),
    "a folder in a note, and a fact with that name": (
        {},
        ("--note", "from /home/ada/t.csv", "--host", "note=a laptop"),
        "note would publish a folder",
    ),
    "a secret in an address": (
        dict(origin="https://example.org/t.csv?token=ghp_0123456789abcdefghijABCDEFGHIJ012345"),
        (),
        "source would publish",
    ),
    "a site that is unknown": (dict(site="loca"), (), "loca"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line_and_nothing_is_written(call, fresh, name):
    changed, more, expected = MISTAKES[name]
    done = call(fresh.root, *words(*more, **changed))
    assert done.returncode == 2 and done.stdout == ""
    assert len(done.stderr.splitlines()) == 1 and expected in done.stderr, done.stderr
    assert not (fresh.root / "artifacts/reference").exists()


@pytest.mark.parametrize("table", ["nothing.csv", "experiments", "results.txt"])
def test_a_file_that_is_no_table_is_refused(call, fresh, table):
    (fresh.root / "results.txt").write_bytes(csv())
    line = ["import", table, *words()[2:]]
    done = call(fresh.root, *line)
    assert done.returncode == 2 and table in done.stderr and "Traceback" not in done.stderr


def test_before_an_import_a_run_says_what_is_missing(call, fresh):
    done = call(fresh.root, "run", "results", "--scale", "smoke")
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert f"{NAME} has neither a trial nor imported results for site local" in done.stderr
    assert "benchpaper import TABLE" in done.stderr


def test_no_command_passes_it_for_measured(call, fresh):
    imported(fresh)
    listed = call(fresh.root, "list").stdout
    assert "imported: nothing is measured" in listed and "roles:" not in listed
    planned = call(fresh.root, "plan", "--scale", "smoke").stdout
    assert "nothing is measured; 24 rows are imported from" in planned
    assert json.loads(call(fresh.root, "plan", "--json").stdout)[0]["trials"] == 0
    for command in (["adopt"], ["pilot", NAME]):
        done = call(fresh.root, *command)
        assert done.returncode == 2 and "imported" in done.stderr


def test_a_run_never_measures_what_is_imported(fresh):
    imported(fresh)
    run = Pipeline(fresh, "local", "smoke", DEFAULT_SEED)
    run.check([NAME])
    assert not run.measures(NAME) and list(run.blocks(NAME)) == []
    assert run.finished(NAME).trials == 0
    assert run.again(NAME) is None and run.starved(NAME) == {} and damage.find(run, [NAME]) == {}
    inputs = {path.name for path in dependencies.block_files(run, NAME)}
    assert inputs == {"import.json", "table.csv", "experiment.py"}
    assert plans.plan(run, NAME)["imported"]["licence"] == "CC-BY-4.0"


def test_a_changed_table_stops_a_run_before_anything_starts(call, fresh):
    imported(fresh)
    table = fresh.results("local", "reference") / NAME / "table.csv"
    table.write_bytes(csv(rows(("w1", "w2"))))
    for source in (["--scale", "smoke"], ["--from", "reference"]):
        done = call(fresh.root, "run", "figures", *source)
        assert done.returncode == 2 and "it has changed since the import" in done.stderr


MEASURABLE = EXPERIMENT.replace(
    "Experiment, Factor, Metric", "Experiment, Factor, Metric, Scale"
).replace(
    "    ],\n)",
    """    ],
    twin=dict(algorithm="LRU", size_mb=1),
    scales={name: Scale(blocks=2) for name in ("smoke", "quick", "full")},
)


@experiment.trial
def trial(cell, site):
    yield dict(miss_ratio=0.5)
""",
)


def test_an_import_can_be_the_reference_of_an_experiment_that_is_measured_here(call, make_project):
    project = make_project(files(MEASURABLE))
    imported(project)
    here = Pipeline(project, "local", "smoke", DEFAULT_SEED)
    assert here.measures(NAME) and len(list(here.blocks(NAME))) == 2
    reference = Pipeline(project, "local", "reference", DEFAULT_SEED)
    assert not reference.measures(NAME) and reference.flaw_of_import(NAME) == ""
    results = estimates.load(NAME, project.results("local", "reference"))
    assert results.noise_floor("miss_ratio").missing == "imported results have no twin"
    done = call(project.root, "adopt", NAME)
    assert done.returncode == 2 and "never replaces it silently" in done.stderr
    assert "5 cells are not in the reference" in " ".join(
        call(project.root, "doctor").stdout.split()
    )
