"""From exhibits to the paper: stale or undeclared ones are refused, missing ones are marked."""

import json
import shutil
import subprocess

import pandas as pd
import pytest

from benchpaper.analysis import drifting, stats, verdicts
from benchpaper.analysis.claim_rows import ClaimRow
from benchpaper.analysis.exhibits import Exhibits
from benchpaper.core.project import VERDICTS
from benchpaper.paper import gather as gathering
from benchpaper.paper import latex, uses
from benchpaper.paper.gather import PaperError
from benchpaper.paper.latex_styles import STYLES
from benchpaper.results import OBSERVATIONS

PIPE_1 = dict(way="pipe", size_bytes=1)


@pytest.fixture
def project(make_project, measured_project, measured):
    """A project with a copy of the measured results and the exhibits of one notebook."""
    made = make_project({"analysis/toy_pipe.ipynb": "{}", "analysis/toy_two.ipynb": "{}"})
    shutil.copytree(
        measured_project.results("local", "quick"),
        made.results("local", "quick"),
        ignore=shutil.ignore_patterns("blocks", "journal", "failed"),
    )
    exhibits = Exhibits(measured, made.build("local", "quick") / "exhibits" / "toy_pipe")
    exhibits.number("pipe-1", measured.estimate("latency_us", **PIPE_1))
    exhibits.number("nic-1", measured.estimate("latency_us", way="nic", size_bytes=1))
    summary = measured.summary("latency_us", way="pipe")
    exhibits.table(
        "by-size", pd.DataFrame({"size_b": [1, 4096], "µs": summary.estimates}), [summary]
    )
    exhibits.figure("nic-figure", lambda frame: None, measured.summary("latency_us", way="nic"))
    return made


def second_notebook(project, measured, name):
    exhibits = Exhibits(measured, project.build("local", "quick") / "exhibits" / "toy_two")
    exhibits.number(name, measured.estimate("latency_us", **PIPE_1))
    path = project.build("local", "quick") / "exhibits" / "toy_two" / "exhibits.json"
    manifest = json.loads(path.read_text())
    path.write_text(
        json.dumps({**manifest, "experiment": "toy/two", "notebook": "analysis/toy_two.ipynb"})
    )


def gather(project, *experiments):
    return gathering.gather(project, "local", "quick", experiments or ["toy/pipe"])


# --- gathering -------------------------------------------------------------------------------


def test_exhibits_are_gathered_into_one_file_of_declarations(project, measured):
    lines = gather(project).read_text().splitlines()
    estimate = measured.estimate("latency_us", **PIPE_1)
    value = str(estimate).split(" [")[0].replace(" ", r"\,").replace("µ", r"\textmu{}")
    assert rf"\bpnumber{{pipe-1}}{{{value}}}{{{estimate.interval_text().strip()}}}{{5}}" in lines
    assert (
        r"\bpmissing{nic-1}{needs rdma}" in lines and r"\bpmissing{nic-figure}{needs rdma}" in lines
    )
    assert r"\bptable{by-size}{exhibits/toy_pipe/by-size.tex}" in lines
    assert r"\bpgathered{toy/pipe}" in lines and r"\bpgathered{toy/two}" not in lines
    assert r"\bpsource{results of site local, scale quick, 5 blocks}" in lines
    assert (
        any(line.startswith(r"\bpsite{cpu}{") for line in lines) and r"\bpsite{blocks}{5}" in lines
    )
    names = sorted(
        path.name for path in project.build("local", "quick").iterdir() if path.is_file()
    )
    assert names == ["claims-history.json", "claims.tex", "exhibits.tex"]


def test_only_the_chosen_experiments_are_gathered(project, measured):
    second_notebook(project, measured, "second")
    assert r"\bpnumber{second}" not in gather(project).read_text()
    assert r"\bpnumber{second}" in gather(project, "toy/pipe", "toy/two").read_text()


def test_the_banner_tells_of_all_experiments_not_of_the_first(project, measured):
    second_notebook(project, measured, "second")
    path = project.build("local", "quick") / "exhibits" / "toy_two" / "exhibits.json"
    other = {"blocks": 12, "scale": "full", "measured_on": "2999-12-31", "tools": {"pen": "1.0"}}
    path.write_text(json.dumps(json.loads(path.read_text()) | other))
    text = gather(project, "toy/pipe", "toy/two").read_text()
    assert r"\bpsource{results of site local, scale full and quick, 5 to 12 blocks}" in text
    assert (
        r"\bpsite{blocks}{5 to 12}" in text
        and " to 2999-12-31}" in text
        and r"\bpsite{tools}{pen 1.0}" in text
    )


