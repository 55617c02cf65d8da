"""A project whose scales have names of its own, from `benchpaper new` to the appendix."""

import os
import re
from pathlib import Path
from unittest import mock

import pytest

from benchpaper.analysis import claims, estimates
from benchpaper.artifact import appendix, appendix_text, experiment_checks, scaffold
from benchpaper.core import settings
from benchpaper.core.errors import UserError
from benchpaper.design import catalog
from benchpaper.results import parquet
from benchpaper.workflow.pipeline import Pipeline

SETTINGS = """
[scales]
names = ["tiny", "laptop", "testbed"]
default = "laptop"
[needs]
hardware = "a telescope"
data = "The sky is needed"
disk = "one plate"
"""
USUAL = re.compile(r"\b(smoke|quick|full)\b", re.I)


@pytest.fixture
def project(make_project):
    made = make_project({"benchpaper.toml": SETTINGS, "sites/local.yaml": ""})
    (made.root / "sites/local.yaml").unlink()
    scaffold.new(made, "toy/pipe")
    return made


def test_a_new_experiment_declares_them(project):
    experiment = catalog.load(project, "toy/pipe")
    blocks = {name: scale.blocks for name, scale in experiment.scales.items()}
    assert blocks == {"tiny": 2, "laptop": 5, "testbed": 15}
    assert not list(experiment_checks.declaration(project, "toy/pipe"))
    assert not list(experiment_checks.cells(project, "toy/pipe"))
    assert 'cells("tiny")' in (project.root / "tests/experiments/test_toy_pipe.py").read_text()


def test_an_experiment_of_another_project_is_refused(project):
    path = project.experiments / "toy/pipe/experiment.py"
    path.write_text(path.read_text().replace("tiny=2", "smoke=2"))
    with pytest.raises(UserError, match="experiment.py: scales lack tiny; every experiment decl"):
        catalog.load(project, "toy/pipe")


def test_no_other_scale_can_be_measured(project):
    with pytest.raises(UserError, match='scale "quick" not found .*tiny, laptop, testbed'):
        Pipeline(project, "local", "quick", 1)
    assert Pipeline(project, "local", "laptop", 1).plan("toy/pipe").scale == "laptop"


def test_the_options_help_and_refuse_by_them(project, monkeypatch):
    from click.testing import CliRunner

    from benchpaper.cli.commands import cli

    monkeypatch.chdir(project.root)
    with mock.patch.dict(os.environ):  # which the program makes its own
        os.environ.pop("BENCHPAPER_PROJECT", None)
        help_text = CliRunner().invoke(cli, ["plan", "--help"]).output
        refused = CliRunner().invoke(cli, ["plan", "--scale", "quick"]).exception
        plan = CliRunner().invoke(cli, ["plan"]).output
    assert "tiny|laptop|testbed" in help_text and "default: laptop" in " ".join(help_text.split())
    assert isinstance(refused, UserError) and "tiny, laptop, testbed" in str(refused)
    assert "at scale laptop" in plan


def test_the_appendix_speaks_of_them_and_of_the_projects_needs(project, monkeypatch):
    monkeypatch.chdir(project.root)
    run = Pipeline(project, "local", "tiny", 1)
    for block in run.blocks("toy/pipe"):
        block.measure()
    parquet.collect(run.folder / "toy/pipe", 2)
    claims.save(project, "local", "tiny")
    text = appendix_text.markdown(appendix.make(project, "local", "tiny", ["toy/pipe"]))
    assert "Hardware: a telescope." in text and "The sky is needed." in text
    assert "some minutes, one plate" in text and "./reproduce --scale tiny" in text
    assert "Scale tiny has too few blocks" in text
    assert "Scale laptop has the blocks that an interval takes, 5 or more." in text
    assert "Scale testbed is what the paper prints." in text
    assert not USUAL.search(text)
    loaded = estimates.load("toy/pipe", run.folder)
    with pytest.raises(estimates.NotPlanned):
        raise loaded.left_out(dict(target="pipe", size_bytes=3))
    loaded.trial_df["scale"] = "testbed"
    with pytest.raises(UserError, match="no cell has"):
        loaded.left_out(dict(target="pipe", size_bytes=3))


def test_a_mistake_about_scales_names_the_projects_own(project):
    path = project.experiments / "toy/pipe/experiment.py"
    before, _, after = path.read_text().partition("    scales={")
    path.write_text(before + after[after.index("    },\n") + len("    },\n") :])
    with pytest.raises(UserError, match=r"tiny=Scale\(blocks=2\), laptop=\.\.\., testbed=\.\.\."):
        catalog.load(project, "toy/pipe")


def test_the_framework_takes_no_scale_for_granted():
    """Outside examples, only the settings name the usual scales."""
    package = Path(settings.__file__).parents[1]
    usual = re.compile(r"scale (smoke|quick|full)\b|(smoke|quick)\b.*\bfull\b")
    texts = [*package.rglob("*.py"), *package.rglob("*.txt"), *package.rglob("*.smk")]
    lines = {
        f"{path.relative_to(package)}: {line.strip()}"
        for path in texts
        for line in path.read_text().splitlines()
        if usual.search(line) and not re.search("benchpaper [a-z-]+ net/latency", line)
    }
    assert lines == {
        'core/settings.py: names: tuple[str, ...] = ("smoke", "quick", "full")',
        'results/schema.py: Column("scale", "string", "", f"how much was measured, such as smoke '
        'or full; or {IMPORTED}"),',
    }
