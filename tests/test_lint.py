"""Every linter passes, and pre-commit calls the same ones."""

import subprocess
import sys

import lint
import pytest
import yaml
from checkout import ROOT


@pytest.mark.parametrize("name", lint.LINTERS)
def test_linter_passes(name):
    done = lint.run(name)
    assert done.returncode == 0, done.stdout


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
