"""benchpaper.toml: what is read, and what is refused with the place and the remedy."""

import pytest
from checkout import ROOT

from benchpaper.core import settings
from benchpaper.core.errors import UserError


def test_without_the_file_a_project_has_the_defaults(tmp_path):
    assert settings.read(tmp_path) == settings.Paper()


def test_this_repository_describes_its_paper():
    assert settings.read(ROOT).authors == ("Anonymous",)


@pytest.mark.parametrize(
    "text, words",
    [
        ("[paper", "cannot be read: Expected"),
        ("[papre]", 'unknown table "papre"; did you mean "paper"'),
        ("paper = 3", "must be a table"),
        ("[paper]\nnitle = 'x'", 'unknown key "nitle"; did you mean "title"'),
        ("[paper]\ntitle = 3", "title must be a text"),
        ("[paper]\nauthors = 'A'", "authors must be a list"),
        ("[paper]\nauthors = [1]", "authors must be a list"),
        ("[paper]\ncolumn_width_in = '3'", "must be a number of inches"),
        ("[paper]\ncolumn_width_in = true", "must be a number of inches"),
        ("[paper]\ncolumn_width_in = 900", "from 1 to 20"),
        ("[paper]\nmain = '../main.tex'", "must be a .tex file of paper/"),
        ("[paper]\nmain = 'main'", "must be a .tex file of paper/"),
        ("\xff", "cannot be read"),
    ],
)
def test_a_mistake_is_one_line(tmp_path, text, words):
    (tmp_path / settings.FILE).write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match=words) as refused:
        settings.read(tmp_path)
    assert "\n" not in str(refused.value) and settings.FILE in str(refused.value)
