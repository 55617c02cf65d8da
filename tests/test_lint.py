"""Every linter passes, and pre-commit calls the same ones."""

import ast
import subprocess
import sys
import tomllib

import lint
import pytest
import yaml
from checkout import ROOT


@pytest.mark.parametrize("name", lint.LINTERS)
def test_linter_passes(name):
    done = lint.run(name)
    assert done.returncode == 0, done.stdout


VAGUE = {"found", "told", "asked", "about", "one"}


@pytest.mark.parametrize("folder", ["experiments", "tests/experiments"])
def test_no_name_is_vague(folder):
    """CONTRIBUTING.md asks for the field's terms instead of these words."""
    vague = {
        f"{path.relative_to(ROOT)}:{node.lineno}: {name}"
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        for field in ("id", "arg", "name", "attr", "asname")
        if (name := getattr(node, field, None)) in VAGUE
    }
    assert not vague


def test_no_fixture_has_the_scope_of_a_package():
    """Without an __init__.py, which no folder of tests has, pytest takes the whole session for it.

    What such a fixture starts then meets the tests of other folders, which kill it as a leftover.
    """
    assert not list((ROOT / "tests").rglob("__init__.py"))
    fixtures = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in (ROOT / "tests").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.keyword) and node.arg == "scope"
        if isinstance(node.value, ast.Constant) and node.value.value == "package"
    ]
    assert not fixtures, fixtures


def test_a_warning_is_an_error_except_for_those_that_are_named():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]
    error, *exceptions = settings["ini_options"]["filterwarnings"]
    assert error == "error"
    for exception in exceptions:
        action, message, category, *_ = exception.split(":")
        assert action == "ignore" and message and category.endswith("Warning"), exception


@pytest.mark.parametrize("patterns", [lint.SHELL, lint.C], ids=["shell", "c"])
def test_each_pattern_matches_a_file(patterns):
    assert all(lint.files([pattern]) for pattern in patterns)


def test_an_unknown_linter_is_refused_in_one_line():
    command = [sys.executable, lint.__file__, "flake8"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("there is no linter 'flake8'; choose from clang-tidy, mypy,")


def test_pre_commit_calls_each_linter_without_a_download():
    (local,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert local["repo"] == "local"
    hooks = {hook["id"]: hook for hook in local["hooks"]}
    assert list(hooks) == list(lint.LINTERS)
    for name, hook in hooks.items():
        assert hook["language"] == "system", name
        assert hook["entry"] == f".venv/bin/python tests/lint.py {name}"
