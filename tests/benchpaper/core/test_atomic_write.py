"""A file is replaced as a whole or not at all."""

import os
import re
from pathlib import Path

import pytest

from benchpaper.core.atomic_write import atomic_write, flush_tree, replacing


@pytest.mark.parametrize("content, read", [("µs\n", b"\xc2\xb5s\n"), (b"\0\xff", b"\0\xff")])
def test_text_and_bytes_replace_what_was_there(tmp_path, content, read):
    path = tmp_path / "file"
    path.write_text("old")
    atomic_write(path, content)
    assert path.read_bytes() == read and list(tmp_path.iterdir()) == [path]


def test_a_writer_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError), replacing(path) as part:
        part.write_text("half\ud800", encoding="utf-8")
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with replacing(path) as part:
        part.write_text("new")
        assert path.read_text() == "old" and part.parent == path.parent
    assert path.read_text() == "new"


@pytest.fixture
def flushed(monkeypatch, tmp_path):
    """The order in which files and folders below `tmp_path` are flushed and renamed."""
    order, fsync, replace = [], os.fsync, os.replace

    def noting_fsync(descriptor):
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        order.append(("flush", path.name))
        fsync(descriptor)

    def noting_replace(source, target):
        order.append(("rename", Path(target).name))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", noting_fsync)
    monkeypatch.setattr(os, "replace", noting_replace)
    return order


def test_the_content_is_on_disk_before_the_name_and_the_name_before_the_return(tmp_path, flushed):
    atomic_write(tmp_path / "new" / "folder" / "file", "text")
    *new_folders, (flush, part), rename, folder = flushed
    assert new_folders == [("flush", tmp_path.name), ("flush", "new")]
    assert flush == "flush" and re.fullmatch(r"\.file\.[0-9a-f]{12}\.part", part)
    assert [rename, folder] == [("rename", "file"), ("flush", "folder")]


def test_what_no_later_run_trusts_is_not_flushed_and_its_folder_must_exist(tmp_path, flushed):
    with replacing(tmp_path / "file", durable=False) as part:
        part.write_text("text")
    assert flushed == [("rename", "file")] and (tmp_path / "file").read_text() == "text"
    with (
        pytest.raises(FileNotFoundError),
        replacing(tmp_path / "no" / "file", durable=False) as part,
    ):
        part.write_text("text")


def test_a_tree_is_flushed_from_its_leaves_on(tmp_path, flushed):
    (tmp_path / "tree" / "sub").mkdir(parents=True)
    (tmp_path / "tree" / "sub" / "file").write_text("text")
    (tmp_path / "tree" / "link").symlink_to("nowhere")
    flush_tree(tmp_path / "tree")
    assert flushed == [("flush", "file"), ("flush", "sub"), ("flush", "tree")]
