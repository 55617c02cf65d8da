"""Verdicts that contradict the data, the claims, or the PDF are found."""

from dataclasses import replace

import pytest
from changed_archives import VERDICTS, edited, measured, needs_latex, project_of

from benchpaper.analysis.exhibits import tex
from benchpaper.artifact.bundle import archive, printed_check, verdict_check
from benchpaper.core.errors import UserError
from benchpaper.paper import gather

pytestmark = needs_latex
CLAIMS = "analysis/claims_toy.py"


def check(files, folder):
    project = project_of(files, folder / "project")
    rows = verdict_check.rows(project.build("local", "smoke"))
    return verdict_check.check(project, rows, measured(project), "smoke")


def test_verdicts_as_they_were_judged_follow_from_the_data(small_files, tmp_path):
    assert check(small_files, tmp_path).startswith("1 verdicts follow from the claims and the data")


def row(**changes):
    def change(rows):
        for key, value in changes.items():
            assert rows[0][key] != value
            rows[0][key] = value

    return change


def basis(**changes):
    return lambda rows: rows[0]["basis"].update(changes)


def own_values(rows):
    """Say that a function of the claim computed the ratio, and state better values."""
    rows[0]["basis"] |= {"recipe": None, "values": [3.0] * 15}


FORGERIES = {
    "verdict": (row(verdict="reproduced"), "/verdict is 'reproduced', but the other files give"),
    "value": (row(value=7.0), "/value is 7.0"),
    "low": (row(low=1.5), "/low is 1.5"),
    "high": (row(high=9.5), "/high is 9.5"),
    "n": (row(n=15), "/n is 15"),
    "confidence": (row(confidence=0.99), "/confidence is 0.99"),
    "text": (row(text="7.00 [6.00, 8.00] (n = 15)"), "/text is '7.00"),
    "why": (row(why="because"), "/why is 'because'"),
    "short": (row(short="because"), "/short is 'because'"),
    "unit": (row(unit="s"), "/unit is 's'"),
    "cells": (row(cells=[]), "/cells has 0 entries"),
    "asked": (row(asked="above 0.1"), "/asked is 'above 0.1'"),
    "bound": (basis(bound=0.5), "/asked is 'above 1', but the other files give 'above 0.5'"),
    "side": (basis(side="below"), "/asked is 'above 1', but the other files give 'below 1'"),
    "values of its own": (own_values, "claim C1 has more values than there are blocks"),
    "sentence": (row(sentence="All is well."), "claim C1 has another sentence, experiment or kind"),
    "kind": (row(kind="check"), "claim C1 has another sentence, experiment or kind"),
    "to whom it matters": (
        row(matters_to="everybody"),
        "claim C1 has another sentence, experiment or kind",
    ),
    "experiment": (
        row(experiment="toy/other"),
        "claim C1 has another sentence, experiment or kind",
    ),
    "id": (row(id="C7"), "has not the claims of analysis/claims*.py"),
    "not run": (
        row(basis=None, verdict="not run", why="not planned at this scale"),
        "/",
    ),
    "not run, for a reason of its own": (
        row(basis=None, verdict="not run", why="the dog ate it"),
        "claim C1 was not run, but its experiment was",
    ),
    "dropped": (lambda rows: rows.clear(), "has not the claims of analysis/claims*.py"),
    "twice": (lambda rows: rows.append(rows[0]), "has a claim twice"),
    "a verdict of its own": (row(verdict="proven"), 'row 0 has the unknown verdict "proven"'),
    "a kind of its own": (row(kind="law"), 'row 0 has the unknown kind "law"'),
    "a field more": (lambda rows: rows[0].update(prize="best"), "row 0 has not the fields"),
    "a field less": (lambda rows: rows[0].pop("n"), "row 0 has not the fields"),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_verdict_that_contradicts_data_or_claims_is_found(small_files, tmp_path, name):
    change, words = FORGERIES[name]
    with pytest.raises(UserError) as error:
        check(edited(small_files, VERDICTS, change), tmp_path)
    assert words in str(error.value)


@pytest.mark.parametrize("field", ["verdict", "text", "sentence", "short"])
def test_each_part_of_a_verdict_is_looked_up_in_the_pdf(small, field):
    """As a forger would, who types other words into the PDF alone."""
    build = small.build("local", "smoke")
    [row] = verdict_check.rows(build)
    exhibits = gather.all_exhibits(build)
    assert printed_check.check(small, build, exhibits, [row]).startswith("2 claims")
    words = "contradicted" if field == "verdict" else f"{getattr(row, field)} indeed"
    changed = replace(row, **{field: words})
    with pytest.raises(archive.NotVerified, match="the PDF does not print"):
        printed_check.check(small, build, exhibits, [changed])


@pytest.mark.parametrize(
    "text", ["a_b & c%", "10 µs ≤ 3×10² → ~x^2", "{a}\\b$", "<1 — 2–3>", "−5 ≈ −5"]
)
def test_text_that_was_escaped_for_latex_comes_back(text):
    assert printed_check.untex(tex(text)) == text


# Lines as pdftotext -raw gives them: a sentence goes on in the next column, behind a figure.
COLUMNS = """ARC hits more than
W-TinyLFU, at c = 0.1. [in-
0.0 0.2 0.4
share of the samples
conclusive] The next one.
\fThe next page. ARC hits less.
"""


@pytest.mark.parametrize(
    "text, there",
    [
        ("ARC hits more than W-TinyLFU, at c = 0.1.", True),
        ("ARC hits more than W-TinyLFU, at c = 0.1. [inconclusive]", True),
        ("ARC hits more than W-TinyLFU, at c = 0.1. [reproduced]", False),
        ("ARC hits more than The next page.", True),  # a column may end behind any line
        ("than The next page. ARC hits less.", True),  # and behind its first word
        ("then The next page. ARC hits less.", False),
        ("than The next", False),  # both parts are short
        ("ARC hits more The next page.", False),
        ("ARC hits more than next page.", False),
        ("ARC hits less than W-TinyLFU", False),
    ],
)
def test_a_text_may_go_on_in_the_next_column_and_nowhere_else(text, there):
    assert printed_check.Printed(COLUMNS).has(printed_check.squeezed(text)) is there


def test_a_mark_behind_more_claims_than_have_it_is_found(small):
    """A claim's own words may go on elsewhere, so the marks are counted too."""
    [row] = verdict_check.rows(small.build("local", "smoke"))
    one_row = replace(row, id="C1", verdict="reproduced", sentence="A is so.")
    printed = printed_check.Printed("A is so.C1 ✓\nB is so.C2 ✓\n")
    printed_check._check_marks(printed, [one_row], ["A is so.C1✓"])
    for text in ("A is so.C1 ✓ and again.C1 ✓", "A is so.C1 ✓ A is so.C1 ✗"):
        printed = printed_check.Printed(text)
        with pytest.raises(archive.NotVerified, match="the PDF prints C1 ."):
            printed_check._check_marks(printed, [one_row], ["A is so.C1✓"])
