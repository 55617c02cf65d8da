"""Every command refuses bad input in one line."""

import shlex
import shutil

import click
import pytest
from checkout import ROOT
from command_calls import COMMANDS, EXHIBIT, NAME, options

# ---- bad input ----


def refused(done, *statuses):
    assert done.returncode in statuses, (done.returncode, done.stdout, done.stderr)
    lines = done.stderr.splitlines()
    assert "Traceback" not in done.stderr and len(lines) == 1, done.stderr
    assert lines[0].startswith(("benchpaper: ", "NOT VERIFIED  ")), done.stderr
    return lines[0]


def arguments(command, **given):
    """The required arguments of a command, each with a value."""
    required = [p.name for p in command.params if isinstance(p, click.Argument) and p.required]
    return [given.get(name, given["other"]) for name in required]


WITH = {"archive": "no.zip", "name": EXHIBIT, "other": NAME}
STEP = ("--site", "local", "--source", "smoke")
MORE = {
    "lab up": ["--hosts", "99"],
    "step measure": ["--block", "0", "--seed", "1"],
    "typeset": ["--class", "acm"],
}


def words_of(name, *more):
    """Words that call a command with plausible arguments."""
    step = (
        STEP if name.startswith("step ") and name != "step build" and "--site" not in more else ()
    )
    given = ["toy/fresh"] if name == "new" else arguments(COMMANDS[name], **WITH)
    return [*name.split(), *given, *MORE.get(name, ()), *step, *more]


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "init"])  # it makes one
def test_a_folder_that_is_no_project_is_refused(call, tmp_path, name):
    line = refused(call(tmp_path, *words_of(name)), 1, 2)
    assert "no project found" in line or name in ("verify", "lab down")


@pytest.mark.parametrize(
    "name",
    [name for name in COMMANDS if name not in ("lab up", "lab down", "lab kernel", "lab status")],
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
    option
    for option in OPTIONS
    if not (option.values[0].startswith("step ") and option.values[1][0] == "--site")
]
OPTIONS = [
    option
    for option in OPTIONS
    if not (option.values[0] == "pilot" and option.values[1][0] in ("--site", "--seed"))
]


OPTIONS = [
    option for option in OPTIONS if option.values[:2] != ("import", ("--block", "77"))
]  # a column


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
    if {"experiment", "experiments", "targets"}
        & {p.name for p in command.params if isinstance(p, click.Argument)} or name == "explain"
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
