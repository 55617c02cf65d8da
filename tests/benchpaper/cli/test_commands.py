"""What holds for every command: output in hostile surroundings, options, help, bad input.

The tests walk the tree of commands, so they cover a new command as soon as it exists.
"""

import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
import quick_commands
import small_project
from checkout import ROOT

from benchpaper.cli.commands import cli
from benchpaper.core import output
from benchpaper.core.project import Project

PROGRAM = Path(sys.executable).with_name("benchpaper")
NAME, EXHIBIT = small_project.NAME, "toy-pipe-cost-4k"


def leaves(group=cli, before=()):
    """Return {words: command} of all commands below a group."""
    found = {}
    for name, command in group.commands.items():
        words = (*before, name)
        found |= (
            leaves(command, words)
            if isinstance(command, click.Group)
            else {" ".join(words): command}
        )
    return found


COMMANDS = leaves()
USERS = [name for name in COMMANDS if not name.startswith("step ")]
GROUPS = ["", *(name for name, command in cli.commands.items() if isinstance(command, click.Group))]
# One call of each, on the small project: most print what they found, the others why they refuse.
CALLS = {
    "list": "", "doctor": "", "plan": "--scale smoke --trials", "run": "--scale smoke figurs",
    "pilot": f"{NAME} --scale smoke",
    "explain": f"{EXHIBIT} --scale smoke", "claims": "--scale smoke", "compare": "--scale smoke",
    "store": "toy/no",
    "adopt": "", "lab up": "--hosts 99", "lab down": "--help", "lab status": "",
    "bundle": "--scale smoke",
    "verify": "README.md", "check": "--fast", "new": NAME, "watch": "", "changed": "",
}  # fmt: skip
ESCAPE = "\x1b"


@pytest.fixture(scope="module")
def call():
    with quick_commands.serving() as commands:
        yield commands


@pytest.fixture(scope="module")
def project(small, tmp_path_factory):
    """A copy of the small project in which commands may write."""
    root = tmp_path_factory.mktemp("commands") / "project"
    shutil.copytree(small.root, root, symlinks=True)
    return Project(root)


def options(command):
    return {
        name: option
        for option in command.params
        if isinstance(option, click.Option)
        for name in option.opts
    }


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


# ---- options ----

READERS = {"run", "explain", "claims", "compare", "bundle", "watch"}
MEASURERS = {"plan", "pilot"}  # they have a scale alone
SHARED = ("--site", "--scale", "--from", "--reference-site", "--seed", "--json")


def test_commands_that_read_results_have_the_same_options():
    assert {name for name in USERS if "--from" in options(COMMANDS[name])} == READERS
    assert {name for name in USERS if "--scale" in options(COMMANDS[name])} == READERS | MEASURERS
    assert not [name for name in USERS if "--source" in options(COMMANDS[name])]


@pytest.mark.parametrize("option", SHARED)
def test_an_option_reads_the_same_in_every_command(option):
    having = [
        options(COMMANDS[name])[option] for name in USERS if option in options(COMMANDS[name])
    ]
    assert (
        len(having) > 1 and len({(one.help, one.metavar, str(one.default)) for one in having}) == 1
    )


def test_without_a_run_of_yours_the_reference_is_shown_and_said_so(call, small, tmp_path):
    shutil.copytree(small.root, tmp_path / "fresh", symlinks=True)
    fresh = Project(tmp_path / "fresh")
    shutil.rmtree(fresh.root / "results")
    (fresh.root / "build" / "local-smoke").rename(fresh.build("local", "reference"))
    for words in (["claims"], ["explain", EXHIBIT], ["bundle"]):
        first = call(fresh.root, *words).stdout.splitlines()[0]
        assert first == (
            'no run of yours on site "local" yet, so these are the authors\' results (--from '
            "reference)"
        )
    asked = call(fresh.root, "claims", "--from", "reference")
    assert call(fresh.root, "claims").stdout.splitlines()[1:] == asked.stdout.splitlines()
    header = next(line for line in asked.stdout.splitlines() if "claim" in line)
    assert "here" not in header.split()  # nothing was measured here
    assert json.loads(call(fresh.root, "claims", "--json").stdout)["source"] == "reference"
    refused = call(fresh.root, "claims", "--scale", "smoke")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.endswith(
        'no results for site "local" at scale smoke; choose --from reference\n'
    )
    refused = call(fresh.root, "compare")
    assert refused.returncode == 2 and "measure first (./reproduce)" in refused.stderr


