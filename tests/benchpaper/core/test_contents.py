"""The digest of a file or a folder follows from its contents alone, and is read only once."""

import os
import subprocess

import pytest

from benchpaper.core import contents as module
from benchpaper.core.contents import contents
from benchpaper.core.errors import UserError

BY_HAND = (  # as the module's docstring gives it
    "find -L . -type f -printf '%P\\n' | LC_ALL=C sort | tr '\\n' '\\0' | xargs -0 sha256sum | "
    "sha256sum"
)
LONG_AGO = 1_600_000_000


def tree(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        os.utime(path, (LONG_AGO, LONG_AGO))
    return folder


FILES = {"b": "2", "a b/ä": "1", "a b/Z": "", "a.b": "3", ".hidden": "4", "a b/z/deep": "5"}


def test_a_folder_has_the_digest_that_the_shell_prints(tmp_path):
    folder = tree(tmp_path / "data", FILES)
    (folder / "link").symlink_to("b")
    (folder / "empty").mkdir()
    printed = subprocess.run(BY_HAND, shell=True, cwd=folder, capture_output=True, text=True)
    here = contents(folder)
    assert here.sha256 == printed.stdout.split()[0]
    assert (here.files, here.bytes) == (len(FILES) + 1, 6)


def test_a_file_has_the_digest_that_sha256sum_prints(tmp_path):
    path = tree(tmp_path, {"x": "text"}) / "x"
    printed = subprocess.run(["sha256sum", path], capture_output=True, text=True).stdout
    assert contents(path).sha256 == printed.split()[0]


CHANGES = {
    "a byte": lambda folder: (folder / "b").write_text("9"),
    "a name": lambda folder: (folder / "b").rename(folder / "c"),
    "a new file": lambda folder: (folder / "new").write_text(""),
    "a file less": lambda folder: (folder / "b").unlink(),
    "another folder": lambda folder: (folder / "a b").rename(folder / "ab"),
}
NO_CHANGES = {
    "a time": lambda folder: os.utime(folder / "b", (0, 0)),
    "a mode": lambda folder: (folder / "b").chmod(0o700),
    "an empty folder": lambda folder: (folder / "more").mkdir(),
    "its own name": lambda folder: folder.rename(folder.with_name("other")),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_changes_the_contents_changes_the_digest(tmp_path, change):
    folder = tree(tmp_path / "data", FILES)
    before = contents(folder, tmp_path / "notes")
    change(folder)
    assert contents(folder, tmp_path / "notes") != before


@pytest.mark.parametrize("change", NO_CHANGES.values(), ids=NO_CHANGES)
def test_nothing_else_does(tmp_path, change):
    folder = tree(tmp_path / "data", FILES)
    before = contents(folder, tmp_path / "notes")
    change(folder)
    [there] = set(tmp_path.iterdir()) - {tmp_path / "notes"}
    assert contents(there, tmp_path / "notes") == before


@pytest.fixture
def read_files(monkeypatch):
    """The files that were read, in order."""
    paths, real = [], module._file_digest
    monkeypatch.setattr(
        module, "_file_digest", lambda path, *rest: paths.append(path.name) or real(path, *rest)
    )
    return paths


def old(monkeypatch):
    """Let two seconds pass."""
    monkeypatch.setattr(module, "SETTLED_NS", 0)


def test_a_file_is_read_again_only_after_a_change(tmp_path, read_files, monkeypatch):
    old(monkeypatch)
    folder, notes = tree(tmp_path / "data", {"a": "1", "b": "2"}), tmp_path / "notes"
    first = contents(folder, notes)
    assert contents(folder, notes) == first and read_files == ["a", "b"]
    (folder / "b").write_text("3")
    os.utime(folder / "b", (LONG_AGO, LONG_AGO))  # the same size and time: the inode's tells
    assert contents(folder, notes) != first and read_files == ["a", "b", "b"]


def test_a_file_of_just_now_is_not_trusted(tmp_path, read_files):
    folder, notes = tree(tmp_path / "data", {"a": "1"}), tmp_path / "notes"
    contents(folder, notes)
    contents(folder, notes)
    assert read_files == ["a", "a"]


@pytest.mark.parametrize("text", ["", "{", "[]", '[["a"]]', '[["a", [1], "x"]]', "[1]", '"x"'])
def test_damaged_notes_are_read_as_none(tmp_path, monkeypatch, text):
    old(monkeypatch)
    folder, notes = tree(tmp_path / "data", {"a": "1"}), tmp_path / "notes"
    before = contents(folder, notes)
    [noted] = notes.iterdir()
    noted.write_text(text)
    assert contents(folder, notes) == before


def unreadable(folder):
    (folder / "pipe").parent.mkdir()
    os.mkfifo(folder / "pipe")


def link_to(target):
    def make(folder):
        folder.mkdir()
        (folder / "link").symlink_to(target)

    return make


REFUSED = {
    "nothing": (lambda folder: None, "does not exist"),
    "an empty folder": (lambda folder: folder.mkdir(), "holds no file"),
    "a pipe": (unreadable, "pipe is no plain file"),
    "a broken link": (link_to("nowhere"), "is a link to no file"),
    "a link to a folder": (link_to("."), "is a link to no file"),
    "a line break": (lambda folder: tree(folder, {"a\nb": ""}), "line break"),
    "a device": (lambda folder: folder.symlink_to("/dev/null"), "neither a file nor a folder"),
}


@pytest.mark.parametrize("make, words", REFUSED.values(), ids=REFUSED)
def test_what_has_no_digest_is_refused_in_one_line(tmp_path, make, words):
    make(tmp_path / "data")
    with pytest.raises(UserError, match=words) as error:
        contents(tmp_path / "data")
    assert "\n" not in str(error.value)
