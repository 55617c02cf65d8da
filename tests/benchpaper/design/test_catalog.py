"""Experiments are found, loaded, and refused with a line that says why."""

import pytest
from sound_experiments import sound

from benchpaper.core.errors import UserError
from benchpaper.design import catalog


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
    assert [catalog.load(project, name).name for name in catalog.names(project)] == [
        "a/one",
        "b/two",
    ]


def test_an_unknown_name_names_the_nearest_and_the_command_that_lists_all(pipe_project):
    assert refusal(pipe_project, "toy/pip") == (
        'experiment "toy/pip" not found; did you mean "toy/pipe"? (there are: toy/pipe); run '
        '"benchpaper list" to see all'
    )


@pytest.mark.parametrize("first, second", [("a/b_c", "a_b/c"), ("toy/One", "toy/one")])
def test_two_experiments_of_one_notebook_name_are_refused(make_project, first, second):
    project = make_project(
        {f"experiments/{name}/experiment.py": sound() for name in (first, second)}
    )
    with pytest.raises(
        UserError,
        match=f'^experiments "{first}" and "{second}" both claim the name .*; rename one folder$',
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
    ("def f():\n    return 1 / 0\nf()\n",
        "experiments/systems/kv.py:2: ZeroDivisionError: division by zero"),
    ("a = 1\n\nb = = 2\n", "experiments/systems/kv.py:3: SyntaxError: invalid syntax"),
])  # fmt: skip
def test_a_mistake_in_an_imported_system_is_placed_there(make_project, text, cause):
    files = {
        "experiments/systems/kv.py": text,
        "experiments/toy/one/experiment.py": sound("from experiments.systems import kv"),
    }
    assert (
        refusal(make_project(files))
        == f"experiments/toy/one/experiment.py does not import: {cause}"
    )


def test_a_declaration_that_cannot_be_names_the_file(make_project):
    text = "from benchpaper.design.spec import Metric\nMetric('x', unit='', better='lower')\n"
    project = make_project({"experiments/toy/one/experiment.py": text})
    assert refusal(project).startswith('experiments/toy/one/experiment.py: metric "x" has no unit;')


NO_EXPERIMENT = (
    "has no `experiment = Experiment(...)`; benchpaper new FAMILY/NAME writes one that runs, to "
    "compare with"
)


@pytest.mark.parametrize("text, message", [
    ("x = 1\n", NO_EXPERIMENT),
    ("experiment = 'sure'\n", NO_EXPERIMENT),
    (sound(trial=""), "has no function under @experiment.trial; nothing could be measured "
     "(if all its results are imported, leave out the scales)"),
])  # fmt: skip
def test_a_module_from_which_nothing_can_be_measured_is_refused(make_project, text, message):
    project = make_project({"experiments/toy/one/experiment.py": text})
    assert refusal(project) == f"experiments/toy/one/experiment.py {message}"
