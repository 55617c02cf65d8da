"""benchpaper.toml: what is read, and what is refused with the place and the remedy."""

import pytest
from checkout import ROOT

from benchpaper.core import settings
from benchpaper.core.errors import UserError


def test_without_the_file_a_project_has_the_defaults(tmp_path):
    assert settings.read(tmp_path) == settings.Paper()
    assert settings.scales(tmp_path) == settings.Scales()
    assert settings.needs(tmp_path) == settings.Needs()


def test_the_first_scale_is_the_quickest_and_the_last_one_the_papers(tmp_path):
    (tmp_path / settings.FILE).write_text("[scales]\nnames = ['tiny', 'all']\ndefault = 'all'")
    scales = settings.scales(tmp_path)
    assert (scales.quickest, scales.default, scales.paper) == ("tiny", "all", "all")


def test_this_repository_describes_its_paper():
    assert settings.read(ROOT).authors == ("Anonymous",)


def _read_all(root):
    settings.read(root)
    settings.scales(root)
    settings.needs(root)


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
        ("[scales]\nnames = []", "names must name a scale"),
        ("[scales]\nnames = ['a', 'a']\ndefault = 'a'", '"a" is no name of a scale'),
        ("[scales]\nnames = ['A b']", '"A b" is no name of a scale'),
        ("[scales]\nnames = ['try']", '"try" is no name of a scale'),
        ("[scales]\nnames = ['../x']", "is no name of a scale"),
        ("[scales]\nnames = ['reference']", "is no name of a scale"),
        ("[scales]\nnames = ['full']\ndefault = 'ful'", 'not one of full; did you mean "full"'),
        ("[scales]\nnames = ['full']", 'the default scale "quick" is not one of full'),
        ("[scales]\nname = ['full']", 'unknown key "name"; did you mean "names"'),
        ("[needs]\ndisk = 3", "disk must be a text"),
        ("\xff", "cannot be read"),
    ],
)
def test_a_mistake_is_one_line(tmp_path, text, words):
    (tmp_path / settings.FILE).write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match=words) as refused:
        _read_all(tmp_path)
    assert "\n" not in str(refused.value) and settings.FILE in str(refused.value)
