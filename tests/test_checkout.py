"""What a checkout is on any machine: the line ends are those of the repository."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.skipif(not (ROOT / ".git").exists(), reason="this is no git checkout")


def git(folder, *words):
    # The user's own settings stay out of it.
    env = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    return subprocess.run(["git", "-C", folder, *words], env=env, capture_output=True, text=True, check=True).stdout


def test_a_git_that_writes_crlf_as_on_windows_checks_out_what_was_committed(tmp_path):
    clone = tmp_path / "clone"
    git(ROOT, "clone", "-q", "-c", "core.autocrlf=true", ROOT, clone)
    names = [path.relative_to(clone) for path in clone.rglob("*") if path.is_file() and ".git" not in path.parts]
    assert len(names) > 100
    assert [name for name in names if subprocess.run(
        ["git", "-C", clone, "cat-file", "blob", f"HEAD:{name}"], capture_output=True, check=True
    ).stdout != (clone / name).read_bytes()] == []  # fmt: skip
    assert git(clone, "status", "--porcelain") == ""


def test_no_text_is_committed_with_crlf():
    ends = [line.split()[0] for line in git(ROOT, "ls-files", "--eol").splitlines()]
    assert set(ends) <= {"i/lf", "i/-text", "i/none"}
