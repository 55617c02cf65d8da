"""A project registers its own capabilities, and hosts that lack our packages probe them too."""

import os
import subprocess
import sys

import pytest
from checkout import ROOT

from benchpaper.core import syntax
from benchpaper.core.capabilities import CAPABILITIES, find_capability
from benchpaper.core.errors import UserError
from benchpaper.design import catalog
from benchpaper.hosts import HostError
from benchpaper.hosts.agent import probing

OWN = """
from benchpaper import capability

@capability("lamp", "light", "light the lamp")
def _lamp():
    print("a probe that prints")
    return True, "it is lit"
"""
BROKEN = "import no_such_package\n" + OWN.replace("lamp", "torch_light")


def test_loading_any_experiment_registers_the_projects_own(make_toy):
    project = make_toy("yield {}", files={"experiments/capabilities.py": OWN})
    catalog.load(project, "toy/one")
    assert find_capability("lamp").check() == (True, "it is lit")
    assert find_capability("lamp").module == "experiments.capabilities"


@pytest.mark.usefixtures("make_project")  # it also removes modules that were not there before
def test_a_process_that_turns_to_another_project_sees_that_ones(tmp_path, monkeypatch):
    """Their modules have the same names."""
    lamps = {}
    for color in ("red", "green"):
        folder = tmp_path / color / "experiments"
        folder.mkdir(parents=True)
        own = OWN.replace("lamp", f"{color}_lamp") + OWN.replace("it is lit", color)
        (folder / "capabilities.py").write_text(own)
        forget_experiments(monkeypatch)
        monkeypatch.syspath_prepend(str(folder.parent))
        assert find_capability("lamp").check() == (True, color)
        lamps[color] = {name: sys.modules[name] for name in OF_OWN}
    names = {name for name in CAPABILITIES if "lamp" in name}
    assert names == {"lamp", "green_lamp"} and len(CAPABILITIES) == len(list(CAPABILITIES))
    with pytest.raises(UserError, match='capability "red_lamp" not found'):
        find_capability("red_lamp")
    for name, module in lamps["red"].items():  # back to the first
        monkeypatch.setitem(sys.modules, name, module)
    assert CAPABILITIES["lamp"].check() == (True, "red") and "green_lamp" not in CAPABILITIES
    assert find_capability("root").module == "benchpaper.hosts.probe"


OF_OWN = ("experiments", "experiments.capabilities")


def forget_experiments(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "experiments"]:
        monkeypatch.delitem(sys.modules, name)


def test_they_are_no_source_of_an_experiment(make_toy):
    project = make_toy("yield {}", files={"experiments/capabilities.py": OWN})
    names = [path.name for path in catalog.sources(project, "toy/one")]
    assert names == ["experiment.py"]


@pytest.mark.parametrize(
    "text, words",
    [
        ("import no_such_package", ".py:1: ModuleNotFoundError"),
        ("x = (", "SyntaxError"),
        ("raise SystemExit(3)", "SystemExit: 3"),
    ],
)
@pytest.mark.parametrize("file", ["experiments/capabilities.py", "experiments/__init__.py"])
def test_a_module_that_does_not_import_is_the_projects_mistake(make_toy, file, text, words):
    project = make_toy("yield {}", files={file: text})
    with pytest.raises(UserError, match=f"^{file} does not import: ") as error:
        catalog.load(project, "toy/one")
    assert words in str(error.value) and "\n" not in str(error.value)


def test_this_projects_are_found_without_loading_an_experiment():
    code = "from benchpaper import CAPABILITIES; print(CAPABILITIES['memcached'].module)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "experiments.capabilities\n", done.stderr


def test_this_projects_module_runs_on_any_hosts_python():
    """Target hosts have the standard library, the agent, and the project."""
    path = ROOT / "experiments/capabilities.py"
    reached = syntax.reached([path], ROOT, "experiments")
    assert reached == {path}
    code = "import sys; import experiments.capabilities; print(*sys.modules)"
    command = [sys.executable, "-S", "-c", code]
    variables = {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "PATH": os.environ["PATH"]}
    done = subprocess.run(command, env=variables, capture_output=True, text=True)
    assert "experiments.capabilities" in done.stdout, done.stderr


@pytest.fixture
def far_python(make_project, tmp_path):
    """Return `make(files)`: a Python, without our packages, that finds a project with them."""

    def make(files):
        project = make_project(files)
        starter = tmp_path / "python"
        starter.write_text(
            f'#!/bin/sh\nPYTHONPATH="{ROOT / "src"}:{project.root}" exec {sys.executable} -S "$@"\n'
        )
        starter.chmod(0o755)
        return str(starter)

    return make


def test_a_host_answers_for_each_capability_by_itself(far_python):
    python = far_python(
        {"experiments/capabilities.py": OWN, "experiments/systems/lights.py": BROKEN}
    )
    answers = probing.ask(
        python,
        {
            "lamp": "experiments.capabilities",
            "torch_light": "experiments.systems.lights",
            "moon": "experiments.capabilities",
            "root": "benchpaper.hosts.probe",
        },
    )
    assert answers["lamp"] == [True, "it is lit"]
    assert answers["root"][0] == (os.geteuid() == 0)
    assert answers["moon"] == [
        False,
        "its probe did not run there: experiments.capabilities alone does not register it",
    ]
    assert answers["torch_light"][0] is False
    assert answers["torch_light"][1].startswith(
        "its probe did not run there: experiments.systems.lights does not import: ModuleNotFound"
    )


@pytest.mark.parametrize(
    "text, words",
    [
        ("import os; os._exit(3)", "could not be probed"),
        ("import time; time.sleep(60)", "took more than 1 s to probe"),
    ],
)
def test_probes_that_end_their_process_or_hang_are_an_error_of_the_host(
    far_python, monkeypatch, text, words
):
    monkeypatch.setattr(probing, "TIMEOUT_S", 1.0)
    with pytest.raises(HostError, match=words) as error:
        probing.ask(far_python({"experiments/x.py": text}), {"x": "experiments.x"})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("ask", [find_capability, CAPABILITIES.__getitem__])
def test_whoever_asks_first_hears_of_a_broken_module(make_toy, monkeypatch, ask):
    project = make_toy("yield {}", files={"experiments/capabilities.py": "import no_such_package"})
    monkeypatch.syspath_prepend(str(project.root))
    forget_experiments(monkeypatch)
    with pytest.raises(UserError, match=r"^experiments/capabilities.py does not import: .*py:1: "):
        ask("lamp")