def test_a_name_that_a_notebook_not_yet_run_may_declare(project):
    (project.paper / "one.tex").write_text(r"\result{two-1}")
    with pytest.raises(
        PaperError, match=r"not declared by any notebook.*; or run the notebooks of toy/two first"
    ):
        latex.check_uses(project.paper, {}, ["toy/two"])


def test_exhibits_of_a_notebook_that_is_gone_are_forgotten(project, measured):
    second_notebook(project, measured, "pipe-1")
    (project.analysis / "toy_two.ipynb").unlink()
    assert r"\bpnumber{pipe-1}" in gather(project).read_text()  # and not "saved by both"


@pytest.mark.parametrize(
    "change", [lambda path: path.write_bytes(path.read_bytes() + b"x"), lambda path: path.unlink()]
)
def test_a_stale_manifest_is_refused_and_the_old_file_is_kept(project, change):
    before = gather(project).read_bytes()
    change(project.results("local", "quick") / "toy/pipe" / OBSERVATIONS)
    with pytest.raises(PaperError) as refused:
        gather(project)
    assert str(refused.value) == (
        "the exhibits of analysis/toy_pipe.ipynb are stale: "
        "toy/pipe/observations.parquet "
        "has changed since; "
        "run ./reproduce figures"
    )
    assert (project.build("local", "quick") / "exhibits.tex").read_bytes() == before


def test_two_notebooks_that_save_one_name_are_refused(project, measured):
    second_notebook(project, measured, "pipe-1")
    with pytest.raises(PaperError) as refused:
        gather(project, "toy/pipe", "toy/two")
    assert str(refused.value) == (
        'exhibit "pipe-1" is saved by both analysis/toy_pipe.ipynb and '
        "analysis/toy_two.ipynb; rename one"
    )


# --- what the paper uses ---------------------------------------------------------------------


def check(project, text):
    (project.paper / "sections").mkdir(exist_ok=True)
    (project.paper / "sections" / "one.tex").write_text(text)
    exhibits = gathering.all_exhibits(project.build("local", "quick"))
    latex.check_uses(project.paper, {name: saved.exhibit.kind for name, saved in exhibits.items()})


@pytest.mark.parametrize("text", [
    r"\result{pipe-1} and \resultci{pipe-1} over \resultblocks{pipe-1} blocks, \result{nic-1}",
    r"\exhibittable{by-size} \exhibitfigure{nic-figure}",
    "% \\result{no-such}\ntext % \\result{no-such}",
    r"\results{no-such} \resultof{x}",
    "\\begin{whenmeasured}{toy/two}\n\\result{no-such}\n\\end{whenmeasured}\n\\result{pipe-1}",
])  # fmt: skip
def test_declared_exhibits_used_as_what_they_are_pass(project, text):
    check(project, text)


@pytest.mark.parametrize("text, name", [
    ("\\begin{whenmeasured}{toy/two}\n\\end{whenmeasured}\n\\result{no-such}", "no-such"),
    ("\\begin{whenmeasured}{toy/pipe}\n\\exhibittable{pipe-1}\n\\end{whenmeasured}", "pipe-1"),
])  # fmt: skip
def test_text_that_needs_results_hides_no_other_mistake(project, text, name):
    with pytest.raises(PaperError, match=name):
        check(project, text)


@pytest.mark.parametrize("measured, shown", [([], ["a", "c "]), (["toy/two"], ["a", "b", "c "])])
def test_lines_that_wait_for_results_are_not_printed_without(measured, shown):
    text = "a\n\\begin{whenmeasured}{toy/two}\nb\n\\end{whenmeasured}\nc % d"
    assert list(uses.printed(text.splitlines(), measured)) == shown


