"""Private folders have mode 0700, whatever was there and whatever the umask is."""

import os
import stat
import tempfile
from pathlib import Path

import pytest

from benchpaper.core.private import own_folder


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_a_new_folder_is_private(tmp_path, umask):
    (tmp_path / "above").mkdir()
    before = os.umask(umask)
    try:
        made = own_folder(tmp_path / "above" / "private")
    finally:
        os.umask(before)
    assert stat.S_IMODE(made.stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o777, 0o755, 0o500])
def test_an_existing_folder_becomes_private(tmp_path, mode):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder").chmod(mode)
    assert stat.S_IMODE(own_folder(tmp_path / "folder").stat().st_mode) == 0o700


@pytest.mark.parametrize("target", ["a folder", "nothing"])
def test_a_link_is_refused(tmp_path, target):
    if target == "a folder":
        (tmp_path / "target").mkdir(mode=0o755)
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with pytest.raises((PermissionError, FileExistsError)):
        own_folder(tmp_path / "link")
    if target == "a folder":
        assert stat.S_IMODE((tmp_path / "target").stat().st_mode) == 0o755


def test_a_file_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError):
        own_folder(tmp_path / "file")


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")
def test_another_users_folder_is_refused():
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        os.chmod(folder, 0o777)
        child = os.fork()
        if child == 0:
            try:
                os.setuid(65534)
                with pytest.raises(PermissionError, match="it belongs to another user"):
                    own_folder(Path(folder))
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
