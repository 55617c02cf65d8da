"""Wrong words, broken experiments and foreign checkouts are refused in one line."""

import shutil
import subprocess
import sys

import pytest
from checkout import ROOT
from toy_runs import BRIEF, HEAD, hear_interrupts, notebook, refused_in_one_line

# ---- bad input ----

REFUSED = [
    (["rum"], 'command "rum" not found; did you mean "run"?'),
    (["step", "mesure"], 'command "mesure" not found; did you mean "measure"?'),
    (["run", "figurs"], 'target or experiment "figurs" not found; did you mean "figures"?'),
    (["run", "toy/oen"], 'target or experiment "toy/oen" not found; did you mean "toy/one"?'),
    (["plan", "toy/oen"], 'experiment "toy/oen" not found; did you mean "toy/one"?'),
    (["run", "--scale", "smok"], 'scale "smok" not found; did you mean "smoke"?'),
    (
        ["run", "--scale", "reference"],
        '"reference" is not a scale to measure at; use --from reference',
    ),
    (["run", "--site", "loca"], 'site "loca" not found; did you mean "local"?'),
    (["doctor", "--site", "loca"], 'site "loca" not found; did you mean "local"?'),
    (["run", "--site", "broken"], "sites/broken.yaml:2 is not YAML: "),
    (
        ["run", "--site", "mistyped"],
        'sites/mistyped.yaml: host 1: unknown key "rols"; did you mean "roles"?',
    ),
    (["run", "--from", "refrence"], '--from "refrence": the only other source is "reference"'),
    (["run", "--from", "reference"], 'no reference results for site "local"; measure first'),
    (["run", "--sale", "smoke"], "No such option"),
    (["run", "--seed", "x"], "Invalid value for '--seed'"),
    (["run", "--seed", "-1"], "seed -1 must be a whole number from 0 to 2**63 - 1"),
    (["plan", "--seed", "9" * 20], f"seed {'9' * 20} must be a whole number from 0 to 2**63 - 1"),
    (["explain", "latency"], 'nothing is built for site "local"'),
    (["explain", "latency", "--scale", "smok"], 'scale "smok" not found; did you mean "smoke"?'),
    (["claims", "--scale", "quik"], 'scale "quik" not found; did you mean "quick"?'),
    (["store", "toy/one"], 'reference results of "toy/one" not found (there are: none)'),
    (
        ["adopt", "toy/one"],
        "file results/local/full/toy/one/observations.parquet does not exist; measure first",
    ),
]


@pytest.fixture(scope="module")
def toy_project(tmp_path_factory):
    """A project that nothing is measured in. Do not change it."""
    from benchpaper.core.project import Project

    root = tmp_path_factory.mktemp("refusing") / "project"
    for folder in ("analysis", "sites", "experiments/toy/one"):
        (root / folder).mkdir(parents=True)
    for name in ("Snakefile",):
        (root / name).symlink_to(ROOT / name)
    text = HEAD.format(levels=["a"], blocks=1, attempts=1, timeout_s=20, more="")
    (root / "experiments/toy/one/experiment.py").write_text(text + BRIEF)
    (root / "analysis/toy_one.ipynb").write_text(notebook(""))
    (root / "sites/broken.yaml").write_text("hosts:\n  - {name: here, roles: [client}\n")
    (root / "sites/mistyped.yaml").write_text("hosts: [{name: here, rols: [client]}]\n")
    return Project(root)


@pytest.mark.parametrize("words, message", REFUSED, ids=[" ".join(words) for words, _ in REFUSED])
def test_a_word_that_cannot_be_is_refused_in_one_line(toy_project, run_benchpaper, words, message):
    refused_in_one_line(run_benchpaper(toy_project, *words), message)
    assert not (toy_project.root / "results").exists() and not (toy_project.root / "build").exists()


BROKEN = [
    (
        "import no_such_thing",
        "experiments/toy/one/experiment.py:1: ModuleNotFoundError: No module named",
    ),
    ("def f(:", "experiments/toy/one/experiment.py:1: SyntaxError: "),
    ("experiment = 1", "experiments/toy/one/experiment.py has no `experiment = Experiment(...)`"),
    (
        "from benchpaper.design.spec import *\nMetric('latency_us', unit='', better='lower')",
        'experiments/toy/one/experiment.py: metric "latency_us" has no unit',
    ),
]


