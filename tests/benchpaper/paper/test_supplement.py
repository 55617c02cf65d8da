"""A paper with a supplement: two PDFs that refer to each other, and nothing left out."""

import re
import shutil
import subprocess

import pandas as pd
import pytest

from benchpaper.analysis.exhibits import Exhibits
from benchpaper.core.errors import UserError
from benchpaper.paper import gather, labels, latex, venues
from benchpaper.paper.gather import PaperError

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("latexmk", "pdftotext"))), reason="needs latexmk and pdftotext"
)
PREAMBLE = r"""
\usepackage{textcomp,booktabs,multicol}
\usepackage[nameinlink]{cleveref}
\usepackage{benchpaper}
\input{exhibits.tex}\input{exhibit-list.tex}
\title{T}\author{A}
"""
MAIN = (
    r"\providecommand\venueclass{article}\input{bpclass-\venueclass}"
    + PREAMBLE
    + r"""\externaldocument{supplement}
\begin{document}\venuefront{Short.}
\begin{table}\exhibittable{placed}\caption{P.}\label{tab:placed}\end{table}
See \cref{tab:more}, of page \pageref{tab:more}.
\end{document}
"""
)
SUPPLEMENT = (
    r"\input{bpclass-article}"
    + PREAMBLE
    + r"""\externaldocument{main}
\renewcommand\thepage{S\arabic{page}}\renewcommand\thetable{S\arabic{table}}
\begin{document}
As \cref{tab:placed} says.
\begin{table}\exhibittable{more}\caption{M.}\label{tab:more}\end{table}
Others: \otherexhibitscount. \otherexhibits

\exhibitindex
\end{document}
"""
)


@pytest.fixture(scope="module")
def words():
    def words(pdf):
        done = subprocess.run(["pdftotext", "-raw", pdf, "-"], capture_output=True, text=True)
        return " ".join(done.stdout.split())

    return words


@pytest.fixture
def project(make_project, measured_project, measured):
    made = make_project(
        {
            "analysis/toy_pipe.ipynb": "{}",
            "paper/main.tex": MAIN,
            "paper/supplement.tex": SUPPLEMENT,
            "benchpaper.toml": '[paper]\nsupplement = "supplement.tex"\n',
        }
    )
    shutil.copytree(
        measured_project.results("local", "quick"),
        made.results("local", "quick"),
        ignore=shutil.ignore_patterns("blocks", "journal", "failed"),
    )
    exhibits = Exhibits(measured, made.build("local", "quick") / "exhibits" / "toy_pipe")
    summary = measured.summary("latency_us", way="pipe")
    for name in ("placed", "more", "left-over"):
        frame = pd.DataFrame({"size_b": [1, 4096], "µs": summary.estimates})
        exhibits.table(name, frame, [summary])
    gather.gather(made, "local", "quick", ["toy/pipe"])
    return made


def test_paper_and_supplement_refer_to_each_other_and_leave_nothing_out(project, words):
    build = project.build("local", "quick")
    pdf = latex.typeset(project, "local", "quick")
    assert pdf == build / "paper.pdf"
    paper, supplement = words(pdf), words(build / "supplement.pdf")
    assert "See table S1, of page S1." in paper and "??" not in paper
    assert "As table 1 says." in supplement and "Others: 1." in supplement
    assert "Table S2. left-over" in supplement or "Table S2: left-over" in supplement
    for name, page in (("placed", "1"), ("more", "S1"), ("left-over", "S1")):
        assert re.search(rf"{name}, table[ .]*{page}\b", supplement), name
    assert labels.exhibits(project, build, "Table S1") == ["more"]
    assert labels.exhibits(project, build, "table 1") == ["placed"]
    before = (build / "paper.pdf").read_bytes()
    latex.typeset(project, "local", "quick")
    assert (build / "paper.pdf").read_bytes() == before  # and again


def test_a_class_that_is_not_there_or_not_asked_for_is_refused_in_one_line(project, monkeypatch):
    with pytest.raises(UserError, match='^class "acmm" not found; did you mean "acm"'):
        venues.typeset(project, "local", "quick", "acmm")
    monkeypatch.setitem(venues.NEEDS, "acm", ("no-such.cls", "nobody has it"))
    with pytest.raises(PaperError, match='^the class "acm" needs no-such.cls, which this TeX'):
        venues.typeset(project, "local", "quick", "acm")
    (project.paper / "main.tex").write_text(r"\documentclass{article}")
    with pytest.raises(PaperError, match="^paper/main.tex takes no class; begin it with"):
        venues.typeset(project, "local", "quick", "acm")


def test_a_class_that_is_there_gives_a_pdf_of_its_own(project, words):
    """USENIX's own style may not be copied; one of the same name stands for it."""
    (project.paper / "usenix-2020-09.sty").write_text(
        "\\usepackage[kerning,spacing]{microtype}\\usepackage{xcolor}\\usepackage{hyperref}\n"
        "\\AtBeginDocument{In the venue's class.}\n"
    )
    latex.typeset(project, "local", "quick")
    pdf = venues.typeset(project, "local", "quick", "usenix")
    assert pdf.name == "paper-usenix.pdf"
    assert "In the venue’s class." in words(pdf) and "See table S1" in words(pdf)
    assert "venue" not in words(project.build("local", "quick") / "paper.pdf")


def test_acms_class_gives_a_pdf_where_this_tex_has_it(project, words):
    """On Debian, `apt-get install texlive-publishers` brings acmart; no set-up here does."""
    try:
        venues._check_class(project, "acm")
    except PaperError as lacking:
        pytest.skip(str(lacking))
    latex.typeset(project, "local", "quick")
    pdf = venues.typeset(project, "local", "quick", "acm")
    assert pdf.name == "paper-acm.pdf"
    size = subprocess.run(["pdfinfo", pdf], capture_output=True, text=True, check=True).stdout
    assert re.search(r"Page size: +612 x 792", size)  # US letter, as ACM's sigconf has it
    assert "??" not in words(pdf)
