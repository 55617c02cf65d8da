"""The options and the help of every command."""

import contextlib
import json
import re
import shlex
import shutil
import subprocess

import click
import pytest
from checkout import ROOT
from command_calls import COMMANDS, EXHIBIT, NAME, USERS, options

from benchpaper.cli.commands import cli
from benchpaper.core.project import Project

GROUPS = ["", *(name for name, command in cli.commands.items() if isinstance(command, click.Group))]


# ---- options ----

READERS = {
    *("run", "explain", "claims", "compare", "bundle", "watch", "typeset", "accept-change"),
}
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
        len(having) > 1
        and len({(used.help, used.metavar, str(used.default)) for used in having}) == 1
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
    named = call(fresh.root, "claims", "--from", "reference")
    assert call(fresh.root, "claims").stdout.splitlines()[1:] == named.stdout.splitlines()
    header = next(line for line in named.stdout.splitlines() if "claim" in line)
    assert "here" not in header.split()  # nothing was measured here
    assert json.loads(call(fresh.root, "claims", "--json").stdout)["source"] == "reference"
    refused = call(fresh.root, "claims", "--scale", "smoke")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.endswith(
        'no results for site "local" at scale smoke; choose --from reference\n'
    )
    refused = call(fresh.root, "compare")
    assert refused.returncode == 2 and "measure first (./reproduce)" in refused.stderr
    refused = call(fresh.root, "accept-change", NAME, "--why", "x")  # it would change the reference
    assert refused.returncode == 2 and "choose --from reference to accept" in refused.stderr


@pytest.mark.parametrize("words", ["claims", "compare", f"explain {EXHIBIT}", "bundle", "watch"])
def test_another_scale_than_the_one_asked_for_is_named(call, small, words):
    """The small project is measured and built at scale smoke alone."""
    done = call(small.root, *words.split())
    assert (done.returncode, done.stdout) == (
        2,
        "",
    ) and "at scale quick; choose --scale smoke" in done.stderr


ONE_MORE = {  # words that a command needs
    "explain": ["x"],
    "accept-change": ["x", "--why", "y"],
    "typeset": ["--class", "acm"],
}


def test_a_scale_and_the_reference_together_are_refused(call, small):
    for name in sorted(READERS):
        one_more = ONE_MORE.get(name, [])
        done = call(small.root, name, *one_more, "--scale", "smoke", "--from", "reference")
        assert done.returncode == 2 and "give one of them" in done.stderr


def test_compare_takes_what_was_measured(call, project):
    """Of two experiments, one was measured; without a name the other is left out."""
    other = project.root / "experiments" / "toy" / "other"
    shutil.copytree(project.root / "experiments" / NAME, other)
    try:
        [comparison] = json.loads(
            call(project.root, "compare", "--scale", "smoke", "--json").stdout
        )
        assert comparison["experiment"] == NAME
        done = call(project.root, "compare", "toy/other", "--scale", "smoke")
        assert done.returncode == 2 and "no results of toy/other here" in done.stderr
    finally:
        shutil.rmtree(other)


# ---- help ----


def example_lines(command):
    """The command lines in a help text, without their comments."""
    lines = re.findall(r"(?m)^\s*(?:\w[\w-]*:\s+)?benchpaper (.*)$", command.help)
    return [re.split(r"\s{2,}|#", line)[0].strip() for line in lines]


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
DOCUMENTS = [
    "README.md",
    "experiments/README.md",
    "docs/slurm.md",
    "docs/how-to/author.md",
    "docs/how-to/co-author.md",
    "docs/how-to/guests.md",
    "docs/how-to/importing.md",
    "docs/how-to/reviewer.md",
]


# What `./reproduce` handles itself. It passes all else on to `benchpaper run`.
OWN = (["test"], ["docs"], ["lint"], ["--for"], ["--help"])


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_commands_in_the_documents_parse(document):
    text = (ROOT / document).read_text()
    commands = re.findall(r"`(?:\.venv/bin/)?benchpaper ([^`]+)`", text)
    commands += [
        line.split("  #")[0]
        for line in re.findall(r"(?m)^    (?:\.venv/bin/)?benchpaper (.+)$", text)
    ]
    for line in re.findall(r"`\./reproduce([^`\n]*)`", text) + re.findall(
        r"(?m)^    \./reproduce(.*)$", text
    ):
        line = line.split("  #")[0].replace("--no-system", "")
        if line.split()[:1] not in OWN and not line.startswith("`"):
            commands.append(f"run{line}")
    assert commands
    for line in commands:
        words = shlex.split(line)
        if words != ["--help"]:
            with contextlib.suppress(click.MissingParameter):  # a sentence may name a command alone
                parse(words)


def test_reproduce_refuses_each_other_command_by_its_name():
    text = (ROOT / "reproduce").read_text()
    for name in cli.commands:
        if name not in ("run", "report", "bundle"):
            done = subprocess.run([ROOT / "reproduce", name, "x"], capture_output=True, text=True)
            message = (
                f'reproduce: "{name}" is a command of benchpaper; use .venv/bin/benchpaper '
                f"{name} x\n"
            )
            assert (done.returncode, done.stderr) == (2, message)
    for option in ("--scale SCALE", "--site NAME", "--from reference"):
        assert option in text and option.split()[0] in options(COMMANDS["run"])