@pytest.mark.parametrize("words", ["claims", "compare", f"explain {EXHIBIT}", "bundle", "watch"])
def test_another_scale_than_the_one_asked_for_is_named(call, small, words):
    """The small project is measured and built at scale smoke alone."""
    done = call(small.root, *words.split())
    assert (done.returncode, done.stdout) == (
        2,
        "",
    ) and "at scale quick; choose --scale smoke" in done.stderr


def test_a_scale_and_the_reference_together_are_refused(call, small):
    for name in sorted(READERS):
        words = [
            name,
            *(["x"] if name == "explain" else []),
            "--scale",
            "smoke",
            "--from",
            "reference",
        ]
        done = call(small.root, *words)
        assert done.returncode == 2 and "give one of them" in done.stderr


def test_compare_takes_what_was_measured(call, project):
    """Of two experiments, one was measured; without a name the other is left out."""
    other = project.root / "experiments" / "toy" / "other"
    shutil.copytree(project.root / "experiments" / NAME, other)
    try:
        [found] = json.loads(call(project.root, "compare", "--scale", "smoke", "--json").stdout)
        assert found["experiment"] == NAME
        done = call(project.root, "compare", "toy/other", "--scale", "smoke")
        assert done.returncode == 2 and "no results of toy/other here" in done.stderr
    finally:
        shutil.rmtree(other)


# ---- help ----


def example_lines(command):
    """The command lines in a help text, without their comments."""
    found = re.findall(r"(?m)^\s*(?:\w[\w-]*:\s+)?benchpaper (.*)$", command.help)
    return [re.split(r"\s{2,}|#", line)[0].strip() for line in found]


def parse(words):
    """Parse a command line as the program does, without running it. Raises the program's errors."""
    group, context = cli, None
    while isinstance(group, click.Group):
        name, *words = words
        context = click.Context(group, parent=context, info_name=name)
        group = group.commands[name]
    group.make_context(group.name, list(words), parent=context)


@pytest.mark.parametrize("name", [*GROUPS, *COMMANDS])
def test_help_has_a_purpose_and_examples_that_parse(call, tmp_path, name):
    command = COMMANDS.get(name) or (cli.commands[name] if name else cli)
    purpose = command.help.split("\n")[0]
    assert purpose.endswith(".") and (
        len(purpose) <= 68 or not name
    )  # the list of commands shows all of it
    examples = example_lines(command)
    assert examples or name.startswith("step ")
    for line in examples:
        parse(shlex.split(line))
        assert line.startswith(name.split(" ")[0])
    shown = call(tmp_path, *name.split(), "--help", COLUMNS="80")  # outside a project, too
    assert shown.returncode == 0 and purpose[:40] in shown.stdout
    for line in examples:
        assert f"benchpaper {line}" in shown.stdout


def test_a_group_alone_shows_its_help(call, tmp_path):
    for name in GROUPS:
        done = call(tmp_path, *name.split())
        assert done.returncode == 2 and done.stderr.startswith("Usage: benchpaper"), done.stderr


# The commands that documents tell a reader to type.
DOCUMENTS = ["README.md", "experiments/README.md", "docs/slurm.md"]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_commands_in_the_documents_parse(document):
    text = (ROOT / document).read_text()
    told = re.findall(r"`(?:\.venv/bin/)?benchpaper ([^`]+)`", text)
    told += [
        line.split("  #")[0]
        for line in re.findall(r"(?m)^    (?:\.venv/bin/)?benchpaper (.+)$", text)
    ]
    for line in re.findall(r"`\./reproduce([^`\n]*)`", text) + re.findall(
        r"(?m)^    \./reproduce(.*)$", text
    ):
        line = line.split("  #")[0].replace("--no-system", "")
        if line.split()[:1] != ["test"] and not line.startswith("`"):
            told.append(f"run{line}")
    assert told
    for line in told:
        words = shlex.split(line)
        if words != ["--help"]:
            with contextlib.suppress(click.MissingParameter):  # a sentence may name a command alone
                parse(words)


