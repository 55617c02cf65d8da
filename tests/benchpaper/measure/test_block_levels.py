"""What a trial learns of its block, and what the results keep of it."""

import json

import pytest
from block_results import observations, trials

from benchpaper import results
from benchpaper.analysis.estimates import load
from benchpaper.artifact.bundle import result_check
from benchpaper.artifact.bundle.archive import NotVerified

BODY = "yield dict(latency_us=float(site.block.seed % 1000 + 1), seen=repr(site.block))"
SEEN = 'Evidence("seen", "what the trial saw of its block")'


@pytest.fixture
def over(make_toy):
    """Return `make(block)`: a project whose blocks are declared so."""

    def make(block, blocks=2, body=BODY):
        project = make_toy(body, levels=("a", "b"), blocks=blocks, evidence=SEEN)
        path = project.root / "experiments/toy/one/experiment.py"
        text = path.read_text().replace("import Evidence,", "import Block, Evidence,")
        path.write_text(text.replace("    attempts=", f"    block={block}, attempts="))
        return project

    return make


@pytest.mark.parametrize(
    "block, levels, kind",
    [
        ('Block(over="trace", levels=["web", "mail"], meaning="a day")', ["web", "mail"], "string"),
        ('Block(over="seed", levels=[5, 6])', [5, 6], "int64"),
        ('Block(over="load", levels=[0.5, 1.0], unit="1")', [0.5, 1.0], "double"),
        ('Block(over="warm", levels=[False, True])', [False, True], "bool"),
        ("Block()", [None, None], None),
    ],
)
def test_a_trial_learns_number_level_and_seed_and_the_results_keep_them(
    over, block_of, block, levels, kind
):
    project = over(block)
    for number, level in enumerate(levels):
        block_of(project, number=number).measure()
        measured = trials(project, block=number)
        assert {row["block_seed"] for row in measured} == {measured[0]["block_seed"]}
        seed = measured[0]["block_seed"]
        shown = f"PlannedBlock(number={number}, seed={seed}, level={level!r})"
        rows = observations(project, block=number)
        assert [row["seen"] for row in rows] == [shown] * 2
        assert {row.get(results.BLOCK_LEVEL) for row in (*measured, *rows)} == {level}
    folder = project.results("local", "smoke") / "toy/one"
    results.collect(folder, 2)
    table, described = results.read(folder / results.TRIALS)
    version = table.schema.metadata[b"benchpaper.schema"]
    if kind is None:
        assert results.BLOCK_LEVEL not in table.column_names
        assert version == b"1" and "block" not in described
        return
    assert str(table.schema.field(results.BLOCK_LEVEL).type) == kind and version == b"2"
    assert described["block"]["levels"] == levels
    measured = load("toy/one", project.results("local", "smoke"))
    assert measured.block_levels == dict(enumerate(levels))


def test_a_block_resumes_and_is_restored_with_its_level(over, block_of):
    project = over('Block(over="trace", levels=["web", "mail"])')
    block_of(project, number=1).measure()
    again = block_of(project, number=1)
    whole = again.journal_path.read_bytes()
    assert json.loads(whole.splitlines()[0])["block_level"] == "mail"
    assert again.measure() == 0
    again.journal_path.write_bytes(whole.splitlines(keepends=True)[0])
    assert again.restore() == 1 and again.is_finished
    assert {
        json.loads(line)["block_level"] for line in again.journal_path.read_text().splitlines()
    } == {"mail"}


def test_another_level_makes_the_block_stale(over, block_of):
    project = over('Block(over="trace", levels=["web", "mail"])')
    before = block_of(project).key
    path = project.root / "experiments/toy/one/experiment.py"
    path.write_text(path.read_text().replace('"mail"', '"disk"'))
    assert block_of(project).key != before


@pytest.mark.parametrize("table", ["trials", "observations"])
def test_verify_finds_a_block_with_another_level_than_declared(
    over, block_of, tmp_path, monkeypatch, table
):
    project = over('Block(over="trace", levels=["web", "mail"])')
    for number in (0, 1):
        block_of(project, number=number).measure()
    folder = project.results("local", "smoke") / "toy/one"
    results.collect(folder, 2)
    names = [f"results/local/smoke/toy/one/{kind}.parquet" for kind in ("trials", "observations")]
    monkeypatch.setattr(result_check.confined, "reading", lambda what: None)
    result_check.check(project, names)  # as measured, it is right
    path = folder / f"{table}.parquet"
    rows, described = results.read(path)
    changed = [{**row, "block_level": "web"} for row in rows.to_pylist(maps_as_pydicts="strict")]
    results.write(path, changed, described, table)
    with pytest.raises(NotVerified):
        result_check.check(project, names)
