"""Finding the experiments, saying what is wrong with one, and the digest of what it runs."""

import shutil
import sys

import pytest

from benchpaper import catalog
from benchpaper.errors import UserError

SOUND = '''
from benchpaper.spec import Experiment, Metric, Scale
{imports}
experiment = Experiment(
    title="Toy", question="?", factors=[], metrics=[Metric("x_s", unit="s", better="lower")],
    scales={{name: Scale(blocks=1) for name in ("smoke", "quick", "full")}},
)
{trial}
'''
TRIAL = "experiment.trial(lambda cell, site: [])"


def sound(imports="", trial=TRIAL):
    return SOUND.format(imports=imports, trial=trial)


def refusal(project, name="toy/one"):
    with pytest.raises(UserError) as refused:
        catalog.load(project, name)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_experiments_are_the_folders_with_an_experiment_file(make_project):
    project = make_project({
        "experiments/b/two/experiment.py": sound(), "experiments/a/one/experiment.py": sound(),
        "experiments/systems/ucx.py": "", "experiments/README.md": "",
    })  # fmt: skip
    assert catalog.names(project) == ["a/one", "b/two"]
    assert [catalog.load(project, name).name for name in catalog.names(project)] == ["a/one", "b/two"]


def test_an_unknown_name_names_the_nearest_and_the_command_that_lists_all(pipe_project):
    assert refusal(pipe_project, "toy/pip") == (
        'experiment "toy/pip" not found; did you mean "toy/pipe"? (there are: toy/pipe) run "benchpaper list" to see all'
    )


@pytest.mark.parametrize("first, second", [("a/b_c", "a_b/c"), ("toy/One", "toy/one")])
def test_two_experiments_of_one_notebook_name_are_refused(make_project, first, second):
    project = make_project({f"experiments/{name}/experiment.py": sound() for name in (first, second)})
    with pytest.raises(
        UserError, match=f'^experiments "{first}" and "{second}" both claim the name .*; rename one folder$'
    ):
        catalog.names(project)


@pytest.mark.parametrize("text, cause", [
    ("import os\nimport no_such_thing\n",
     "experiments/toy/one/experiment.py:2: ModuleNotFoundError: No module named 'no_such_thing'"),
    ("\n\nx = 1 / 0\n", "experiments/toy/one/experiment.py:3: ZeroDivisionError: division by zero"),
    ("raise ValueError('one\\ntwo')\n", "experiments/toy/one/experiment.py:1: ValueError: one two"),
    ("import sys\nsys.exit(3)\n", "experiments/toy/one/experiment.py:2: SystemExit: 3"),
    ("a = 1\nb = = 2\n", "experiments/toy/one/experiment.py:2: SyntaxError: invalid syntax"),
])  # fmt: skip
def test_an_import_that_fails_names_file_and_line(make_project, text, cause):
    project = make_project({"experiments/toy/one/experiment.py": text})
    assert refusal(project) == f"experiments/toy/one/experiment.py does not import: {cause}"


@pytest.mark.parametrize("text, cause", [
    ("def f():\n    return 1 / 0\nf()\n", "experiments/systems/kv.py:2: ZeroDivisionError: division by zero"),
    ("a = 1\n\nb = = 2\n", "experiments/systems/kv.py:3: SyntaxError: invalid syntax"),
])  # fmt: skip
def test_a_mistake_in_an_imported_system_is_placed_there(make_project, text, cause):
    files = {
        "experiments/systems/kv.py": text,
        "experiments/toy/one/experiment.py": sound("from experiments.systems import kv"),
    }
    assert refusal(make_project(files)) == f"experiments/toy/one/experiment.py does not import: {cause}"


def test_a_declaration_that_cannot_be_names_the_file(make_project):
    text = "from benchpaper.spec import Metric\nMetric('x', unit='', better='lower')\n"
    project = make_project({"experiments/toy/one/experiment.py": text})
    assert refusal(project).startswith('experiments/toy/one/experiment.py: metric "x" has no unit;')


@pytest.mark.parametrize("text, message", [
    ("x = 1\n", "has no `experiment = Experiment(...)`; see experiments/README.md"),
    ("experiment = 'sure'\n", "has no `experiment = Experiment(...)`; see experiments/README.md"),
    (sound(trial=""), "has no function under @experiment.trial; nothing could be measured"),
])  # fmt: skip
def test_a_module_from_which_nothing_can_be_measured_is_refused(make_project, text, message):
    project = make_project({"experiments/toy/one/experiment.py": text})
    assert refusal(project) == f"experiments/toy/one/experiment.py {message}"


DIGESTED = {
    "experiments/toy/one/experiment.py":
        sound("from experiments.systems.kv import x\nfrom . import helper\nimport experiments.workloads.load"),
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
    found = [path.relative_to(project.root).as_posix() for path in catalog.sources(project, "toy/one")]
    assert found == [
        "experiments/systems/__init__.py", "experiments/systems/base.py", "experiments/systems/kv.py",
        "experiments/toy/one/experiment.py", "experiments/toy/one/helper.py", "experiments/toy/one/loop.c",
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
        path.write_text(path.read_text() + "\n# changed")
        assert (catalog.digest(project, "toy/one") != before) == (path in catalog.sources(project, "toy/one")), path


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
    assert project.experiments / "toy" / "store" / "server" / "main.c" in catalog.sources(project, "toy/one")