@pytest.mark.parametrize("text, message", [
    ("\n\nabout \\result{pipe-2} long",
     ('paper/sections/one.tex:3: number "pipe-2" is not declared by any notebook; did you '
     'mean "pipe-1"? save it in a notebook under this name, or take it out')),
    (r"\exhibitfigure{latency}",
     ('paper/sections/one.tex:1: figure "latency" is not declared by any notebook; save it in '
     'a notebook under this name, or take it out')),
    (r"50\,\% of \result{xyz}",
     ('paper/sections/one.tex:1: number "xyz" is not declared by any notebook; save it in a '
     'notebook under this name, or take it out')),
    (r"\exhibittable{pipe-1}", ('paper/sections/one.tex:1: "pipe-1" is a number, but is used as a '
                               'table')),
    (r"\resultci{by-size}", ('paper/sections/one.tex:1: "by-size" is a table, but is used as a '
                            'number')),
    ("\\result{pipe-1}\n\\result{nic-figure}",
     'paper/sections/one.tex:2: "nic-figure" is a figure, but is used as a number'),
])  # fmt: skip
def test_an_undeclared_or_misused_exhibit_is_placed_by_file_and_line(project, text, message):
    with pytest.raises(PaperError) as refused:
        check(project, text)
    assert str(refused.value) == message


def test_the_check_comes_before_latex(project):
    gather(project)
    (project.paper / "main.tex").write_text(r"\result{pipe-2}")
    with pytest.raises(PaperError, match='^paper/main.tex:1: number "pipe-2" is not declared'):
        latex.typeset(project, "local", "quick")
    assert not (project.build("local", "quick") / "latex").exists()


# --- LaTeX -----------------------------------------------------------------------------------

PAPER = r"""
\documentclass{article}
\usepackage[T1]{fontenc}
\usepackage{textcomp,booktabs,benchpaper}
\input{exhibits.tex}
\begin{document}
\sourcebanner

Pipe: \resultci{pipe-1}. NIC: \result{nic-1}.

\exhibittable{by-size} \exhibitfigure{nic-figure}
\end{document}
"""


@pytest.mark.skipif(not shutil.which("latexmk"), reason="needs latexmk")
def test_the_paper_says_what_was_measured_and_what_was_not(project, measured):
    gather(project)
    (project.paper / "main.tex").write_text(PAPER)
    pdf = latex.typeset(project, "local", "quick")
    assert pdf == project.build("local", "quick") / "paper.pdf" and pdf.read_bytes().startswith(
        b"%PDF"
    )
    assert sorted(path.name for path in project.paper.iterdir()) == ["main.tex"]
    if shutil.which("pdftotext"):
        text = " ".join(
            subprocess.run(["pdftotext", pdf, "-"], capture_output=True, text=True).stdout.split()
        )
        assert (
            "not measured here: needs rdma" in text
            and "results of site local, scale quick, 5 blocks" in text
        )
        assert measured.estimate("latency_us", **PIPE_1).interval_text().strip() in text
    (project.paper / "main.tex").write_text(PAPER.replace("Pipe:", r"\nosuchmacro"))
    with pytest.raises(PaperError) as refused:
        latex.typeset(project, "local", "quick")
    assert str(refused.value).startswith("LaTeX failed: ./main.tex:9: Undefined control sequence")
    assert "the whole log is build/local-quick/latex/main.log" in str(refused.value)
    assert pdf.exists()  # the old one is kept


@pytest.mark.skipif(
    not all(map(shutil.which, ("latexmk", "pdftotext"))), reason="needs latexmk and pdftotext"
)
def test_each_count_in_the_paper_is_declared_and_not_reckoned_by_latex(project, measured):
    """`verify` compares the PDF with the manifests, so LaTeX may compute no number."""
    exhibits = Exhibits(measured, project.build("local", "quick") / "exhibits" / "toy_pipe")
    for number in range(120):
        way = "nic" if number < 101 else "pipe"
        exhibits.number(f"n{number}", measured.estimate("latency_us", way=way, size_bytes=1))
    judged(project, *((f"C{number}", "toy/pipe", decided(1)) for number in range(130)))
    lines = gather(project).read_text().splitlines()
    for line in (r"\bpcount{exhibits}{120}", r"\bpcount{gaps}{101}", r"\bpcount{claims}{130}"):
        assert line in lines
    (project.paper / "main.tex").write_text(
        r"\documentclass{article}\usepackage{textcomp,benchpaper}\input{exhibits.tex}"
        r"\begin{document}\sourcebanner\ And \claimscount\ claims.\end{document}"
    )
    pdf = latex.typeset(project, "local", "quick")
    text = " ".join(
        subprocess.run(["pdftotext", pdf, "-"], capture_output=True, text=True).stdout.split()
    )
    assert (
        "Of 120 declared numbers, figures and tables, 101 were not measured there" in text
        and "And 130" in text
    )
    counters = [
        line
        for line in (STYLES / "benchpaper.sty").read_text().splitlines()
        if r"\newcount" in line
    ]
    assert counters == []


