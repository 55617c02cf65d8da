"""`benchpaper verify` finds changed numbers of every kind."""

import json
from functools import cache

import pandas as pd
import pytest
from checkout import ROOT

from benchpaper.analysis.estimates import load
from benchpaper.analysis.exhibits import Exhibits
from benchpaper.analysis.manifests import MANIFEST, Number
from benchpaper.artifact.bundle import archive, exhibit_check, pdf_check
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

    def check(text, as_written=None):
        texts = {"-raw": text if as_written is None else as_written}
        monkeypatch.setattr(pdf_check, "pdf_text", lambda path, *how: texts.get(*how or "-", text))
        return pdf_check.check_pdf(project, build, SHOWN)

    return check


def test_a_pdf_with_the_numbers_is_right(check_text):
    assert "3 numbers" in check_text(TYPESET)


def test_lines_of_two_columns_that_pdftotext_joined_are_no_change(check_text):
    joined = TYPESET.replace("[0.32,\n1.22]", "[0.32, is needed. What else is below; with1.22]")
    assert "3 numbers" in check_text(joined, as_written=TYPESET)
    with pytest.raises(archive.NotVerified, match=r"0 times, and named 1 times"):
        check_text(joined, as_written=TYPESET.replace("1.22", "1.23"))


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
    with pytest.raises(archive.NotVerified, match=words):
        check_text(TYPESET.replace(old, new))


REFERENCE = ROOT / "artifacts" / "reference" / "local"


@cache
def reference(experiment):
    return load(experiment, REFERENCE)


def in_exhibits(experiment, make, folder):
    """Return the results of the reference, and the manifest's entry of `make(results)`."""
    measured = reference(experiment)
    exhibits = Exhibits(measured, folder)
    exhibits.number("shown", make(measured))
    return measured, json.loads((folder / MANIFEST).read_text())["exhibits"]["shown"]


def share(measured):
    cell = dict(system="seaweedfs", setting="default")
    return measured.pooled_share("lost_update", "tries_lost_update", **cell)


CELL = dict(transport="posix", operation="get", size_bytes=4096, outstanding=1, tool="fabric")
KINDS = {
    "level": ("rdma/fabric", lambda measured: measured.estimate("latency_us", **CELL)),
    "quantile": ("rdma/fabric", lambda measured: measured.estimate("latency_us", q=0.9, **CELL)),
    "scaled": ("rdma/fabric", lambda f: f.estimate("latency_us", **CELL).scaled(1e-3, "ms")),
    "ratio": (
        "rdma/fabric",
        lambda measured: measured.ratio(
            "latency_us", of=dict(transport="cma"), to=dict(transport="posix"),
            **{name: level for name, level in CELL.items() if name != "transport"},
        ),
    ),
    "share": ("multiprotocol/anomalies", share),
    "noise floor": ("rdma/fabric", lambda measured: measured.noise_floor("latency_us")),
    "rank agreement": (
        "training_io/iops_rank", lambda measured: measured.rank_agreement("iops_4k", "p99_us")
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_number_is_computed_again_and_a_changed_one_found(kind, tmp_path):
    measured, entry = in_exhibits(*KINDS[kind], tmp_path)
    assert entry["how"]
    estimate, count = exhibit_check._number("shown", entry, measured)
    assert count == 1 and str(estimate).startswith(entry["text"])
    for change in (
        dict(value=entry["value"] * 1.001),
        dict(text="0.123"),
        dict(interval="[0.1, 0.2]"),
        dict(n=3),
        dict(low=0.1234),
    ):
        with pytest.raises(archive.NotVerified, match='number "shown" is .* but the data inside'):
            exhibit_check._number("shown", entry | change, measured)


def test_what_only_the_notebook_can_compute_must_agree_with_itself(tmp_path):
    cells = ("rdma/fabric", lambda measured: measured.combined(
        "latency_us", list(measured.cells(**CELL)["cell"]), lambda values: max(values.values())
    ))  # fmt: skip
    measured, entry = in_exhibits(*cells, tmp_path)
    assert entry["how"] is None
    assert exhibit_check._number("shown", entry, measured) == (None, 0)
    for change in (dict(value=1.0), dict(text="1.00"), dict(interval=""), dict(n=99)):
        with pytest.raises(archive.NotVerified, match='number "shown" is '):
            exhibit_check._number("shown", entry | change, measured)


@pytest.fixture
def table(tmp_path):
    """The results, the entry, and the folder of a table of two levels."""
    measured = reference("rdma/fabric")
    rows = [[name, measured.estimate("latency_us", **CELL | {"size_bytes": size})]
            for name, size in (("small", 4096), ("large & long", 32768))]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["size", "latency"])
    Exhibits(measured, tmp_path).table("sizes", frame, [row[1] for row in rows])
    entry = json.loads((tmp_path / MANIFEST).read_text())["exhibits"]["sizes"]
    return measured, entry, tmp_path


def test_the_numbers_of_a_table_are_computed_again(table):
    measured, entry, folder = table
    assert exhibit_check._table("sizes", entry, folder, measured) == 2


def test_a_changed_or_moved_number_of_a_table_is_found(table):
    measured, entry, folder = table
    path = folder / "sizes.tex"
    text = path.read_text()
    *head, first, second = text.splitlines()[:6]
    for forged in (
        text.replace("0.381", "0.281"),
        text.replace(first, "x").replace(second, first).replace("x", second),
        "\n".join(head),
    ):
        path.write_text(forged)
        with pytest.raises(archive.NotVerified, match='table "sizes", row ., column 2 is not'):
            exhibit_check._table("sizes", entry, folder, measured)
