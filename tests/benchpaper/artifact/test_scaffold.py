"""Adding an experiment: `new` works as written, the tutorial works, and errors teach.

Each broken contract gives an error that says what to do.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import text_of
from checkout import ROOT

from benchpaper.artifact import checklist, experiment_checks, scaffold
from benchpaper.core.errors import UserError
from benchpaper.core.project import Project
from benchpaper.design import catalog

NAME = "toy/copying"


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """A project without experiments."""
    root = tmp_path_factory.mktemp("new") / "project"
    for folder in ("experiments", "analysis", "paper", "sites", "artifacts", "tests"):
        (root / folder).mkdir(parents=True)
    shutil.copyfile(ROOT / "Snakefile", root / "Snakefile")
    (root / "src").symlink_to(ROOT / "src")
    return Project(root)


def test_the_tutorial_works_as_it_stands(empty):
    steps = text_of.steps((ROOT / "experiments" / "README.md").read_text())
    assert [step[1].split()[1] for step in steps if step[1].startswith("benchpaper")] == [
        "new",
        "plan",
        "run",
        "check",
        "run",
        "check",
    ]
    here = Path(sys.executable).parent
    for kind, what, *content in steps:
        if kind == "file":
            (empty.root / what).write_text(content[0])
            continue
        env = {**os.environ, "PATH": f"{here}:{os.environ['PATH']}", "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            ["bash", "-c", what],
            cwd=empty.root,
            env=env,
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert done.returncode == 0, f"{what}\n{done.stdout}{done.stderr}"
        if what.startswith("benchpaper check"):
            assert "FAIL" not in done.stdout and done.stdout.count("  ok  ") == len(
                experiment_checks.CHECKS
            )
    assert "[4096, 1048576]" in (empty.experiments / NAME / "experiment.py").read_text()


@pytest.mark.parametrize("name, words", [
    ("copying", "must be FAMILY/NAME"), ("Toy/x", "small letters"), ("a/b/c", "FAMILY/NAME"),
    ("../x/y", "FAMILY/NAME"),
    ("systems/x", "holds what experiments share"), (NAME, "is there already"),
    ("class/x", "a word of Python"),
    ("toy/import", "a word of Python"), ("toy/a__b", "single underscores"),
    ("toy/a_", "single underscores"),
    ("toy/" + "a" * 80, "at most 60"), ("toy/shared", "holds other code"),
])  # fmt: skip
def test_a_bad_or_taken_name_is_refused(make_project, name, words):
    project = make_project(
        {f"experiments/{NAME}/experiment.py": "", "experiments/toy/shared/code.py": ""}
    )
    with pytest.raises(UserError, match=words):
        scaffold.new(project, name)
    assert not list(project.analysis.iterdir())


def test_a_second_experiment_of_a_family_gets_the_next_claim(make_project):
    project = make_project({})
    scaffold.new(project, "toy/one")
    scaffold.new(project, "toy/two")
    text = (project.analysis / "claims_toy.py").read_text()
    assert (
        '"C1", experiment="toy/one"' in text
        and '"C2", experiment="toy/two"' in text
        and text.count("import claim") == 1
    )
    assert catalog.names(project) == ["toy/one", "toy/two"]


# what breaks a contract, which check finds it, and a word of the remedy
BROKEN = [
    (
        "experiment.py",
        'twin=dict(target="pipe", size_bytes=4096),',
        "",
        "declaration",
        "name the noisiest real cell",
    ),
    ("experiment.py", "quick=5", "quick=4", "declaration", "give it 5"),
    ("experiment.py", "quick=5", "quick=50", "declaration", "do not grow"),
    (
        "experiment.py",
        'evidence=[Evidence("seen", "messages and bytes that came out at the other end")],',
        "",
        "declaration",
        "compare it",
    ),
    (
        "experiment.py",
        "blocks=blocks,",
        "blocks=blocks, **(dict(size_bytes=[1]) if name == 'full' else {}),",
        "cells",
        "is not measured at scale",
    ),
    (
        "experiment.py",
        "import json\n",
        "import json\nimport analysis\n",
        "imports",
        "share lies in",
    ),
    ("notebook", '"parameters"', '"other"', "notebook", 'the tag "parameters"'),
    ("notebook", "exhibits.", "print#", "notebook", "saves no exhibit"),
    (
        "notebook",
        "from benchpaper import Exhibits, load, style",
        "import subprocess",
        "notebook",
        "reads results",
    ),
    ("notebook", None, None, "notebook", "add analysis/toy_one.ipynb"),
    ("claims", "toy/one", "toy/two", "judged", "add one to analysis/claims_toy.py"),
    ("test", None, None, "tested", "add tests/experiments/test_toy_one.py"),
]


@pytest.mark.parametrize(
    "where, old, new, check, remedy", BROKEN, ids=[f"{b[3]}-{n}" for n, b in enumerate(BROKEN)]
)
def test_every_broken_contract_is_met_by_a_remedy(make_project, where, old, new, check, remedy):
    project = make_project({})
    scaffold.new(project, "toy/one")
    if where == "claims":
        scaffold.new(project, "toy/two")
    path = {
        "experiment.py": project.experiments / "toy/one/experiment.py",
        "notebook": project.notebook("toy/one"),
        "claims": project.analysis / "claims_toy.py",
        "test": project.root / "tests/experiments/test_toy_one.py",
    }[where]  # fmt: skip
    if old is None:
        path.unlink()
    else:
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))
    problems = checklist.problems(
        project, lambda p: getattr(experiment_checks, check)(p, "toy/one")
    )
    assert any(remedy in problem for problem in problems), problems


def test_a_trial_that_fails_is_told_with_its_reason(make_project, run_benchpaper):
    project = make_project({})
    scaffold.new(project, "toy/one")
    path = project.experiments / "toy/one/program.py"
    path.write_text(path.read_text().replace("seen += received", "seen += received // 2"))
    done = run_benchpaper(project, "check", "toy/one")
    assert (
        done.returncode == 1
        and "trials failed" in done.stdout
        and "came out" in done.stdout
        and "--retry-failed" in done.stdout
    )