def judged(project, *rows):
    """Write verdicts as `benchpaper` would; a row is (id, experiment, verdict)."""
    text = dict(sentence="A pipe costs 5 %.", text="1.2 [1.1, 1.3] (n = 5)")
    rows = [
        ClaimRow(**text, id=i, experiment=e, verdict=v.word, why=v.reason, short=v.short).to_json()
        for i, e, v in rows
    ]
    (project.build("local", "quick") / VERDICTS).write_text(json.dumps(rows))


def decided(
    bound, values=(1.2, 1.1, 1.3, 1.15, 1.25, 1.2), twin=(1.0, 1.02, 0.98, 1.0, 1.01, 0.99)
):
    """The verdict on a level above a bound."""
    floor = stats.noise_floor([1.0] * len(twin), twin)
    level = stats.level(values)
    through = drifting.through_drift(level, values)
    return verdicts.decide(level, bound, "above", floor=floor, through=through)


CLAIMS = [
    ("C1", "toy/pipe", decided(1)),
    ("C2", "toy/pipe", decided(1.2)),
    ("C3", "toy/two", decided(2, values=range(1, 11))),
    ("C4", "other/one", decided(1, twin=[0.5, 0.6, 0.5, 0.6, 0.5, 0.6])),
]


def test_claims_are_set_by_family_and_what_is_undecided_says_why(project):
    judged(project, *CLAIMS)
    toy, other = gathering.claims_table(project.build("local", "quick")).split("}\n\\bpclaimrows")
    assert toy.startswith(r"\bpclaimrows{toy}{finding}{") and other.startswith("{other}{finding}{")
    first, second, third = toy.splitlines()[1:]
    assert first == r"C1 & A pipe costs 5 \%. & 1.2 [1.1, 1.3] (n = 5) & reproduced \\"
    assert second.endswith(r"& inconclusive: the interval holds the bound \\")
    assert third.endswith(r"& inconclusive: the drift of the blocks reaches the bound \\")
    assert other.splitlines()[1].endswith(r"& inconclusive: two identical cells differ \\")


@pytest.mark.skipif(not shutil.which("latexmk"), reason="needs latexmk")
def test_the_table_of_claims_may_be_of_one_family(project):
    judged(project, *CLAIMS)
    gather(project)
    paper = PAPER.replace("booktabs,", "booktabs,array,")
    (project.paper / "main.tex").write_text(
        paper.replace("Pipe:", r"\claimscount\ claims: \claimstable[toy] Pipe:")
    )
    pdf = latex.typeset(project, "local", "quick")
    if shutil.which("pdftotext"):
        text = " ".join(
            subprocess.run(["pdftotext", pdf, "-"], capture_output=True, text=True).stdout.split()
        )
        assert "4 claims:" in text and "C3" in text and "C4" not in text
    (project.paper / "main.tex").write_text(paper.replace("Pipe:", r"\claimstable[toys] Pipe:"))
    with pytest.raises(PaperError, match='family of claims "toys" is not declared'):
        latex.typeset(project, "local", "quick")


@pytest.mark.skipif(not shutil.which("latexmk"), reason="needs latexmk")
def test_what_is_wrong_with_the_bibliography_is_told(project, measured):
    gather(project)
    cites = r"\cite{one}\bibliographystyle{plain}\bibliography{references}\end{document}"
    (project.paper / "main.tex").write_text(PAPER.replace(r"\end{document}", cites))
    (project.paper / "references.bib").write_text(
        "@misc{one, title={One}\n\n@misc{two, title={Two}}\n"
    )
    with pytest.raises(
        PaperError, match="^LaTeX failed: I was expecting .*---line 3 of file references.bib"
    ):
        latex.typeset(project, "local", "quick")


def test_without_latex_the_paper_says_what_is_missing(project, monkeypatch, tmp_path):
    gather(project)
    (project.paper / "main.tex").write_text("x")
    (tmp_path / "git").symlink_to(shutil.which("git"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        PaperError, match="^the PDF needs LaTeX, and latexmk is not installed; `benchpaper doctor` "
    ):
        latex.typeset(project, "local", "quick")
