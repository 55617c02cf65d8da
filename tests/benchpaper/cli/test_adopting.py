"""`benchpaper adopt` replaces the files of the reference as wholes, both or none, for a reason."""

import shutil
from datetime import datetime

import pytest
from click.testing import CliRunner

from benchpaper import results
from benchpaper.cli.results import adopt
from benchpaper.core.errors import UserError
from benchpaper.results import reference_log

LATER = "2026-02-03T04:05:06+00:00"
WHY = "the client reads with O_DIRECT"
KINDS = (results.OBSERVATIONS, results.TRIALS)


@pytest.fixture
def measured(known, monkeypatch):
    """Results at scale full, which are the reference too; return (folder, reference folder)."""
    monkeypatch.chdir(known.project.root)
    known.write("full", {("a", 1): [1.0] * 5})
    assert CliRunner().invoke(adopt, ["toy/known"]).exit_code == 0
    known.write("full", {("a", 1): [2.0] * 5})
    return [
        known.project.results("local", source) / "toy/known" for source in ("full", "reference")
    ]


def bytes_of(folder):
    return {kind: (folder / kind).read_bytes() for kind in KINDS}


def test_both_files_are_those_of_the_results(measured):
    folder, reference = measured
    assert bytes_of(folder) != bytes_of(reference)
    assert CliRunner().invoke(adopt, ["toy/known"]).exit_code == 0
    assert bytes_of(folder) == bytes_of(reference)
    assert sorted(path.name for path in reference.iterdir()) == sorted(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_disk_that_fills_meanwhile_leaves_the_reference_as_it_was(measured, monkeypatch, kind):
    (folder, reference), copy = measured, shutil.copyfile
    before = bytes_of(reference)

    def fill(source, target):
        copy(source, target)
        if source == folder / kind:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", fill)
    assert isinstance(CliRunner().invoke(adopt, ["toy/known"]).exception, OSError)
    assert bytes_of(reference) == before
    assert sorted(path.name for path in reference.iterdir()) == sorted(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_results_are_never_adopted(measured, kind):
    folder, reference = measured
    before = bytes_of(reference)
    (folder / kind).write_bytes((folder / kind).read_bytes()[:-50] + bytes(50))
    done = CliRunner().invoke(adopt, ["toy/known"])
    assert isinstance(done.exception, results.ResultsError)
    assert bytes_of(reference) == before


# ---- the reason ----


def adopted(*words):
    done = CliRunner().invoke(adopt, ["toy/known", *words])
    return done, str(done.exception)


@pytest.fixture
def again(measured, known):
    """A reference, and results that were measured after it."""
    known.write("full", {("a", 1): [3.0] * 5}, started=datetime.fromisoformat(LATER).timestamp())
    return measured


def logged(known):
    return [(row.started, row.replaced, row.why) for row in reference_log.read(known.project)]


def test_the_first_reference_is_logged_without_a_reason_and_the_same_trials_once(measured, known):
    [(started, replaced, why)] = logged(known)
    assert (replaced, why) == ("-", "first reference") and started.endswith("+00:00")
    assert adopted("--why", WHY)[0].exit_code == 0
    assert logged(known) == [(started, replaced, why)]


def test_other_trials_replace_a_reference_only_for_a_reason(again, known):
    (_, reference), [(first, _, _)] = again, logged(known)
    before = bytes_of(reference)
    for words in ([], ["--why", "  "]):
        assert f"measured from {first[:16]}; say why another" in adopted(*words)[1]
    assert bytes_of(reference) == before and len(logged(known)) == 1
    assert adopted("--why", WHY)[0].exit_code == 0
    assert logged(known)[1:] == [(LATER, first, WHY)]
    assert bytes_of(reference) == bytes_of(again[0])


@pytest.mark.parametrize("first", [True, False])
def test_a_reason_that_would_break_the_log_is_refused_before_anything_is_copied(
    first, again, known
):
    if first:
        shutil.rmtree(again[1])
    before = again[1].exists() and bytes_of(again[1])
    assert 'holds "|"' in adopted("--why", "a|b")[1]
    assert (again[1].exists() and bytes_of(again[1])) == before and len(logged(known)) == 1


def test_an_interrupted_adoption_is_logged_once(again, known, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfile", lambda *_: 1 / 0)
        assert adopted("--why", "a first try")[1] == "division by zero"
    assert adopted("--why", WHY)[0].exit_code == 0
    assert [why for _, _, why in logged(known)] == ["first reference", WHY]


def test_an_authors_words_around_the_log_stay_and_a_broken_row_is_named(again, known):
    path = reference_log.path(known.project)
    path.write_text(path.read_text() + "\nMore words.\n")
    assert adopted("--why", WHY)[0].exit_code == 0
    lines = path.read_text().splitlines()
    assert WHY in lines[-3] and lines[-1] == "More words."
    path.write_text(path.read_text().replace(f"| {WHY} ", ""))
    with pytest.raises(UserError, match=f"CHANGES.md:{len(lines) - 2} has 4 cells, where 5 belong"):
        reference_log.read(known.project)


def test_a_damaged_reference_is_replaced_and_the_log_says_that_it_was_damaged(again, known):
    (again[1] / results.TRIALS).write_bytes(b"PAR1")
    assert adopted()[0].exit_code == 0 and bytes_of(again[0]) == bytes_of(again[1])
    assert logged(known)[-1] == (LATER, "damaged", "it cannot be read")
