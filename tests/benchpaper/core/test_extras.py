"""What only some commands need is said in one line, with the extra that brings it."""

import sys
from importlib import metadata

import pytest
from checkout import ROOT

from benchpaper.core import extras
from benchpaper.core.errors import UserError
from benchpaper.hosts.ssh import wheels
from benchpaper.paper import html
from benchpaper.workflow import pipeline, runner


@pytest.fixture
def without(monkeypatch, tmp_path):
    """Return `hide(package)`: from now on that package is not installed.

    The environment seems to be the user's own, not one that `./reproduce` made.
    """
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "env"))
    hidden, real = set(), metadata.version

    def version(name):
        if name in hidden:
            raise metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(metadata, "version", version)
    return hidden.add


def test_the_core_is_at_most_a_hundred_packages():
    core = {distribution.name.lower() for distribution in wheels.closure(["benchpaper"])}
    assert 50 < len(core) <= 100 - len({"pip", "setuptools"}), sorted(core)
    assert not core & {"sphinx", "plotly", "pikepdf", "rocrate", "pytest", "boto3"}


@pytest.mark.parametrize(
    "extra, package",
    [
        ("report", "sphinx"),
        ("report", "plotly"),
        ("report", "myst-nb"),
        ("bundle", "pikepdf"),
        ("bundle", "rocrate"),
        ("bundle", "cyclonedx-python-lib"),
        ("slurm", "snakemake-executor-plugin-slurm"),
    ],
)
def test_a_missing_package_is_one_line_that_names_its_extra(without, extra, package):
    assert extras.missing(extra) == []
    without(package)
    with pytest.raises(UserError) as refused:
        extras.require(extra, "it")
    assert str(refused.value) == (
        f'it needs {package}, which is not installed; run: pip install "benchpaper[{extra}]"'
    )
    assert all(extras.missing(other) == [] for other in {"report", "bundle", "slurm"} - {extra})


def test_an_environment_of_reproduce_gets_it_from_its_lock(without, monkeypatch):
    monkeypatch.setattr(sys, "prefix", str(ROOT / ".venv"))
    without("sphinx")
    with pytest.raises(UserError, match=r"sphinx, .*; run: ./reproduce --for report$"):
        extras.require("report", "it")


@pytest.mark.parametrize(
    "package, words, profile",
    [
        ("sphinx", ("report",), "default"),
        ("pikepdf", ("bundle",), "default"),
        ("snakemake-executor-plugin-slurm", (), "slurm"),
    ],
)
def test_a_run_says_so_before_it_measures(pipe_project, without, package, words, profile):
    without(package)
    pipe_project.notebook("toy/pipe").write_text("{}")
    run = pipeline.Pipeline(pipe_project, "local", "smoke", 1, profile)
    with pytest.raises(UserError, match=r"^the (target|profile) .* pip install"):
        runner.run(run, words)
    assert not run.folder.exists()


def test_the_commands_say_so_too(pipe_project, without, tmp_path, monkeypatch):
    from click.testing import CliRunner

    from benchpaper.cli.commands import cli

    monkeypatch.chdir(pipe_project.root)
    without("rocrate")
    without("plotly")
    for words in (["verify", str(tmp_path / "x.zip")], ["bundle"]):
        refused = CliRunner().invoke(cli, words).exception
        assert 'pip install "benchpaper[bundle]"' in str(refused), (words, refused)
    with pytest.raises(UserError, match="the report needs plotly"):
        html.build(pipe_project, "local", "smoke", [])
