"""What trials read is shown wherever their results are, and an archive holds it or says where."""

import hashlib
import json

import pytest
import small_project
from changed_archives import RESULTS, TRIALS, again, inspected, needs_latex, project_of

from benchpaper import results
from benchpaper.artifact.bundle import inputs
from benchpaper.artifact.bundle.archive import NotVerified
from benchpaper.core.contents import listing_digest
from benchpaper.core.errors import UserError
from benchpaper.core.project import Project
from benchpaper.paper import provenance

WORDS = small_project.WORDS.encode()
SHA = hashlib.sha256(WORDS).hexdigest()
LINE = f"data/words.txt  sha256 {SHA[:16]}…  (CC0-1.0)"


@needs_latex
def test_it_is_shown_in_the_trail_the_appendix_and_the_report(small, capsys):
    trail = provenance.explain(small, "toy-pipe-cost-4k", "local", "smoke")
    provenance.show(trail)
    printed = capsys.readouterr().out
    assert f"  input     {LINE}\n" in printed and "STALE" not in printed
    assert json.loads(json.dumps(trail.to_json()))["inputs"][0]["sha256"] == SHA
    appendix = (small.build("local", "smoke") / "appendix.md").read_text()
    assert f"**Input**: {LINE}" in appendix and "Data: E1 read inputs" in appendix
    assert "No data set is needed" not in appendix
    pages = (small.build("local", "smoke") / "report").rglob("*.html")
    assert any(SHA[:16] in path.read_text() for path in pages)


@needs_latex
def test_an_archive_holds_it_and_verify_says_so(small_files, tmp_path):
    assert small_files["data/words.txt"] == WORDS
    project = project_of(small_files, tmp_path)
    described = results.read_description(project.root / RESULTS / TRIALS)
    listed = inputs.used("toy/pipe_cost", described)
    line = "1 inputs are in the archive, with the digests that their results name"
    assert inputs.check(small_files, listed) == line
    with pytest.raises(NotVerified, match="come from"):
        inputs.check({**small_files, "data/words.txt": b"other"}, listed)


@needs_latex
def test_an_archive_with_another_input_is_not_verified(small_files, tmp_path):
    path = again(tmp_path / "forged.zip", {**small_files, "data/words.txt": b"other\n"})
    with pytest.raises(UserError, match=r"the input data/words.txt has the sha256"):
        inspected(path, tmp_path)


def row(**fields):
    item = {"path": "data/x", "sha256": SHA, "url": "", "doi": "", "licence": "CC0-1.0"}
    return {**item, "bytes": 1, "files": 1, **fields}


FORGED = {
    "no list": 5,
    "no rows": ["data/x"],
    "a field less": [{"path": "data/x"}],
    "a number": [row(sha256=5)],
    "no digest": [row(sha256="")],
    "a word for a digest": [row(sha256="missing")],
    "a path out of the archive": [row(path="../../etc/passwd")],
    "an absolute path": [row(path="/etc/passwd")],
    "control characters": [row(path="a\x1b[2Jb")],
    "a script for an address": [row(url="javascript:alert(1)")],
}


@pytest.mark.parametrize("rows", FORGED.values(), ids=FORGED)
def test_a_description_of_another_form_is_refused(rows):
    with pytest.raises(UserError) as error:
        inputs.used("toy/one", {"inputs": rows})
    assert "\n" not in str(error.value) and "\x1b" not in str(error.value)


FOLDER = {"data/x/a": b"1", "data/x/b/c": b"2"}
FOLDER_SHA = listing_digest({n[7:]: hashlib.sha256(d).hexdigest() for n, d in FOLDER.items()})
ARCHIVES = {
    "a folder": (FOLDER, row(sha256=FOLDER_SHA), "1 inputs are in the archive"),
    "elsewhere": ({}, row(url="https://a.example/x"), "elsewhere: data/x (https://a.example/x)"),
    "a doi": ({}, row(doi="10.5281/zenodo.1"), "data/x (https://doi.org/10.5281/zenodo.1)"),
    "nowhere": ({}, row(), "data/x (not published)"),
    "a folder with a file less": ({"data/x/a": b"1"}, row(sha256=FOLDER_SHA), None),
    "a folder with one more": ({**FOLDER, "data/x/d": b""}, row(sha256=FOLDER_SHA), None),
    "a file for the folder": ({"data/x": b"1"}, row(sha256=FOLDER_SHA), None),
}


@pytest.mark.parametrize("files, item, words", ARCHIVES.values(), ids=ARCHIVES)
def test_what_an_archive_holds_is_compared_and_of_the_rest_it_says_where(files, item, words):
    listed = inputs.used("toy/one", {"inputs": [item]})
    if words:
        assert words in inputs.check(files, listed)
    else:
        with pytest.raises(NotVerified, match="restore all of it"):
            inputs.check(files, listed)


ADDED = {
    "small, with a licence": (10, "CC0-1.0", True),
    "without a licence": (10, "", False),
    "large": (inputs.MAX_BYTES + 1, "CC0-1.0", False),
}


@pytest.mark.parametrize("size, licence, added", ADDED.values(), ids=ADDED)
def test_small_inputs_that_others_may_have_are_added(tmp_path, size, licence, added):
    path = tmp_path / "data" / "x"
    path.parent.mkdir()
    path.write_bytes(bytes(size))
    listed = inputs.used("toy/one", {"inputs": [row(licence=licence)]})
    assert inputs.to_add(Project(tmp_path), listed) == ({path} if added else set())


def test_results_without_inputs_need_no_line():
    assert inputs.check({}, inputs.used("toy/one", {})) == ""
