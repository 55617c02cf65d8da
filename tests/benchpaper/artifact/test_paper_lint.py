"""The checks of how a paper prints: each mistake is found, and nothing else."""

import shutil

import pytest
from matplotlib import rc_context
from matplotlib.figure import Figure

from benchpaper.analysis.style import RC
from benchpaper.artifact import paper_lint, print_sizes

NUMBERS = r"\result{a} \resultci{b} \result[site=x]{c}"


def draw(path, texts, log=False, size=None):
    """A figure of 3.3 inches with texts, {(x, y): text}, in the style of exhibits."""
    with rc_context({**RC, "axes.grid": False}):
        figure = Figure(figsize=(3.3, 1.9), layout="constrained")
        axis = figure.subplots()
        axis.plot([1, 1000], [1, 2])
        if log:
            axis.set_xscale("log")
        for (x, y), text in texts.items():
            axis.text(x, y, text, fontsize=size, transform=axis.transAxes)
        figure.savefig(path)
    return path


def test_a_figure_in_the_style_is_legible_also_with_exponents(tmp_path):
    path = draw(tmp_path / "a.pdf", {(0.1, 0.5): "tcp", (0.6, 0.2): "posix"}, log=True)
    assert list(print_sizes.problems(path, 1.0)) == []
    assert min(print_sizes.sizes(path)) == pytest.approx(4.9)  # of an exponent


@pytest.mark.parametrize("size, scale, words", [(5, 1.0, "5.0 pt"), (None, 0.8, "5.6 pt")])
def test_small_text_is_found_as_it_is_printed(tmp_path, size, scale, words):
    path = draw(tmp_path / "a.pdf", {(0.1, 0.5): "tcp"}, size=size)
    [problem] = print_sizes.problems(path, scale)
    assert problem.startswith(f"text of {words} in print; draw it larger")


@pytest.mark.skipif(not shutil.which("pdftotext"), reason="needs pdftotext")
def test_texts_on_each_other_are_found(tmp_path):
    path = draw(tmp_path / "a.pdf", {(0.1, 0.5): "reader", (0.13, 0.5): "writer"})
    assert list(print_sizes.problems(path, 1.0)) == [
        '"reader" and "writer" lie on each other; move one'
    ]


def test_the_log_says_what_latex_shrank(tmp_path):
    folder = tmp_path / "latex"
    folder.mkdir()
    log = "x\nbenchpaper: some-figure shrunk from 300.0pt to 240.0pt\n"
    (folder / "main.log").write_text(log)
    assert print_sizes.scales(tmp_path) == {"some-figure": 0.8}


MAIN = r"""\input{first} % and not \input{other}
\begin{figure}\exhibitfigure{a}\caption{A.}\label{fig:a}\end{figure}
\begin{table}\begin{tabular}{ll}TABLE\end{tabular}\caption{B.}\label{tab:b}\end{table}
"""


@pytest.fixture
def paper(make_project):
    project = make_project({"benchpaper.toml": '[paper]\nsupplement = "other.tex"\n'})
    project.paper.mkdir(exist_ok=True)

    def paper(first="", other="", table=r"a & b \\ 1 & 2 \\"):
        (project.paper / "main.tex").write_text(MAIN.replace("TABLE", table))
        (project.paper / "first.tex").write_text(first)
        (project.paper / "other.tex").write_text(other)
        return project

    return paper


@pytest.mark.parametrize(
    "text, missing",
    [
        (r"\Cref{fig:a} and \cref{tab:b}.", []),
        (r"\cref{fig:a,tab:b}.", []),
        ("\\cref{fig:a,%\ntab:b}.", []),
        (r"\cref{fig:a}. % \cref{tab:b}", ["tab:b"]),
        ("", ["fig:a", "tab:b"]),
    ],
)
def test_a_float_that_no_sentence_refers_to_is_found(paper, text, missing):
    problems = list(paper_lint.cited_floats(paper(first=text)))
    assert len(problems) == len(missing)
    assert all(label in problem for label, problem in zip(missing, problems, strict=True))


def test_a_paragraph_of_the_paper_holds_three_numbers_and_the_supplement_more(paper):
    four = NUMBERS + r" \result{d}"
    assert list(paper_lint.few_numbers(paper(first=f"{NUMBERS}\n\n{NUMBERS}", other=four))) == []
    [problem] = paper_lint.few_numbers(paper(first=f"One. {four}"))
    assert problem.startswith('paper/first.tex: the paragraph "One. ') and "4 numbers" in problem
    in_items = rf"\begin{{itemize}}\item {NUMBERS} \item {NUMBERS}\end{{itemize}}"
    assert list(paper_lint.few_numbers(paper(first=in_items))) == []
    in_caption = rf"\begin{{figure}}\caption{{{four}}}\end{{figure}}"
    assert list(paper_lint.few_numbers(paper(first=in_caption))) == []


@pytest.mark.parametrize(
    "table, words",
    [
        ("&".join("abcdefg") + r" \\", ""),
        ("&".join("abcdefgh") + r" \\", "8 columns"),
        (r"a & b \\ " * 16, ""),
        (r"a & b \\ " * 17, "16 rows"),
    ],
)
def test_a_large_table_belongs_in_the_supplement(paper, table, words):
    problems = list(paper_lint.small_tables(paper(table=table)))
    assert bool(problems) == bool(words) and all(words in problem for problem in problems)
