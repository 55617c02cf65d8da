"""A file is replaced as a whole or not at all."""

import pytest

from benchpaper.core.atomic_write import atomic_write, replacing


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
