"""`verify` shows accepted changes of the code, and refuses those that fit no trial."""

import json
import re

import pytest
from changed_archives import OBSERVATIONS, RESULTS, TRIALS, needs_latex, project_of, with_table

from benchpaper import results
from benchpaper.artifact.bundle import result_check
from benchpaper.core.errors import UserError
from benchpaper.results import accepted

pytestmark = needs_latex
NEW, OTHER = "e" * 64, "f" * 64


def check(files, folder):
    project = project_of(files, folder / "project")
    return result_check.check(project, [f"{RESULTS}/{kind}" for kind in (TRIALS, OBSERVATIONS)])[0]


def code(files, folder):
    """Return the digest of the code that was measured."""
    project = project_of(files, folder / "measured")
    table, _ = results.read(project.root / RESULTS / TRIALS)
    return table.column("code_digest")[0].as_py()


def with_changes(files, *pairs, **fields):
    changes = [
        {"old": old, "new": new, "files": {}, "why": "renamed a helper",
         "when": "2026-11-29T12:00:00+00:00", **fields}
        for old, new in pairs
    ]  # fmt: skip
    data = json.dumps({"version": 1, "changes": changes}).encode()
    return {**files, f"{RESULTS}/{accepted.FILE}": data}


def with_new_code(files):
    """Return files in which one trial ran the new code."""

    def change(rows):
        rows[-1]["code_digest"] = NEW

    return with_table(files, TRIALS, change)


def test_an_accepted_change_is_shown_with_digests_reason_and_date(small_files, tmp_path):
    old = code(small_files, tmp_path)
    line = check(with_changes(small_files, (old, NEW)), tmp_path)
    assert line.endswith(
        f"; accepted for toy/pipe_cost: code {old[:12]}… -> {NEW[:12]}… on 2026-11-29: "
        "renamed a helper"
    )


def test_trials_of_two_codes_agree_if_the_change_was_accepted(small_files, tmp_path):
    old, files = code(small_files, tmp_path), with_new_code(small_files)
    with pytest.raises(UserError, match="code_digest is both"):
        check(files, tmp_path)
    assert "accepted for" in check(with_changes(files, (old, NEW)), tmp_path / "again")


BAD = {
    "a code that no trial ran": (dict(pairs=[(OTHER, NEW)]), "of code that no trial ran"),
    "no reason": (dict(why=""), "lacks a text"),
    "an escape": (dict(why="\x1b[2J"), "lacks a text"),
    "no date": (dict(when="never"), "cannot be read"),
}


@pytest.mark.parametrize("forged, words", BAD.values(), ids=BAD)
def test_a_change_that_fits_nothing_is_refused(small_files, tmp_path, forged, words):
    fields = dict(forged)
    pairs = fields.pop("pairs", [(code(small_files, tmp_path), NEW)])
    with pytest.raises(UserError, match=re.escape(words)):
        check(with_changes(small_files, *pairs, **fields), tmp_path)


def test_a_file_that_reads_in_two_ways_is_refused(small_files, tmp_path):
    files = with_changes(small_files, (code(small_files, tmp_path), NEW))
    name = f"{RESULTS}/{accepted.FILE}"
    files[name] = files[name].replace(b'"why"', b'"why": "another", "why"', 1)
    with pytest.raises(UserError, match="twice"):
        check(files, tmp_path)
