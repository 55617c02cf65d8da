"""A project's commit is its own or its bundle's, never that of an enclosing repository."""

import hashlib
import json
import os
import shlex
import subprocess

import pyarrow.parquet as pq
import pytest

from benchpaper.core.errors import UserError
from benchpaper.core.revision import known_revision, revision
from benchpaper.results import TRIALS

BUNDLED = "b" * 40
ANOTHER_USER = 12345


def commit(folder):
    """Make `folder` a repository with everything in it committed; returns the commit."""
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "x", "--allow-empty"]):
        git(folder, "-c", "user.name=x", "-c", "user.email=x@y.example", *words)
    return git(folder, "rev-parse", "HEAD")


def git(folder, *words):
    return subprocess.run(
        ["git", "-C", folder, *words], check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(tmp_path, monkeypatch):
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "home" / ".gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)


@pytest.fixture
def within_another(pipe_project):
    """A project that lies within another repository."""
    commit(pipe_project.root.parent)
    return pipe_project


@pytest.fixture
def unpacked(within_another):
    """The same with what an unpacked bundle says of itself."""
    root, source = (
        within_another.root,
        within_another.experiments / "toy" / "pipe" / "experiment.py",
    )
    (root / "bundle.json").write_text(
        json.dumps({"commit": BUNDLED, "commit_seconds": 10**9, "clean": True})
    )
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    (root / "manifest-sha256.txt").write_text(
        f"{digest}  {source.relative_to(root)}\n{'0' * 64}  build/x\n"
    )
    return within_another


def test_the_commit_of_a_repository_around_the_project_is_not_its_own(within_another):
    state = revision(within_another)
    assert (state.commit, state.clean) == (
        "unknown",
        False,
    ) and "neither a git checkout nor" in state.why
    (within_another.root / ".git").mkdir()  # a broken one: git itself would look further up
    assert (
        revision(within_another).commit == "unknown"
        and "not a git repository" in revision(within_another).why
    )


def test_an_unpacked_bundle_has_the_commit_that_it_was_made_of(unpacked):
    state = revision(unpacked)
    assert (state.commit, state.seconds, state.clean, state.why) == (BUNDLED, 10**9, True, "")


@pytest.mark.parametrize("change", [lambda path: path.write_text("#"), lambda path: path.unlink()])
def test_an_unpacked_bundle_with_another_source_is_not_clean(unpacked, change):
    change(unpacked.experiments / "toy" / "pipe" / "experiment.py")
    assert (revision(unpacked).commit, revision(unpacked).clean) == (BUNDLED, False)


def test_variables_lead_to_no_other_repository(pipe_project, tmp_path, monkeypatch):
    own, other = commit(pipe_project.root), tmp_path / "other"
    other.mkdir()
    (other / "file").write_text("")
    commit(other)
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    assert revision(pipe_project).commit == own


@pytest.mark.parametrize("make, words", [
    (lambda root: (root / ".git").mkdir(), "not a git repository"),
    (lambda root: subprocess.run(["git", "init", "-q", root], check=True),
        "does not have any commits yet"),
    (lambda root: (root / "bundle.json").write_text("[]"), "bundle.json is broken"),
])  # fmt: skip
def test_why_a_commit_is_unknown_is_one_line(pipe_project, make, words):
    make(pipe_project.root)
    with pytest.raises(UserError, match=words) as error:
        known_revision(pipe_project)
    assert "\n" not in str(error.value) and "; " in str(error.value)


@pytest.mark.root
@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="giving a checkout to another user needs root")
def test_a_checkout_of_another_user_is_told_with_its_remedy_before_anything_is_measured(
    pipe_project, run_benchpaper
):
    (pipe_project.analysis / "toy_pipe.ipynb").write_text("{}")
    own = commit(pipe_project.root)
    for path in (pipe_project.root, pipe_project.root / ".git"):
        os.chown(path, ANOTHER_USER, ANOTHER_USER)
    done = run_benchpaper(pipe_project, "run", "results", "--scale", "smoke")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert (
        lines[0].startswith("going on with commit unknown: ")
        and "detected dubious ownership" in lines[0]
    )
    table = pq.read_table(pipe_project.results("local", "smoke") / "toy" / "pipe" / TRIALS)
    assert set(table["git_commit"].to_pylist()) == {"unknown"} and set(
        table["git_clean"].to_pylist()
    ) == {False}

    for words in (
        ["run", "bundle", "--scale", "smoke"],
        ["bundle", "--scale", "smoke"],
        ["changed"],
    ):
        refused = run_benchpaper(pipe_project, *words)
        assert refused.returncode == 2 and "detected dubious ownership" in refused.stderr, (
            refused.stderr
        )
        assert refused.stderr.count("\n") == 1 and lines[0].endswith(
            refused.stderr.split("; to fix it: ")[1].strip()
        )

    remedy = lines[0].split("; to fix it: ")[1]
    subprocess.run(shlex.split(remedy), check=True)
    assert revision(pipe_project).commit == own
