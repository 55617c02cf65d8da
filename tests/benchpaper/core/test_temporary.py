"""Temporary folders of killed processes are removed; those of living ones stay."""

import errno
import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from benchpaper.core import temporary

KILLED = """
import os, signal, sys, tempfile
from benchpaper.core import temporary
with temporary.of_command():
    open(tempfile.mkdtemp() + "/rest", "w").close()
    print(tempfile.gettempdir(), flush=True)
    if sys.argv[1:]:
        sys.stdin.read()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)


def test_a_killed_command_leaves_one_folder_which_is_swept(tmp_path):
    done = subprocess.run([sys.executable, "-c", KILLED], capture_output=True, text=True)
    folder = Path(done.stdout.strip())
    assert [folder] == list(tmp_path.iterdir()) and list(folder.rglob("rest"))
    assert temporary.sweep() == 1 and not list(tmp_path.iterdir())


def test_the_folder_of_a_living_command_stays(tmp_path):
    living = subprocess.Popen(
        [sys.executable, "-c", KILLED, "wait"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    folder = Path(living.stdout.readline().strip())
    try:
        assert temporary.sweep() == 0 and list(folder.rglob("rest"))
    finally:
        living.communicate()
    assert temporary.sweep() == 1 and not folder.exists()


def test_a_command_keeps_its_files_and_those_of_its_children_in_one_private_folder(tmp_path):
    shown = "import tempfile; print(tempfile.gettempdir())"
    with temporary.of_command():
        (folder,) = tmp_path.iterdir()
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert tempfile.gettempdir() == os.environ["TMPDIR"] == str(folder)
        child = subprocess.run([sys.executable, "-c", shown], capture_output=True, text=True)
        assert child.stdout.strip() == str(folder)
        with temporary.of_command():  # a command that this one started
            assert tempfile.gettempdir() == str(folder)
        assert temporary.sweep() == 0 and folder.exists()
    assert not list(tmp_path.iterdir()) and os.environ["TMPDIR"] == str(tmp_path)


def test_what_others_made_stays(tmp_path):
    kept = [tmp_path / name for name in ("benchpaper-tmp-file", "benchpaper-0", "tmpx")]
    kept[0].touch()
    for folder in kept[1:]:
        folder.mkdir()
    elsewhere = tmp_path.with_name(f"{tmp_path.name}-elsewhere")
    elsewhere.mkdir()
    (tmp_path / "benchpaper-tmp-link").symlink_to(elsewhere)
    assert temporary.sweep() == 0
    assert all(path.exists() for path in [*kept, elsewhere, tmp_path / "benchpaper-tmp-link"])


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
@pytest.mark.parametrize("how", ["at its end", "by a sweep"])
def test_a_folder_with_a_mount_is_not_emptied(tmp_path, how):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis").touch()
    point = tmp_path / "benchpaper-tmp-x" / "point"
    if how == "at its end":
        with temporary.folder() as folder:
            point = folder / "point"
            mounted = bound(precious, point)
    else:
        mounted = bound(precious, point)
        assert temporary.sweep() == 0
    assert (point / "thesis").exists()
    subprocess.run(["umount", mounted], check=True)
    assert temporary.sweep() == 1 and (precious / "thesis").exists()


def bound(source, point):
    point.mkdir(parents=True)
    if subprocess.run(["mount", "--bind", source, point], capture_output=True).returncode:
        pytest.skip("mount is not allowed here")
    return point


def test_a_folder_that_was_swept_before_it_was_locked_is_made_again(monkeypatch):
    opened, swept = temporary._open, []

    def late(path):
        if not swept:
            path.rmdir()
            swept.append(path)
        return opened(path)

    monkeypatch.setattr(temporary, "_open", late)
    with temporary.folder() as folder:
        assert folder.exists() and swept != [folder]


def test_where_folders_have_no_locks_they_are_used_and_never_swept(tmp_path, monkeypatch):
    def refuse(descriptor, how):
        raise OSError(errno.EBADF, "as NFS says")

    monkeypatch.setattr(temporary.fcntl, "flock", refuse)
    with temporary.of_command():
        assert len(list(tmp_path.iterdir())) == 1 and temporary.sweep() == 0
    assert not list(tmp_path.iterdir())
    (tmp_path / "benchpaper-tmp-x").mkdir()
    assert temporary.sweep() == 0 and (tmp_path / "benchpaper-tmp-x").exists()
