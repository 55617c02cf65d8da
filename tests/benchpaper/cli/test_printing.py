"""The output of every command, in hostile surroundings too."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import quick_commands
from command_calls import COMMANDS, EXHIBIT, NAME, USERS, options

from benchpaper.cli import views
from benchpaper.core import output

PROGRAM = Path(sys.executable).with_name("benchpaper")


# One call of each, on the small project: most print what they found, the others why they refuse.
CALLS = {
    "list": "", "doctor": "", "plan": "--scale smoke --trials", "run": "--scale smoke figurs",
    "pilot": f"{NAME} --scale smoke",
    "explain": f"{EXHIBIT} --scale smoke", "claims": "--scale smoke", "compare": "--scale smoke",
    "store": "toy/no",
    "adopt": "", "accept-change": f"{NAME} --scale smoke --why x", "fetch": "",
    "import": "README.md",
    "lab up": "--hosts 99", "lab down": "--help", "lab kernel": "--help", "lab status": "",
    "bundle": "--scale smoke",
    "verify": "README.md", "check": "--fast", "init": "", "upgrade": "",
    "new": NAME, "watch": "", "typeset": "--scale smoke --class acmm", "changed": "",
    "lock": "--report README.md",
}  # fmt: skip
ESCAPE = "\x1b"


# ---- what is printed ----


def test_each_command_has_a_call_here():
    assert set(CALLS) == set(USERS)


@pytest.mark.parametrize("name", USERS)
def test_output_fits_any_encoding_and_a_narrow_terminal(call, project, name):
    words = [*name.split(), *CALLS[name].split()]
    usual = call(project.root, *words)
    assert ESCAPE not in usual.stdout + usual.stderr
    for encoding, environment in (
        ("ascii", {"COLUMNS": "40", "NO_COLOR": "1", "FORCE_COLOR": "1"}),
        ("iso8859-1", {"COLUMNS": "1", "TERM": "dumb", "CLICOLOR_FORCE": "1"}),
    ):
        done = call(project.root, *words, encoding=encoding, **environment)
        assert done.returncode == usual.returncode, done.stderr
        assert "Traceback" not in done.stderr and ESCAPE not in done.stdout + done.stderr
        assert done.stdout.isascii() or encoding != "ascii"


def test_an_encoding_without_a_character_gets_the_nearest_one(call, project):
    usual = call(project.root, "explain", EXHIBIT, "--scale", "smoke").stdout
    assert "µs" in usual and "…" in usual
    done = call(project.root, "explain", EXHIBIT, "--scale", "smoke", encoding="ascii").stdout
    assert done == usual.replace("µ", "u").replace("…", "...").replace("±", "+/-")


def test_a_narrow_table_loses_no_name(call, project):
    wide, narrow = (
        json.loads(call(project.root, "doctor", "--json", COLUMNS=n).stdout) for n in ("200", "40")
    )
    assert wide["capabilities"].keys() == narrow["capabilities"].keys()
    for columns in ("40", "79", "80"):
        text = call(project.root, "doctor", COLUMNS=columns).stdout
        assert not [
            name for name in wide["capabilities"] if not re.search(rf"^{name}\b", text, re.M)
        ]
        assert max(map(len, text.splitlines())) <= int(columns) and "…" not in text
        text = call(project.root, "claims", "--scale", "smoke", COLUMNS=columns).stdout
        assert re.search(r"^ ?C1  \w", text, re.M) and "inconclusive" in text and "…" not in text


JSON = [name for name in USERS if "--json" in options(COMMANDS[name])]


@pytest.mark.parametrize("name", JSON)
def test_json_is_the_same_everywhere(call, project, name):
    words = [*name.split(), *CALLS[name].split(), "--json"]
    usual = call(project.root, *words)
    hostile = call(
        project.root,
        *words,
        encoding="ascii",
        COLUMNS="20",
        FORCE_COLOR="1",
        CLICOLOR_FORCE="1",
        TERM="xterm",
    )
    assert usual.returncode == hostile.returncode, hostile.stderr
    if usual.stdout:
        usual, hostile = json.loads(usual.stdout), json.loads(hostile.stdout)
        assert usual == hostile or (name == "doctor" and usual.keys() == hostile.keys())


def test_colours_are_printed_when_they_are_forced_and_else_on_terminals_alone(call, project):
    words = ("doctor",)
    assert ESCAPE in call(project.root, *words, FORCE_COLOR="1", TERM="xterm").stdout
    assert ESCAPE in call(project.root, *words, CLICOLOR_FORCE="1", TERM="xterm").stdout
    for environment in (
        {}, {"FORCE_COLOR": ""}, {"FORCE_COLOR": "1", "NO_COLOR": "1"},
        {"FORCE_COLOR": "1", "TERM": "dumb"},
    ):  # fmt: skip
        assert ESCAPE not in call(project.root, *words, **environment).stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_a_pipe_that_closes_early_ends_a_command_quietly_and_a_full_disk_in_one_line(
    call, project, name
):
    words = [*name.split(), *CALLS.get(name, "--help").split()]
    if not call(project.root, *words).stdout:  # it refuses; its help is printed
        words = [*name.split(), "--help"]
    closed = call(project.root, *words, out=quick_commands.CLOSED)
    assert (closed.returncode, closed.stderr) == (output.READER_GONE, "")
    full = call(project.root, *words, out="/dev/full")
    assert full.returncode == 1 and full.stderr.count("\n") == 1, full.stderr
    assert (
        full.stderr == "benchpaper: standard output: No space left on device; write it elsewhere\n"
    )


@pytest.mark.parametrize(
    "words", ["list", "claims --scale smoke", "plan --scale smoke", "doctor --json", "run --help"]
)
def test_head_ends_a_command_quietly(project, words):
    """With the real program: Python complains when it ends, too."""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [PROGRAM, *words.split()], cwd=project.root, stdout=write, stderr=subprocess.PIPE, text=True
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (output.READER_GONE, "")


def test_a_full_disk_under_the_real_program(project):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [PROGRAM, "list"], cwd=project.root, stdout=full, stderr=subprocess.PIPE, text=True
        )
        assert done.returncode == 1 and done.stderr.count("\n") == 1
        done = subprocess.run(
            [PROGRAM, "lits"], cwd=project.root, stdout=subprocess.PIPE, stderr=full, text=True
        )
        assert (done.returncode, done.stdout) == (2, "")


def test_closed_standard_streams_hurt_nothing(project):
    done = subprocess.run(["sh", "-c", f"{PROGRAM} list <&- >&- 2>&-"], cwd=project.root)
    assert done.returncode == 0


def test_a_run_whose_output_nobody_reads_any_more_stops_what_it_started(
    make_project, pipe_experiment, left_behind
):
    project = make_project({"experiments/toy/pipe/experiment.py": pipe_experiment})
    read, write = os.pipe()
    os.close(read)
    words = [PROGRAM, "run", "results", "--scale", "smoke"]
    done = subprocess.run(words, cwd=project.root, stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert (done.returncode, done.stderr) == (output.READER_GONE, "")
    assert left_behind().get("processes", set()) == set()


def test_logs_hold_no_escape_codes(make_project, pipe_experiment, run_benchpaper):
    """Not those of a notebook's traceback, of Snakemake, or of an experiment that prints some."""
    noisy = pipe_experiment.replace(
        "    import socket\n", "    import socket\n    print(chr(27) + '[31mred')\n"
    )
    cell = {
        "cell_type": "code",
        "execution_count": None,
        "id": "a",
        "metadata": {},
        "outputs": [],
        "source": "1 / 0",
    }
    notebook = {
        "cells": [cell],
        "metadata": {"kernelspec": {"name": "python3", "display_name": "", "language": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    project = make_project({
        "experiments/toy/pipe/experiment.py": noisy,
        "analysis/toy_pipe.ipynb": json.dumps(notebook),
    })  # fmt: skip
    forced = {
        "FORCE_COLOR": "1",
        "CLICOLOR_FORCE": "1",
        "PYTHON_COLORS": "1",
        "TERM": "xterm-256color",
    }
    done = run_benchpaper(project, "run", "toy/pipe", "--scale", "smoke", **forced)
    assert (
        done.returncode == 1
        and "ZeroDivisionError" in done.stdout
        and "\x1b[?25l" not in done.stdout
    )  # no cursor
    logs = [project.state / "snakemake.log", *(project.state / "logs").rglob("*.log")]
    text = "".join(path.read_text() for path in logs)
    assert noisy != pipe_experiment and "red\n" in text and "ZeroDivisionError" in text
    assert {path.name for path in logs if ESCAPE in path.read_text()} == set()


def test_doctor_says_where_a_trial_gets_no_control_group(monkeypatch):
    for available in (True, False):
        monkeypatch.setattr(views.control_group, "available", lambda answer=available: answer)
        notes = [note for note in views._notes([]) if "control group" in note]
        assert bool(notes) is not available
