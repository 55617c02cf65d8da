"""The archive of this project itself, as the README says to make it: it must verify, whatever the reference holds."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import small_project
from benchpaper import bundle, checklist
from benchpaper.environment import of_code
from benchpaper.project import Project

ROOT = Path(__file__).resolve().parents[1]
TIMEOUT_S = 1800  # it takes one minute on two quiet cores

pytestmark = pytest.mark.skipif(not shutil.which("latexmk"), reason="a bundle holds the PDF, which needs LaTeX")


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A checkout of its own with the files as they are here, and nothing built."""
    root = tmp_path_factory.mktemp("own") / "clone"
    for name in bundle.sources(Project(ROOT)):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    project = Project(root)
    small_project.git(project, "init", "-q")
    for key in ("user.name", "user.email"):
        small_project.git(project, "config", key, "a@b.example")
    small_project.commit(project)
    return project


def benchpaper(project, *words):
    """Run the clone's own code."""
    env = {**os.environ, "BENCHPAPER_PROJECT": str(project.root), **of_code(project.root / "src")}
    command = [sys.executable, "-m", "benchpaper.cli", *words]
    return subprocess.run(command, cwd=project.root, env=env, capture_output=True, text=True, timeout=TIMEOUT_S)


def test_the_archive_of_the_reference_verifies(clone):
    built = benchpaper(clone, "run", "--from", "reference", "bundle")
    assert built.returncode == 0, built.stdout + built.stderr
    done = benchpaper(clone, "verify", "build/local-reference/bundle.zip")
    assert done.returncode == 0 and "NOT VERIFIED" not in done.stderr, done.stdout + done.stderr
    assert "what else it prints is accounted for" in done.stdout or not shutil.which("pdftotext")
    assert checklist.problems(clone, checklist.trails) == []
    status = subprocess.run(["git", "-C", clone.root, "status", "--porcelain"], capture_output=True, text=True)
    assert status.stdout == ""
