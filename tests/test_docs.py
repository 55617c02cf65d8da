"""The documentation builds without a warning, and describes what is there."""

import re
import subprocess
import sys
from fnmatch import fnmatchcase

import pytest
from checkout import ROOT
from sphinx.util.inventory import InventoryFile

import benchpaper

BUILD = ["-b", "html", "-E", "-q", "-W", "-n", "--keep-going"]  # as ./reproduce docs
BUNDLE = (ROOT / "docs/formats/bundle.md").read_text()
WORDS = {"SITE": "local", "SOURCE": "smoke", "NOTEBOOK": "*", "EXHIBIT": "*", "FAMILY/NAME": "*/*"}


def built(sources, target):
    command = [sys.executable, "-m", "sphinx", *BUILD, sources, target]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the built pages."""
    target = tmp_path_factory.mktemp("docs") / "site"
    done = built(ROOT / "docs", target)
    assert done.returncode == 0, done.stderr
    return target


@pytest.mark.slow
def test_every_public_name_and_every_command_has_its_place(site):
    from benchpaper.cli.commands import cli

    inventory = InventoryFile.loads((site / "objects.inv").read_bytes(), uri="")
    documented = {name for kind in inventory.data for name in inventory.data[kind]}
    assert {f"benchpaper.{name}" for name in benchpaper.__all__} <= documented
    commands = (site / "reference/commands.html").read_text()
    assert all(f"Usage: benchpaper {name}" in commands for name in cli.commands if name != "step")


@pytest.mark.slow
def test_the_pages_load_nothing_from_other_servers(site):
    for page in site.rglob("*.html"):
        loaded = re.findall(r'<(?:script|link|img)[^>]*(?:src|href)="([^"]*)"', page.read_text())
        assert loaded and not [url for url in loaded if "//" in url], page


MISTAKES = [  # each with a word of its message
    ("[there](nowhere.md)", "nowhere.md"),
    ("[there](formats/bundle.md#no-such-heading)", "no-such-heading"),
    ("```{eval-rst}\n:py:obj:`benchpaper.Nothing`\n```", "benchpaper.Nothing"),
    ("```{eval-rst}\n.. public:: Experimental\n```", "benchpaper.Experimental is not there"),
    (
        "```{fields} analysis.manifest_json.FileJson\npath: x\n```",
        "keys than this page: ['sha256']",
    ),
    ("```{fields} analysis.recipes.RecipeJson\ncells: x\nby: x\n```", "'factor'"),
    ("```{fields} analysis.manifest_json.FileJson\nsha256: x\npath: x\n```", "the order"),
]


@pytest.mark.slow
def test_a_page_that_says_what_is_not_there_fails_the_build(tmp_path):
    for name in ("conf.py", "from_code.py"):
        source = (ROOT / "docs" / name).read_text()
        (tmp_path / name).write_text(source.replace("HERE.parent", f"Path({str(ROOT)!r})"))
    texts = ["# A page", "[x](formats/bundle.md)", *(text for text, _ in MISTAKES)]
    (tmp_path / "index.md").write_text("\n\n".join(texts))
    (tmp_path / "formats").mkdir()
    (tmp_path / "formats/bundle.md").write_text("---\norphan: true\n---\n# The bundle\n")
    done = built(tmp_path, tmp_path / "site")
    assert done.returncode == 1
    assert [word for _, word in MISTAKES if word not in done.stderr] == [], done.stderr
    assert len(done.stderr.strip().splitlines()) >= len(MISTAKES)


def described():
    """Return the patterns of the files that a bundle holds, as the page lists them."""
    names = re.findall(r"^\| `([^`]+)` \|(?! `)", BUNDLE.split("## bundle.json")[0], re.M)
    return [re.sub("|".join(WORDS), lambda word: WORDS[word[0]], name) for name in names]


def test_the_page_on_bundles_lists_what_a_bundle_adds_to_the_sources(small, small_files):
    from benchpaper.artifact import bundle

    added = set(small_files) - set(bundle.sources(small))
    patterns = described()
    assert [name for name in added if not any(fnmatchcase(name, p) for p in patterns)] == []
    assert [p for p in patterns if not any(fnmatchcase(name, p) for name in added)] == []


def test_the_page_on_bundles_lists_the_keys_of_bundle_json(small_files):
    from benchpaper.artifact.bundle import strict

    content = strict.from_json(small_files["bundle.json"], "bundle.json")
    listed = dict(re.findall(r"^\| `(\w+)` \| `(\w+)` \|", BUNDLE, re.M))
    assert listed == {key: type(value).__name__ for key, value in content.items()}
