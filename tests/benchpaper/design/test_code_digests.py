"""The digest of an experiment's code changes with what it runs, and with nothing else."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from checkout import ROOT
from sound_experiments import sound

from benchpaper.core import syntax
from benchpaper.core.project import Project
from benchpaper.design import catalog

DIGESTED = {
    "experiments/toy/one/experiment.py": sound(
        "from experiments.systems.kv import x\nfrom . import helper\nimport "
        "experiments.workloads.load"
    ),
    "experiments/toy/one/helper.py": "",
    "experiments/toy/one/loop.c": "int main;",
    "experiments/systems/__init__.py": "",
    "experiments/systems/kv.py": "from experiments.systems.base import x",
    "experiments/systems/base.py": "x = 1",
    "experiments/systems/other.py": "",
    "experiments/workloads/load.py": "",
    "experiments/toy/two/experiment.py": sound(),
    "analysis/toy_one.ipynb": "",
    "paper/main.tex": "",
}


def test_sources_are_the_folder_and_what_it_imports_directly_or_not(make_project):
    project = make_project(DIGESTED)
    sources = [
        path.relative_to(project.root).as_posix() for path in catalog.sources(project, "toy/one")
    ]
    assert sources == [
        "experiments/systems/__init__.py", "experiments/systems/base.py",
        "experiments/systems/kv.py",
        "experiments/toy/one/experiment.py", "experiments/toy/one/helper.py",
        "experiments/toy/one/loop.c",
        "experiments/workloads/load.py",
    ]  # fmt: skip


def test_the_digest_changes_exactly_with_what_the_experiment_runs(make_project):
    project = make_project(DIGESTED)
    files = [
        path
        for path in project.root.rglob("*")
        if path.is_file() and path.relative_to(project.root).as_posix() in DIGESTED
    ]
    assert len(files) == len(DIGESTED)
    for path in files:
        before = catalog.digest(project, "toy/one")
        path.write_text(path.read_text() + "\nchanged = 1")
        assert (catalog.digest(project, "toy/one") != before) == (
            path in catalog.sources(project, "toy/one")
        ), path


def test_the_digest_changes_with_a_file_added_renamed_or_removed(make_project):
    project = make_project(DIGESTED)
    folder = project.experiments / "toy" / "one"
    digests = [catalog.digest(project, "toy/one")]
    (folder / "new.c").write_text("")
    digests.append(catalog.digest(project, "toy/one"))
    (folder / "new.c").rename(folder / "renamed.c")
    digests.append(catalog.digest(project, "toy/one"))
    assert len(set(digests)) == 3
    (folder / "renamed.c").unlink()
    assert catalog.digest(project, "toy/one") == digests[0]


def test_an_import_added_later_in_the_same_process_counts(make_project):
    project = make_project(DIGESTED)
    catalog.digest(project, "toy/one")
    (project.experiments / "systems" / "kv.py").write_text("from experiments.systems import other")
    assert project.experiments / "systems" / "other.py" in catalog.sources(project, "toy/one")


def test_the_digest_is_the_same_in_another_folder_and_without_byte_code(make_project, tmp_path):
    project = make_project(DIGESTED)
    before = catalog.digest(project, "toy/one")
    catalog.load(project, "toy/one")
    (project.experiments / "toy" / "one" / "__pycache__").mkdir(exist_ok=True)
    (project.experiments / "toy" / "one" / "__pycache__" / "x.pyc").write_bytes(b"x")
    moved = type(project)(tmp_path / "elsewhere")
    shutil.copytree(project.experiments, moved.experiments)
    assert catalog.digest(project, "toy/one") == catalog.digest(moved, "toy/one") == before


def test_what_a_package_compiles_for_itself_is_no_source(make_project):
    project = make_project({
        "experiments/toy/one/experiment.py": sound("import experiments.toy.checker"),
        "experiments/toy/checker/__init__.py": "", "experiments/toy/checker/parse.c": "int x;",
    })  # fmt: skip
    before = catalog.source_digests(project, "toy/one")
    assert "experiments/toy/checker/parse.c" in before
    compiled = project.experiments / "toy/checker/__pycache__/checker-0123.so"
    compiled.parent.mkdir(exist_ok=True)
    compiled.write_bytes(b"x")
    assert catalog.source_digests(project, "toy/one") == before
    compiled_then = {"experiments/toy/checker/__pycache__/checker-4567.so": "0" * 64}
    assert catalog.changed(project, "toy/one", {"sources": before | compiled_then}) == []


def test_loading_leaves_the_experiment_importable_by_its_folder(make_project):
    project = make_project({"experiments/toy/one/experiment.py": sound()})
    experiment = catalog.load(project, "toy/one")
    assert sys.modules["experiments.toy.one.experiment"].experiment is experiment


def test_the_c_sources_beside_an_imported_workload_count(make_project):
    project = make_project({
        "experiments/toy/one/experiment.py": sound("from experiments.workloads import load"),
        "experiments/workloads/load.py": "SOURCE = __file__.replace('.py', '.c')",
        "experiments/workloads/load.c": "int x;",
    })  # fmt: skip
    before = catalog.digest(project, "toy/one")
    (project.experiments / "workloads" / "load.c").write_text("int y;")
    assert catalog.digest(project, "toy/one") != before


def test_the_c_sources_in_an_imported_package_count(make_project):
    project = make_project({
        "experiments/toy/one/experiment.py": sound("from experiments.toy import store"),
        "experiments/toy/store/__init__.py": "", "experiments/toy/store/server/main.c": "int x;",
    })  # fmt: skip
    assert project.experiments / "toy" / "store" / "server" / "main.c" in catalog.sources(
        project, "toy/one"
    )


# --- what counts as run -----------------------------------------------------------------------

WAYS = {
    "a list after -m": (
        "import sys\nARGV = [sys.executable, '-m', 'experiments.workloads.load']",
        "workloads/load.py",
    ),
    "a package after -m": (
        "ARGV = ['-m', 'experiments.workloads.engines']",
        "workloads/engines/nats.py",
    ),
    "a name put together": (
        "def f(x):\n    return f'experiments.workloads.engines.{x}'",
        "workloads/engines/nats.py",
    ),
    "a command line": (
        "LINE = 'exec python -m experiments.workloads.load --all'",
        "workloads/load.py",
    ),
    "an import in a function": (
        "def f():\n    from experiments.workloads import load",
        "workloads/load.py",
    ),
    "a header elsewhere": ("", "shared/clock.h"),
}


@pytest.mark.parametrize("text, file", WAYS.values(), ids=WAYS)
def test_what_is_run_counts_however_it_is_named(make_project, text, file):
    project = make_project({
        "experiments/toy/one/experiment.py": sound(text),
        "experiments/toy/one/loop.c": '#include "../../shared/clock.h"',
        "experiments/shared/clock.h": "int x;", "experiments/workloads/load.py": "",
        "experiments/workloads/other.py": "",
        "experiments/workloads/engines/__init__.py": "",
        "experiments/workloads/engines/nats.py": "",
    })  # fmt: skip
    digests = catalog.source_digests(project, "toy/one")
    assert f"experiments/{file}" in digests and "experiments/workloads/other.py" not in digests


def test_prose_names_no_program(make_project):
    text = sound(
        'def f():\n    """Not experiments.workloads.load."""\n# nor experiments.workloads.load'
    )
    files = {"experiments/toy/one/experiment.py": text, "experiments/workloads/load.py": ""}
    assert list(catalog.source_digests(make_project(files), "toy/one")) == [
        "experiments/toy/one/experiment.py"
    ]


def test_each_file_below_experiments_belongs_to_an_experiment_or_to_a_program_for_people():
    """What no experiment runs or takes is run by hand, as the documents say, or by tests alone."""
    project = Project(ROOT)
    names = catalog.names(project)
    run = {path for name in names for path in catalog.sources(project, name)}
    inputs = [each for name in names for each in catalog.load(project, name).inputs]
    run |= {ROOT / each.path for each in inputs}
    documents = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    documents += project.experiments.rglob("*.md")
    by_hand = "\n".join(path.read_text() for path in documents)
    prose = "\n".join(path.read_text() for path in ROOT.glob("tests/**/*.py"))
    for path in project.experiments.rglob("*"):
        if path.is_dir() or "__pycache__" in path.parts or path.suffix == ".md" or path in run:
            continue
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__main__")
        explained = f"-m {module}" in by_hand or f" {path.relative_to(ROOT)}" in by_hand
        assert explained or re.search(rf"\b{path.stem}\b", prose), f"{path} is run by nobody"


# --- digests over the syntax tree --------------------------------------------------------------

BEFORE = 'from x import y\n\n\ndef f(a, *, b=1):\n    """Old."""\n    return a + b * 1.50  # why\n'
SAME = [
    "# first\n" + BEFORE,
    BEFORE.replace("Old", "New"),
    BEFORE.replace(' """Old."""\n   ', ""),
    BEFORE.replace("a + b * 1.50", "(a + (b * 1.5))"),
    BEFORE.replace("\n", "\r\n"),
]
OTHER = [
    BEFORE.replace("1.50", "1.51"),
    BEFORE.replace("b=1", "b=1.0"),
    BEFORE.replace("*, b", "b"),
    BEFORE.replace("x import", ".x import"),
    BEFORE.replace("1.50", "'1.50'"),
    BEFORE.replace("b=1", "b=True"),
]


@pytest.mark.parametrize("text", SAME)
def test_comments_docstrings_and_layout_change_no_digest(text):
    assert syntax.digest("a.py", text.encode()) == syntax.digest("a.py", BEFORE.encode())


@pytest.mark.parametrize("text", OTHER)
def test_whatever_else_is_changed_changes_the_digest(text):
    assert syntax.digest("a.py", text.encode()) != syntax.digest("a.py", BEFORE.encode())


LAYOUTS = {  # each a pair of texts that differ in layout alone
    "quotes": ("x = 'a'", 'x = "a"'),
    "a raw text": (r"x = r'\d'", r"x = '\\d'"),
    "joined texts": ("x = 'ab'", "x = ('a'\n     'b')"),
    "joined formats": ("x = f'a{y}b'", "x = (f'a{y}'\n     'b')"),
    "digits": ("x = 1000000", "x = 1_000_000"),
    "a base": ("x = 255", "x = 0xFF"),
    "a line break": ("x = f(1, 2)", "x = f(\n    1,\n    2,\n)"),
    "a backslash": ("x = 1 + 2", "x = 1 + \\\n    2"),
    "brackets": ("x = 1, 2", "x = (1, 2)"),
    "semicolons": ("x = 1\ny = 2", "x = 1; y = 2"),
    "one line": ("if x:\n    y = 1", "if x: y = 1"),
    "tabs": ("if x:\n    y = 1", "if x:\n\ty = 1"),
    "the end of the file": ("x = 1", "x = 1\n\n\n"),
    "an encoding": ("x = 'ä'", "# -*- coding: utf-8 -*-\nx = 'ä'"),
    "a byte order mark": ("x = 1", "\ufeffx = 1"),
    "a type comment": ("x = 1", "x = 1  # type: int"),
    "a linter's comment": ("import x", "import x  # noqa: F401"),
    "a docstring of a class": ("class A:\n    x = 1", "class A:\n    'New.'\n    x = 1"),
    "a docstring of the module": ("x = 1", "'New.'\nx = 1"),
    "a docstring of a coroutine": (
        "async def f():\n    return 1",
        "async def f():\n    'New.'\n    return 1",
    ),
}


@pytest.mark.parametrize("before, after", LAYOUTS.values(), ids=LAYOUTS)
def test_the_same_code_in_another_layout_has_the_same_digest(before, after):
    assert syntax.digest("a.py", before.encode()) == syntax.digest("a.py", after.encode())
    assert syntax.digest("a.py", after.encode()).startswith(syntax.SCHEME)


DIGEST_ALL = """
import hashlib, importlib.util, pathlib, sys
about = importlib.util.spec_from_file_location("syntax", "src/benchpaper/core/syntax.py")
syntax = importlib.util.module_from_spec(about)
about.loader.exec_module(syntax)
paths = pathlib.Path("experiments").rglob("*.py")
found = {str(path): syntax.digest(str(path), path.read_bytes()) for path in paths}
assert all(value.startswith(syntax.SCHEME) for value in found.values()), sys.version
print(hashlib.sha256(repr(sorted(found.items())).encode()).hexdigest())
"""


VERSIONS = ("python3.11", "python3.12", "python3.13", "python3.14")


def pythons():
    """The Pythons of this machine from 3.11 on, one of each version."""
    by_version = {}
    others = (Path.home() / ".pyenv/versions").glob("3.*/bin/python")
    for path in [sys.executable, *others, *map(shutil.which, VERSIONS)]:
        if path and Path(path).exists():
            done = subprocess.run(
                [path, "-c", "import sys; print(*sys.version_info[:2])"],
                capture_output=True,
                text=True,
            )
            by_version.setdefault(tuple(map(int, done.stdout.split())), path)
    return [path for version, path in by_version.items() if version >= (3, 11)]


def test_every_version_of_python_gives_the_same_digests():
    digests = {
        subprocess.run(
            [python, "-c", DIGEST_ALL], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout
        for python in pythons()
    }
    assert len(digests) == 1


# --- results from before -----------------------------------------------------------------------


def raw(project):
    """Return what results recorded when digests covered bytes and left out `-m` programs."""
    sources = catalog.sources(project, "toy/one")
    return {
        path.relative_to(project.root).as_posix(): syntax.bytes_digest(path.read_bytes())
        for path in sources if path.name != "load.py"
    }  # fmt: skip


def git(project, *words):
    command = [
        "git",
        "-C",
        project.root,
        "-c",
        "user.name=a",
        "-c",
        "user.email=a@b.example",
        *words,
    ]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.parametrize("with_git", [True, False])
def test_a_comment_does_not_age_a_reference_that_recorded_bytes(make_project, with_git):
    project = make_project({
        "experiments/toy/one/experiment.py": sound("ARGV = ['-m', 'experiments.workloads.load']"),
        "experiments/workloads/load.py": "x = 1\n",
    })  # fmt: skip
    experiment, load = (
        project.experiments / "toy/one/experiment.py",
        project.experiments / "workloads/load.py",
    )
    commits = ["unknown"]
    if with_git:
        for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "x"]):
            git(project, *words)
        commits = [git(project, "rev-parse", "HEAD")]
    described = {"sources": raw(project)}
    assert catalog.changed(project, "toy/one", described, commits) == []
    experiment.write_text(experiment.read_text() + "# a comment\n")
    load.write_text(load.read_text() + "# a comment\n")
    unsure = [] if with_git else ["experiments/toy/one/experiment.py"]
    assert catalog.changed(project, "toy/one", described, commits) == unsure
    load.write_text("x = 2\n")
    seen = ["experiments/workloads/load.py"] if with_git else unsure
    assert catalog.changed(project, "toy/one", described, commits) == seen
    experiment.write_text(experiment.read_text() + "x = 1\n")
    assert "experiments/toy/one/experiment.py" in catalog.changed(
        project, "toy/one", described, commits
    )
