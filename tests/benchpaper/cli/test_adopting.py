"""`benchpaper adopt` replaces the files of the reference as wholes, and both or none."""

import shutil

import pytest
from click.testing import CliRunner

from benchpaper import results
from benchpaper.cli.results import adopt

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