def test_reproduce_refuses_each_other_command_by_its_name():
    text = (ROOT / "reproduce").read_text()
    for name in cli.commands:
        if name not in ("run", "report", "bundle"):
            done = subprocess.run([ROOT / "reproduce", name, "x"], capture_output=True, text=True)
            told = (
                f'reproduce: "{name}" is a command of benchpaper; use .venv/bin/benchpaper '
                f"{name} x\n"
            )
            assert (done.returncode, done.stderr) == (2, told)
    for option in ("--scale SCALE", "--site NAME", "--from reference"):
        assert option in text and option.split()[0] in options(COMMANDS["run"])


# ---- bad input ----


def refused(done, *statuses):
    assert done.returncode in statuses, (done.returncode, done.stdout, done.stderr)
    lines = done.stderr.splitlines()
    assert "Traceback" not in done.stderr and len(lines) == 1, done.stderr
    assert lines[0].startswith(("benchpaper: ", "NOT VERIFIED  ")), done.stderr
    return lines[0]


def arguments(command, **given):
    """The required arguments of a command, each with a value."""
    found = [p.name for p in command.params if isinstance(p, click.Argument) and p.required]
    return [given.get(name, given["other"]) for name in found]


WITH = {"archive": "no.zip", "name": EXHIBIT, "other": NAME}
STEP = ("--site", "local", "--source", "smoke")
MORE = {"lab up": ["--hosts", "99"], "step measure": ["--block", "0", "--seed", "1"]}


def words_of(name, *more):
    """Words that call a command with plausible arguments."""
    step = (
        STEP if name.startswith("step ") and name != "step build" and "--site" not in more else ()
    )
    given = ["toy/fresh"] if name == "new" else arguments(COMMANDS[name], **WITH)
    return [*name.split(), *given, *MORE.get(name, ()), *step, *more]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_folder_that_is_no_project_is_refused(call, tmp_path, name):
    line = refused(call(tmp_path, *words_of(name)), 1, 2)
    assert "no project found" in line or name in ("verify", "lab down")


@pytest.mark.parametrize(
    "name", [name for name in COMMANDS if name not in ("lab up", "lab down", "lab status")]
)
def test_a_project_with_nothing_in_it(call, tmp_path, name):
    """It has neither experiments, claims, notebooks nor a paper."""
    shutil.copyfile(ROOT / "Snakefile", tmp_path / "Snakefile")
    (tmp_path / "experiments").mkdir()
    done = call(tmp_path, *words_of(name))
    assert "Traceback" not in done.stderr, done.stderr
    if name in ("list", "doctor", "check", "new"):  # these have something to say
        assert done.returncode in (0, 1) and done.stdout and not done.stderr, done.stderr
    elif done.returncode:
        refused(done, 1, 2)


def bad(name, *more):
    return pytest.param(name, more, id=" ".join([name, *more]))


OPTIONS = [
    bad(name, option, value)
    for name, command in COMMANDS.items() for option, value in (
        ("--site", "loca"), ("--scale", "smok"), ("--scale", "reference"), ("--from", "smoke"),
        ("--source", "smok"),
        ("--reference-site", "loca"), ("--seed", "x"), ("--seed", "-1"), ("--profile", "slrum"),
        ("--metric", "latncy"),
        ("--block", "77"), ("--hosts", "x"), ("--against", "nothing"),
    ) if option in options(command)
]  # fmt: skip
# The Snakefile gives each step its site, and the small project declares no pilot.
OPTIONS = [
    one
    for one in OPTIONS
    if not (one.values[0].startswith("step ") and one.values[1][0] == "--site")
]
OPTIONS = [
    one
    for one in OPTIONS
    if not (one.values[0] == "pilot" and one.values[1][0] in ("--site", "--seed"))
]


