"""Imported results: what an import writes, what replaces it, and what `verify` finds in it."""

import hashlib
import json
import shutil

import pyarrow.parquet as pq
import pytest
from published_tables import EXPERIMENT, NAME, csv, files, imported, record, rows

from benchpaper import results
from benchpaper.artifact import importing
from benchpaper.artifact.bundle import import_check, result_check
from benchpaper.artifact.bundle.anonymity import tables
from benchpaper.artifact.bundle.archive import NotVerified
from benchpaper.core.errors import UserError
from benchpaper.design import catalog
from benchpaper.results.import_record import RECORD, read_record

PLACE = f"artifacts/reference/local/{NAME}"
FILES = ("import.json", "observations.parquet", "table.csv", "trials.parquet")


@pytest.fixture
def project(make_project):
    project = make_project(files())
    imported(project)
    return project


def content(project):
    folder = project.root / PLACE
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def verified(project, place=PLACE):
    """Check the results at a place as `verify` does."""
    names = [f"{place}/{kind}" for kind in (results.TRIALS, results.OBSERVATIONS)]
    _, read = result_check.check(project, names)
    return import_check.check(project, read)


def test_an_import_writes_table_record_and_results(project):
    assert tuple(content(project)) == FILES
    assert content(project)["table.csv"] == csv()
    assert read_record(project.root / PLACE / RECORD) == record()
    trials, described = results.read(project.root / PLACE / results.TRIALS)
    assert set(trials.column("state").to_pylist()) == {"imported"}
    assert set(trials.column("scale").to_pylist()) == {"imported"}
    assert trials.column("started").null_count == trials.num_rows == 24
    assert described["imported"] == record().to_json()
    metadata = pq.read_schema(project.root / PLACE / results.TRIALS).metadata
    assert metadata[b"benchpaper.schema"] == b"3"


def test_the_same_import_gives_the_same_bytes(project):
    before = content(project)
    imported(project)
    assert content(project) == before


def test_another_import_replaces_it_whole(project):
    data = csv().replace(b",", b"\t")
    imported(project, note="again")
    assert read_record(project.root / PLACE / RECORD).note == "again"
    tsv = record(csv(), table="table.tsv", sha256=hashlib.sha256(data).hexdigest())
    importing.save(project, "local", tsv, data)
    assert "table.csv" not in content(project) and content(project)["table.tsv"] == data


@pytest.mark.parametrize("broken", ["{", '{"benchpaper_import": 99}'])
def test_importing_again_mends_a_broken_record(project, broken):
    before = content(project)
    (project.root / PLACE / RECORD).write_text(broken)
    with pytest.raises(UserError, match="import again"):
        importing.recorded(project, "local", NAME)
    imported(project)
    assert content(project) == before


def test_a_mistake_leaves_everything_as_it_was(project):
    before = content(project)
    with pytest.raises(UserError, match="is no level"):
        imported(project, csv([*rows(), "w9,ARC,1,0.5"]))
    assert content(project) == before


def test_an_import_never_replaces_measured_results(project):
    folder = project.root / PLACE
    described = catalog.load(project, NAME).describe()
    shutil.rmtree(folder)
    for kind in (results.TRIALS, results.OBSERVATIONS):
        results.write(folder / kind, [], described, kind.split(".")[0])
    with pytest.raises(UserError, match="has measured results .*, which an import never replaces"):
        imported(project)


def test_an_invalid_cell_is_refused(make_project):
    valid = "\n\n@experiment.valid\ndef valid(cell):\n    return cell.size_mb == 1\n"
    project = make_project(files(EXPERIMENT + valid))
    with pytest.raises(UserError, match=r"algorithm=LRU size_mb=64, which valid\(\) of"):
        imported(project)


def test_the_results_at_a_scale_follow_from_the_reference(project):
    importing.collect(project, "local", "smoke", NAME)
    there = project.results("local", "smoke") / NAME
    for kind in (results.TRIALS, results.OBSERVATIONS):
        assert (there / kind).read_bytes() == (project.root / PLACE / kind).read_bytes()
    [line] = verified(project, f"results/local/smoke/{NAME}")
    assert line == "1 of 1 results are imported, and follow from their tables"


