"""`benchpaper verify` finds changed numbers of every kind."""

import json

import pytest
from checkout import ROOT

from benchpaper.analysis.estimates import load
from benchpaper.analysis.exhibits import Exhibits
from benchpaper.analysis.manifests import Number
from benchpaper.artifact.bundle import number_check, pdf_check, verify
from benchpaper.core.project import Project

# ---- numbers, of each kind ----

PAPER = (
    r"It takes \resultci{time}, in \result{share} of \result{tries} tries; again: \result{time}."
)


def number(text, interval=""):
    return Number(
        missing="", value=1.0, low=None, high=None, n=5, unit="", failed=0, text=text,
        interval=interval, how=None,
    )  # fmt: skip


SHOWN = {
    "time": number("1.21 µs", "[0.32, 1.22]"),
    "share": number("75.0 %"),
    "tries": number("12,345"),
}
TYPESET = "It takes 1.21 µs [0.32,\n1.22], in 75.0 % of 12,345 tries; again: 1.21 µs."


@pytest.fixture
def check_text(tmp_path, monkeypatch):
    """Return `check(text)`: check a PDF that has this text against PAPER and SHOWN."""
    project = Project(tmp_path)
    build = project.build("local", "smoke")
    (build / "exhibits").mkdir(parents=True)
    project.paper.mkdir()
    (project.paper / "main.tex").write_text(PAPER)
    (build / "exhibits.tex").write_text(
        " ".join(f"{shown.text} {shown.interval}" for shown in SHOWN.values())
    )
    monkeypatch.setattr(pdf_check.shutil, "which", lambda name: name)

    def check(text):
        monkeypatch.setattr(pdf_check, "pdf_text", lambda path: text)
        return pdf_check.check_pdf(project, build, SHOWN)

    return check


def test_a_pdf_with_the_numbers_is_right(check_text):
    assert "3 numbers" in check_text(TYPESET)


@pytest.mark.parametrize(
    "old, new, words",
    [
        (
            "1.21 µs [",
            "1.12 µs [",
            r"\(1.21.s\) is in the text of the PDF 1 times, and named 2 times",
        ),
        ("1.21 µs.", "1.22 µs.", r"\(1.21.s\) is in the text of the PDF 1 times"),
        ("µs", "ms", r"\(1.21.s\) is in the text of the PDF 0 times"),
        ("1.22]", "1.23]", r"\(\[0.32,1.22\]\)"),
        ("75.0 %", "57.0 %", r'"share" \(75.0%\)'),
        ("12,345", "12,354", r'"tries" \(12,345\)'),
        ("again", "again, 3.41", "the PDF prints 3.41, which no exhibit"),
        ("again", "again, 7,890 times", "the PDF prints 7,890, which"),
        ("again", "again, 451 times", "the PDF prints 451, which"),
    ],
)
def test_a_number_that_was_changed_in_the_pdf_is_found_whatever_its_kind(
    check_text, old, new, words
):
    assert old in TYPESET
    with pytest.raises(verify.NotVerified, match=words):
        check_text(TYPESET.replace(old, new))


@pytest.fixture
def pooled(tmp_path):
    """The exhibits of the reference's pooled share (Wilson's interval over all tries)."""
    found = load("multiprotocol/anomalies", ROOT / "artifacts" / "reference" / "local")
    estimate = found.pooled_share(
        "lost_update", "tries_lost_update", system="seaweedfs", setting="default"
    )
    assert estimate.value is not None and estimate.tries
    Exhibits(found, tmp_path / "exhibits" / "multiprotocol_anomalies").number("lost", estimate)
    return tmp_path


def test_a_pooled_share_is_reckoned_again(pooled):
    assert "1 numbers follow from the data" in number_check.check_numbers(
        pooled, ROOT / "artifacts" / "reference" / "local"
    )


@pytest.mark.parametrize("change", [dict(text="0.123"), dict(interval="[0.1, 0.2]"), dict(n=3)])
def test_a_pooled_share_that_was_changed_is_found(pooled, change):
    path = pooled / "exhibits" / "multiprotocol_anomalies" / "exhibits.json"
    manifest = json.loads(path.read_text())
    manifest["exhibits"]["lost"] |= change
    path.write_text(json.dumps(manifest))
    with pytest.raises(verify.NotVerified, match='number "lost" is .* but the data inside give'):
        number_check.check_numbers(pooled, ROOT / "artifacts" / "reference" / "local")
