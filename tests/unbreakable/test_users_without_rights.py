"""Users without a name or a home, and a checkout that is read-only."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from toy_runs import refused_in_one_line

pytestmark = pytest.mark.slow

# ---- users without a name, and without rights ----


@pytest.fixture
def nameless(measured, tmp_path_factory):
    """Return (project, words); before a command, the words run it as a user without name or home.

    That user may read everything, as if the program were not below root's home, and may write
    only in the project.
    """
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("becoming another user needs root and setpriv")
    temporary = tmp_path_factory.mktemp("t")
    subprocess.run(["chown", "-R", "-h", "54321:54321", measured.root, temporary], check=True)
    rights = [f"--{kind}-caps=+dac_read_search" for kind in ("inh", "ambient")]
    user = ["setpriv", "--reuid=54321", "--regid=54321", "--clear-groups", *rights]
    forgotten = [
        word
        for name in ("USER", "LOGNAME", "LNAME", "USERNAME", "XDG_CACHE_HOME")
        for word in ("-u", name)
    ]
    return measured, [*user, "env", *forgotten, "HOME=/", f"TMPDIR={temporary}"]


def test_a_user_without_a_name_and_a_home_builds_figures(nameless):
    project, words = nameless
    command = [
        *words,
        Path(sys.executable).with_name("benchpaper"),
        "run",
        "figures",
        "--from",
        "reference",
    ]
    done = subprocess.run(command, cwd=project.root, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (project.build("local", "reference") / "exhibits.tex").exists()
    assert (project.state / "cache" / "snakemake").is_dir()


@pytest.mark.root
def test_a_checkout_that_cannot_be_written_is_read_and_all_else_is_refused_in_one_line(
    measured, run_benchpaper
):
    if os.geteuid() != 0:
        pytest.skip("a read-only mount needs root")
    subprocess.run(["mount", "--bind", "-o", "ro", measured.root, measured.root], check=True)
    try:
        for words in (["plan", "toy/one"], ["claims", "--scale", "full"]):
            assert run_benchpaper(measured, *words).returncode == 0
        for words in (["run"], ["run", "-n", "--from", "reference"], ["new", "toy/two"]):
            message = f'"{measured.root}" cannot be written by this user'
            refused_in_one_line(run_benchpaper(measured, *words), message)
    finally:
        subprocess.run(["umount", measured.root], check=True)