@pytest.mark.parametrize("name, more", OPTIONS)
def test_a_value_that_cannot_be_is_refused(call, project, name, more):
    scale = (
        []
        if "--scale" in more or "--from" in more or "--scale" not in options(COMMANDS[name])
        else ["--scale", "smoke"]
    )
    line = refused(call(project.root, *words_of(name, *scale, *more)), 2)
    assert more[1] in line or more[0] in line, line


@pytest.mark.parametrize("name", [
    name for name, command in COMMANDS.items()
    if {"experiment", "experiments",
        "targets"} & {p.name for p in command.params} or name == "explain"
])  # fmt: skip
def test_a_name_that_is_unknown_is_refused(call, project, name):
    step = STEP if name.startswith("step ") and name != "step build" else ()
    line = refused(
        call(project.root, *name.split(), "toy/pipe_cots", *MORE.get(name, ()), *step), 2
    )
    assert "toy/pipe_cots" in line or name == "explain", line


def test_a_label_that_is_unknown_is_refused(call, project):
    assert 'did you mean "toy-pipe-cost-4k"' in refused(
        call(project.root, "explain", "toy-pipe-cost-4", "--scale", "smoke"), 2
    )


DAMAGE = {
    "observations gone": lambda folder: (folder / "observations.parquet").unlink(),
    "trials gone": lambda folder: (folder / "trials.parquet").unlink(),
    "observations broken": lambda folder: (folder / "observations.parquet").write_bytes(
        b"PAR1" + bytes(99) + b"PAR1"
    ),
    "trials cut": lambda folder: (folder / "trials.parquet").write_bytes(
        (folder / "trials.parquet").read_bytes()[:-99]
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_broken_results_are_refused_by_whoever_reads_them(call, small, tmp_path, damage):
    root = tmp_path / "project"
    shutil.copytree(small.root, root, symlinks=True)
    for source in ("results/local/smoke", "artifacts/reference/local"):
        DAMAGE[damage](root / source / NAME)
    for words in (
        f"explain {EXHIBIT} --scale smoke", "claims --scale smoke", "claims --from reference",
        "compare --scale smoke",
        "bundle --scale smoke", "run figures --from reference",
        "plan --scale smoke", f"step appendix {NAME} --site local --source smoke",
    ):  # fmt: skip
        done = call(root, *words.split())
        assert "Traceback" not in done.stderr, (words, done.stderr)
        if done.returncode:
            refused(done, 1, 2)


BUILT = {
    "exhibits garbage": lambda build: (build / "exhibits/toy_pipe_cost/exhibits.json").write_text(
        "{"
    ),
    "exhibits of another form": lambda build: (
        build / "exhibits/toy_pipe_cost/exhibits.json"
    ).write_text("[1]"),
    "verdicts garbage": lambda build: (build / "verdicts.json").write_text("no"),
    "no exhibits": lambda build: shutil.rmtree(build / "exhibits"),
    "no PDF": lambda build: (build / "paper.pdf").unlink(),
    "nothing but a folder": lambda build: (shutil.rmtree(build), build.mkdir()),
}


@pytest.mark.parametrize("damage", BUILT)
def test_a_broken_build_is_refused_by_whoever_reads_it(call, small, tmp_path, damage):
    root = tmp_path / "project"
    shutil.copytree(small.root, root, symlinks=True)
    build = root / "build" / "local-reference"
    (root / "build" / "local-smoke").rename(build)
    BUILT[damage](build)
    for words in (f"explain {EXHIBIT} --from reference", 'explain "Figure 1" --from reference',
        "bundle --from reference",
                  "changed", "check --fast",
                  f"step gather {NAME} --site local --source reference"):  # fmt: skip
        done = call(root, *shlex.split(words))
        assert "Traceback" not in done.stderr, (words, done.stderr)
        if done.returncode and not words.startswith("check"):
            refused(done, 1, 2)
