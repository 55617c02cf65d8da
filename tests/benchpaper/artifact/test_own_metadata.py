"""`check` finds metadata that somebody took over from another paper's artifact."""

import pytest

from benchpaper.artifact import checklist, start
from benchpaper.artifact.metadata_checks import own_metadata
from benchpaper.core.project import Project

PAPER = start.Description("What a *pipe* costs & why", ("Ada Quillfeather",))


@pytest.fixture
def project(tmp_path):
    start.init(tmp_path, PAPER)
    return Project(tmp_path)


def test_a_fresh_project_has_its_own(project):
    assert list(own_metadata(project)) == []
    assert own_metadata in checklist.FILES


def test_a_paper_without_a_title_is_not_finished(tmp_path):
    start.init(tmp_path, start.Description("Untitled", ("Anonymous",)))
    problems = list(own_metadata(Project(tmp_path)))
    assert [problem.split(" is still")[0] for problem in problems] == [
        "the title in benchpaper.toml",
        "the title in CITATION.cff",
    ]


OTHER = "Caching objects at the far end of a link"


@pytest.mark.parametrize(
    "name, old, new, words",
    [
        ("CITATION.cff", 'title: "What a *pipe* costs & why"', f"title: {OTHER}", '"Caching"'),
        ("benchpaper.toml", "What a *pipe* costs & why", OTHER, 'in benchpaper.toml is "Caching'),
        ("paper/main.tex", r"\title{What a *pipe* costs \& why}", rf"\title{{{OTHER}}}", '"What"'),
        ("CITATION.cff", "Ada Quillfeather", "Bo Ruud", 'benchpaper.toml names the author "Ada'),
        ("benchpaper.toml", '["Ada Quillfeather"]', '["Bo Ruud"]', 'names the author "Bo Ruud"'),
        ("paper/main.tex", r"\author{Ada Quillfeather}", r"\author{Bo Ruud}", r"\author of paper/"),
        ("benchpaper.toml", "keywords = []", 'keywords = ["erasure coding"]', '"erasure"'),
        ("CITATION.cff", "version: 0.1.0", "version: 0.1.0\nkeywords: [erasure coding]", "erasure"),
        (
            "CITATION.cff",
            "version: 0.1.0",
            "version: 0.1.0\nabstract: Erasure coding shortens the repair of distributed objects.",
            "description in CITATION.cff",
        ),
        (
            "pyproject.toml",
            'version = "0.1.0"',
            'version = "0.1.0"\ndescription = "Erasure coding for distributed object stores"',
            "description in pyproject.toml",
        ),
    ],
)
def test_what_another_paper_says_of_itself_is_found(project, name, old, new, words):
    path = project.root / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    problems = list(own_metadata(project))
    assert any(words in problem for problem in problems), problems
    assert all("; " in problem and "\n" not in problem for problem in problems)


@pytest.mark.parametrize(
    "old, new",
    [
        (
            r"\title{What a *pipe* costs \& why}",
            r"\title{\vspace{-2em}\bfseries What a *pipe*\\ costs? Why}",
        ),
        (r"\title{What a *pipe* costs \& why}", r"\title{\papertitle}"),
        (r"\title{", "% \\title{Of a draft}\n\\title{"),
        (r"\author{Ada Quillfeather}", r"\author{A. Quillfeather\thanks{Of somewhere}}"),
        (r"\author{Ada Quillfeather}", r"\author{Anonymous Author(s)}"),
        (r"\section{Results}", r"\section{Results of erasure coding, reproducibly}"),
    ],
)
def test_a_title_block_may_be_written_as_its_author_likes(project, old, new):
    main = project.paper / "main.tex"
    assert old in main.read_text()
    main.write_text(main.read_text().replace(old, new))
    if "erasure" in new:
        settings = project.root / "benchpaper.toml"
        keywords = 'keywords = ["Erasure Coding", "reproducibility"]'
        settings.write_text(settings.read_text().replace("keywords = []", keywords))
    assert list(own_metadata(project)) == []
