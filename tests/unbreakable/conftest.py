"""Toy projects to break, and a temporary folder for each test."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import shared
from checkout import ROOT
from toy_runs import HEAD, SAVING, notebook


@pytest.fixture
def make_toy(make_project):
    """Return `make(body, ...)`: a project whose only experiment, toy/one, has this trial body.

    Each trial appends its seed to the file `begun` when it starts.
    """

    def make(body, levels=("a", "b"), blocks=1, attempts=1, timeout_s=20.0, more="", files=None):
        text = HEAD.format(
            levels=list(levels), blocks=blocks, attempts=attempts, timeout_s=timeout_s, more=more
        )
        return make_project({"experiments/toy/one/experiment.py": text + body, **(files or {})})

    return make


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path, monkeypatch):
    """What killed runs leave in the temporary folder is found there."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))


@pytest.fixture(scope="session")
def measured_once(request, tmp_path_factory):
    """A project measured in five blocks, which are its reference too. Copy it before use."""
    from benchpaper.core.project import Project

    return Project(shared.folder(request, tmp_path_factory, "measured-toy", _measure))


def _measure(root):
    for folder in ("analysis", "sites", "paper", "artifacts", "experiments/toy/one"):
        (root / folder).mkdir(parents=True)
    for name in ("Snakefile", "src"):
        (root / name).symlink_to(ROOT / name)
    text = HEAD.format(levels=["a", "b"], blocks=5, attempts=1, timeout_s=20, more="")
    (root / "experiments/toy/one/experiment.py").write_text(
        text + "    yield dict(latency_us=1.0)\n"
    )
    (root / "analysis/toy_one.ipynb").write_text(notebook(SAVING))
    (root / "analysis/claims.py").write_text("")
    environment = {**os.environ, "TMPDIR": str(root.parent)}
    benchpaper = Path(sys.executable).with_name("benchpaper")
    for words in (["run", "results", "--scale", "full"], ["adopt"]):
        subprocess.run(
            [benchpaper, *words],
            cwd=root,
            env=environment,
            check=True,
            capture_output=True,
            timeout=600,
        )


@pytest.fixture
def measured(measured_once, tmp_path):
    from benchpaper.core.project import Project

    shutil.copytree(measured_once.root, tmp_path / "copy", symlinks=True)
    return Project(tmp_path / "copy")
