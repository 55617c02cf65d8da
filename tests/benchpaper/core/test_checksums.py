"""A step's list of checksums notices every change of its files, and of itself."""

import subprocess

import pytest

from benchpaper.core import checksums


@pytest.fixture
def noted(tmp_path):
    """A folder with two files of a step, and their list."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "a b").write_bytes(b"\0" * 100 + b"a")
    (tmp_path / "sub" / "µ").write_bytes(b"m")
    checksums.note(tmp_path, "step", [tmp_path / "a b", tmp_path / "sub" / "µ", tmp_path / "sub"])
    return tmp_path


def test_whole_files_have_no_flaw_and_sha256sum_agrees(noted):
    assert checksums.flaw(noted, "step") == ""
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", ".sha256/step"],
        cwd=noted, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0 and done.stdout.count(": OK") == 2, done


@pytest.mark.parametrize("name", ["a b", "sub/µ"])
def test_each_changed_or_missing_file_is_named(noted, name):
    path = noted / name
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    assert f"{name} is not what the step wrote" in checksums.flaw(noted, "step")
    path.unlink()
    assert checksums.flaw(noted, "step") == f"lacks {name}"


def test_each_cut_and_each_zeroed_tail_of_the_list_is_a_flaw(noted):
    path = noted / ".sha256" / "step"
    whole = path.read_bytes()
    for length in range(len(whole)):
        for tail in (b"", bytes(len(whole) - length)):
            path.write_bytes(whole[:length] + tail)
            assert checksums.flaw(noted, "step"), (length, tail)


def test_a_step_that_never_ended_has_no_list(noted):
    assert checksums.flaw(noted, "other") == "was not finished, or is damaged"


def test_many_files_are_noted_too(tmp_path):
    for number in range(checksums.MANY + 1):
        (tmp_path / str(number)).write_text(str(number))
    checksums.note(tmp_path, "step", tmp_path.rglob("*"))
    assert checksums.flaw(tmp_path, "step") == ""
    checksums.note(tmp_path, "step", tmp_path.rglob("*"))  # its own list is not one of its files
    assert checksums.flaw(tmp_path, "step") == ""
