"""A full disk and an exhausted quota give the same message."""

import os
import subprocess

import pytest

from benchpaper.cli import commands
from benchpaper.core import disk_space
from benchpaper.core.project import Project

WORDS = {28: "No space left on device", 122: "Disk quota exceeded"}


def fill(folder):
    """Write until the system refuses; return its error's number."""
    with open(folder / "ballast", "wb", buffering=0) as file:
        refused = None
        while not refused:
            try:
                file.write(os.urandom(1 << 16))
            except OSError as error:
                refused = error
    subprocess.run(["sync", "--file-system", folder], check=False)
    return refused.errno


@pytest.mark.parametrize("number, kind", [(28, "disk"), (122, "quota")])
def test_a_folder_without_room_is_named_with_the_reason_and_the_next_step(
    request, tmp_path, number, kind
):
    project = Project(tmp_path / "project")
    project.root.mkdir()
    assert disk_space.shortage(project.state) == disk_space.complaint(project) == ""
    folder = project.root / "results"
    if kind == "disk":
        request.getfixturevalue("small_disk")(folder, 4096)
    else:
        request.getfixturevalue("small_quota")(folder, 8)
    assert disk_space.complaint(project) == ""
    assert fill(folder) == number
    complaint = disk_space.complaint(project)
    assert (
        complaint.startswith(WORDS[number])
        and " in results; " in complaint
        and complaint.endswith(disk_space.NEXT_STEP)
    )


@pytest.mark.parametrize("number, words", WORDS.items())
def test_an_error_for_want_of_room_tells_how_to_go_on(number, words):
    message = commands.os_error(OSError(number, words, "/a/journal.jsonl"))
    assert message == f"{words}: journal.jsonl; {disk_space.NEXT_STEP}"


@pytest.mark.parametrize(
    "text", ["write /data: no space left on device", "OSError: [Errno 122] Disk quota exceeded"]
)
def test_the_words_are_found_in_what_a_program_printed(text):
    assert disk_space.full_disk_text(text) in WORDS.values()
    assert disk_space.full_disk_text("all is well") == ""