@pytest.mark.parametrize("command", ["list", "run"])
@pytest.mark.parametrize("text, message", BROKEN, ids=[text.splitlines()[-1] for text, _ in BROKEN])
def test_an_experiment_that_cannot_be_loaded_is_refused(
    make_project, run_benchpaper, command, text, message
):
    project = make_project(
        {"experiments/toy/one/experiment.py": text, "analysis/toy_one.ipynb": notebook("")}
    )
    refused_in_one_line(run_benchpaper(project, command), message)


@pytest.mark.parametrize("command", ["list", "plan", "doctor"])
def test_a_broken_experiment_hides_no_sound_one(
    make_project, run_benchpaper, pipe_experiment, command
):
    broken = {
        f"experiments/a/{name}/experiment.py": "import no_such_thing" for name in ("one", "two")
    }
    project = make_project({"experiments/toy/pipe/experiment.py": pipe_experiment, **broken})
    done = run_benchpaper(project, command, "--json")
    assert done.returncode == 2 and "toy/pipe" in done.stdout and "a/one" not in done.stdout
    lines = done.stderr.splitlines()
    assert len(lines) == 2 and all("No module named" in line for line in lines), done.stderr
    assert run_benchpaper(project, "plan", "toy/pipe").returncode == 0


def test_an_interrupt_during_the_imports_is_one_line(tmp_path):
    slow = "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(10)\n"
    (tmp_path / "click.py").write_text(slow)
    command = [
        sys.executable,
        "-c",
        (
            f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from benchpaper.cli.main import "
            "main; main()"
        ),
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=600, preexec_fn=hear_interrupts
    )
    assert (done.returncode, done.stderr) == (
        130,
        "benchpaper: interrupted; the same command goes on from here\n",
    )


def test_two_experiments_of_one_name_are_refused_in_one_line(
    make_project, run_benchpaper, pipe_experiment
):
    project = make_project(
        {f"experiments/{name}/experiment.py": pipe_experiment for name in ("a/b_c", "a_b/c")}
    )
    refused_in_one_line(
        run_benchpaper(project, "run"),
        'experiments "a/b_c" and "a_b/c" both claim the name "a_b_c"',
    )


def test_outside_a_project_the_command_says_so(tmp_path, run_benchpaper):
    from benchpaper.core.project import Project

    refused_in_one_line(run_benchpaper(Project(tmp_path), "run"), "run this inside a checkout")


@pytest.mark.parametrize("words", ["list", "run -n", "step judge --site local --source smoke"])
def test_a_checkout_with_code_of_its_own_is_not_run_by_that_of_another(
    make_toy, run_benchpaper, words
):
    project = make_toy("    yield dict(latency_us=1.0)", files={"reproduce": "#!/bin/sh\n"})
    assert (
        run_benchpaper(project, "list").returncode == 0
    )  # its src is a link to the code that runs
    (project.root / "src").unlink()
    shutil.copytree(
        ROOT / "src", project.root / "src", ignore=shutil.ignore_patterns("__pycache__")
    )
    message = f'"{project.root}/src/benchpaper"; run ./reproduce in the project'
    refused_in_one_line(run_benchpaper(project, *words.split()), message)
    own = run_benchpaper(project, "list", BENCHPAPER_CODE=str(project.root / "src"))
    assert own.returncode == 0 and "toy/one" in own.stdout, own.stderr


def test_snakemake_alone_does_not_run_the_code_of_another_checkout(make_toy, run_benchpaper):
    project = make_toy("    yield dict(latency_us=1.0)", files={"reproduce": "#!/bin/sh\n"})
    (project.root / "src").unlink()
    shutil.copytree(
        ROOT / "src", project.root / "src", ignore=shutil.ignore_patterns("__pycache__")
    )
    command = [sys.executable, "-m", "snakemake", "-n"]
    done = subprocess.run(command, cwd=project.root, capture_output=True, text=True)
    assert done.returncode != 0 and "but this project has its own" in done.stdout + done.stderr
