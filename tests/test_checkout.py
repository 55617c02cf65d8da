"""What a checkout is on any machine: the line ends are those of the repository."""

import os
import subprocess

import pytest
from checkout import ROOT

pytestmark = pytest.mark.skipif(not (ROOT / ".git").exists(), reason="this is no git checkout")


def git(folder, *words, given=None):
    # The user's own settings stay out of it.
    env = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    command = ["git", "-C", folder, *words]
    return subprocess.run(
        command, env=env, input=given, capture_output=True, text=True, check=True
    ).stdout


def test_a_git_that_writes_crlf_as_on_windows_checks_out_what_was_committed(tmp_path):
    clone = tmp_path / "clone"
    git(ROOT, "clone", "-q", "-c", "core.autocrlf=true", ROOT, clone)
    listed = git(clone, "ls-tree", "-r", "--format=%(objectname) %(path)", "HEAD").splitlines()
    committed = {name: digest for digest, name in (line.split(" ", 1) for line in listed)}
    digests = git(
        clone, "hash-object", "--no-filters", "--stdin-paths", given="\n".join(committed)
    ).split()
    assert len(committed) > 100 and dict(zip(committed, digests)) == committed
    assert git(clone, "status", "--porcelain") == ""


def test_no_text_is_committed_with_crlf():
    ends = [line.split()[0] for line in git(ROOT, "ls-files", "--eol").splitlines()]
    assert set(ends) <= {"i/lf", "i/-text", "i/none"}
