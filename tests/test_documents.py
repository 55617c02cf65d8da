"""The documents agree with the code, and the checks of their words and drawing can fail."""

import importlib.util
import re
import tomllib

import glossary
import pytest
import yaml
from checkout import ROOT

TABLE = (
    "| word | meaning | do not write |\n|---|---|---|\n| block | every cell once | repetition |\n"
)


@pytest.fixture(scope="module")
def draw_rooms():
    """The module docs/draw_rooms.py, which lies in no package."""
    spec = importlib.util.spec_from_file_location("draw_rooms", ROOT / "docs/draw_rooms.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write(root, name, text):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    "name, text",
    [
        ("README.md", "\nEach repetition counts.\n"),
        ("docs/deep/page.md", "\nA Repetition.\n"),
        ("src/benchpaper/a.py", '\n"""Measure one repetition."""\n'),
        ("src/benchpaper/core/a.py", '\nraise ValueError(f"no repetition {1}")\n'),
    ],
)
def test_a_synonym_is_found_with_its_place(tmp_path, name, text):
    write(tmp_path, "GLOSSARY.md", TABLE)
    write(tmp_path, name, text)
    (problem,) = glossary.problems(tmp_path)
    assert problem.startswith(f"{name}:2: ") and problem.endswith('GLOSSARY.md says "block"')


def test_code_may_use_any_word(tmp_path):
    write(tmp_path, "GLOSSARY.md", TABLE)
    write(tmp_path, "README.md", "`repetition`\n\n    repetition = 1\n\n```\nrepetition\n```\n")
    write(tmp_path, "src/benchpaper/a.py", 'repetition = {"repetition": 1}\n')
    assert list(glossary.problems(tmp_path)) == []


def test_the_glossary_is_sorted_and_defines_each_word_once():
    rows = [
        line.split("|")[1].strip()
        for line in (ROOT / "GLOSSARY.md").read_text().splitlines()
        if line[:1] == "|"
    ]
    words = rows[2:]
    assert words == sorted(set(words), key=str.lower)


def test_the_drawing_sees_every_import_between_rooms(draw_rooms, tmp_path):
    package = tmp_path / "benchpaper"
    write(package, "core/a.py", "import os\n")
    write(package, "paper/a.py", "from benchpaper.core import a\nfrom benchpaper.paper import b\n")
    write(
        package,
        "cli/deep/a.py",
        "def f():\n    import benchpaper.paper.a\n    from benchpaper import core\n",
    )
    assert draw_rooms.arrows(package) == {("paper", "core"), ("cli", "paper"), ("cli", "core")}


def test_the_drawing_leaves_out_what_a_longer_path_implies(draw_rooms):
    chain = {("cli", "paper"), ("paper", "results"), ("cli", "analysis"), ("analysis", "results")}
    assert draw_rooms.direct({*chain, ("cli", "results")}) == chain


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md"])
def test_each_link_to_a_file_of_the_project_has_its_target(name):
    targets = re.findall(r"\]\((?!https?:)([^)#]+)[^)]*\)", (ROOT / name).read_text())
    assert targets and [target for target in targets if not (ROOT / target).exists()] == []


def test_the_citation_is_complete_and_agrees_with_the_project():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert citation["cff-version"] == "1.2.0" and citation["message"] and citation["title"]
    assert all(set(author) & {"name", "family-names"} for author in citation["authors"])
    assert (citation["version"], citation["license"]) == (project["version"], project["license"])