def test_a_change_of_table_record_or_declaration_is_noticed(project):
    experiment = catalog.load(project, NAME)
    assert importing.flaw(project, "local", experiment) == ""
    table, note = project.root / PLACE / "table.csv", project.root / PLACE / RECORD
    table.write_bytes(csv().replace(b"0.4", b"0.3"))
    assert "it has changed since the import" in importing.flaw(project, "local", experiment)
    table.write_bytes(csv())
    plain = json.loads(note.read_text())
    note.write_text(json.dumps({**plain, "licence": "CC0-1.0"}))
    assert "import again" in importing.flaw(project, "local", experiment)
    note.write_bytes(importing.as_text(record()))
    described = experiment.describe()
    experiment.describe = lambda: {**described, "newer": 1}  # of a later version
    assert importing.flaw(project, "local", experiment) == ""
    del experiment.describe
    experiment.title = "Another"
    assert "declaration" in importing.flaw(project, "local", experiment)
    table.unlink()
    assert "table.csv of caching/published is gone" in importing.flaw(project, "local", experiment)


def of_parquet(kind, change):
    """Return a forgery: a change of the rows of a results file, or of its description."""

    def forge(folder):
        table, described = results.read(folder / kind)
        rows = table.to_pylist(maps_as_pydicts="strict")
        change(rows, described)
        results.write(folder / kind, rows, described, kind.split(".")[0])

    return forge


def of_record(**changes):
    def forge(folder):
        plain = json.loads((folder / RECORD).read_text())
        (folder / RECORD).write_text(json.dumps({**plain, **changes}))

    return forge


def better(rows, _):
    rows[0]["miss_ratio"] *= 0.5


def measured(rows, _):
    for row in rows:
        row.update(state="measured", scale="full")


def other_import(_, described):
    described["imported"]["source"] = "https://example.org/other.csv"


def both(change):
    def forge(folder):
        for kind in (results.TRIALS, results.OBSERVATIONS):
            of_parquet(kind, change)(folder)

    return forge


def no_import(_, described):
    del described["imported"]


FORGERIES = {
    "a better value": (
        of_parquet(results.OBSERVATIONS, better),
        "observations.parquet does not follow from the imported table",
    ),
    "another machine": (
        of_parquet(results.TRIALS, lambda rows, _: rows[0].update(hosts={"original.cpu": "x"})),
        "trials.parquet does not follow",
    ),
    "a table that was changed": (
        lambda folder: (folder / "table.csv").write_bytes(csv().replace(b"0.4", b"0.3")),
        "it has changed since the import",
    ),
    "no table": (lambda folder: (folder / "table.csv").unlink(), "table.csv of .* is gone"),
    "no record": (lambda folder: (folder / RECORD).unlink(), "import.json is not inside"),
    "another licence": (of_record(licence="CC0-1.0"), "names another import than import.json"),
    "a zero digest": (of_record(sha256="0" * 64), "not all zeros"),
    "a record of other rows": (of_record(columns={"miss_ratio": "trace"}), "names another import"),
    "a table elsewhere": (of_record(table="../../table.csv"), "names another import"),
    "another source": (both(other_import), "names another import than import.json"),
    "passed for measured": (of_parquet(results.TRIALS, measured), 'of scale "full", but it lies'),
    "passed for measured in part": (
        of_parquet(results.TRIALS, lambda rows, _: rows[0].update(state="measured")),
        "is measured without an attempt",
    ),
    "the record taken away": (both(no_import), "mixes imported and measured|lies at"),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_verify_finds_a_forged_import(project, name):
    assert len(verified(project)) == 1
    forge, words = FORGERIES[name]
    forge(project.root / PLACE)
    with pytest.raises(UserError, match=words):
        verified(project)


def test_an_anonymous_import_is_verified_and_has_no_name(project):
    """Texts and commits are replaced alike in record and results, as `bundle --anonymous` does."""
    imported(project, imported_by="Ada Quillfeather")

    def replace(text):
        return text.replace("Ada Quillfeather", "anonymous")

    for path in (project.root / PLACE).iterdir():
        data = path.read_bytes()
        path.write_bytes(
            tables.rewrite(data, replace, {"git_commit": "0" * 40})
            if path.suffix == ".parquet"
            else replace(data.decode()).encode()
        )
        assert b"Quillfeather" not in path.read_bytes()
    assert len(verified(project)) == 1


def test_results_that_hide_their_import_are_not_verified(project):
    """Without the record, and at another scale, the trials' state still tells."""

    def hidden(rows, described):
        described.pop("imported")
        for row in rows:
            row.update({"scale": "full"} if "scale" in row else {})

    both(hidden)(project.root / PLACE)
    with pytest.raises(NotVerified, match="hides an import"):
        verified(project)
