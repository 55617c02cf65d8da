"""The tutorial works as it stands: the test types what its reader types, from the page itself."""

import json
import os
import shutil
import subprocess

import pytest
import text_of
from checkout import ROOT

STEPS = text_of.fenced_steps((ROOT / "docs/tutorial.md").read_text())
MAX_COMMANDS = 19


def replace(path, code):
    assert path.is_file(), f"the tutorial replaces {path.name}, which nobody has written"
    path.write_text(code)


def replace_part(path, start, end, code):
    text = path.read_text()
    assert text.count(start) == text.count(end) == 1
    before, after = text.index(start), text.index(end) + len(end)
    path.write_text(text[:before] + code.rstrip("\n") + text[after:])


def replace_cell(path, start, code):
    notebook = json.loads(path.read_text())
    [cell] = [c for c in notebook["cells"] if "".join(c["source"]).startswith(start)]
    cell["source"] = code.rstrip("\n")
    path.write_text(json.dumps(notebook, indent=1))


def test_the_reader_types_few_commands_and_the_page_counts_them():
    typed = [what for what, _, _ in STEPS if what in ("run", "not run")]
    assert len(typed) <= MAX_COMMANDS
    assert f"You type {len(typed)} commands." in (ROOT / "docs/tutorial.md").read_text()
    assert typed.index("run") == typed.count("not run") == 4  # only the installation


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("latexmk"), reason="the PDF needs LaTeX")
def test_the_tutorial_ends_in_a_paper_and_an_archive_that_verifies(wheel_bin, tmp_path):
    author = {
        f"GIT_{who}_{what}": "a" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    env = {**os.environ, **author, "PATH": f"{wheel_bin}:{os.environ['PATH']}"}
    env.pop("BENCHPAPER_PROJECT", None)
    env["PIP_NO_INDEX"] = "1"  # the lock gets no digests: no test asks an index for each package
    (tmp_path / "wheels").mkdir()
    folder, edit = tmp_path, dict(replace=replace, part=replace_part, cell=replace_cell)
    for what, arguments, code in STEPS:
        if what in edit:
            path, *places = arguments
            edit[what](folder / path, *places, code)
        elif what == "run" and code.startswith("cd "):
            folder /= code.removeprefix("cd ")
        elif what == "run":
            done = subprocess.run(
                ["bash", "-c", code],
                cwd=folder,
                env=env,
                capture_output=True,
                text=True,
                timeout=600,
            )
            assert done.returncode == 0, f"{code}\n{done.stdout}{done.stderr}"
    build = folder / "build/local-reference"
    [row] = json.loads((build / "verdicts.json").read_text())
    # On a busy machine the claim may stay inconclusive; the data must not speak against it.
    assert row["verdict"] in ("holds in the reference", "inconclusive") and row["value"] > 1, row
    command = ["pdftotext", build / "paper.pdf", "-"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "What compression costs" in text and "times as long as level 1" in " ".join(text.split())
    assert "??" not in text
