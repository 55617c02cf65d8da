"""What a step of the pipeline depends on in the framework itself is computed from the code."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from checkout import ROOT

from benchpaper.core.project import Project
from benchpaper.workflow import dependencies
from benchpaper.workflow.pipeline import Pipeline

NOTEBOOKS = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("analysis/*.ipynb"))
CLAIMS = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("analysis/claims*.py"))
STEPS = {
    "analyse": ("benchpaper.paper.notebook", *NOTEBOOKS),
    "judge": ("benchpaper.analysis.claims", *CLAIMS),
    "gather": ("benchpaper.paper.gather",), "typeset": ("benchpaper.paper.latex",),
    "appendix": ("benchpaper.artifact.appendix",),
    "pages": ("benchpaper.paper.html",),
}  # fmt: skip


@pytest.fixture(scope="module")
def run():
    return Pipeline(Project(ROOT), "local", "reference", 1)


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
def test_a_step_depends_on_every_module_that_it_loads(run, step):
    module, *users = STEPS[step]
    lines = [
        f"import {module}",
        *(line for user in users for line in imports(ROOT / user)),
        "import sys, json",
    ]
    code = "\n".join(dict.fromkeys(lines)) + (
        "\nprint(json.dumps([m.__file__ for n, m in sys.modules.items() if n.split('.')[0] "
        "== 'benchpaper']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = {Path(file).relative_to(ROOT).as_posix() for file in json.loads(done.stdout)}
    assert len(loaded) > 5 and loaded <= set(dependencies.code(run, module, *users))


def imports(path):
    """The lines of a notebook or module that import from the framework."""
    lines = path.read_text().splitlines()
    if path.suffix == ".ipynb":
        cells = json.loads(path.read_text())["cells"]
        lines = "".join(
            "".join(cell["source"]) + "\n" for cell in cells if cell["cell_type"] == "code"
        ).splitlines()
    return [line for line in lines if line.startswith("from benchpaper")]


def test_notebooks_depend_on_how_results_are_read_and_on_nothing_that_measures(run):
    files = set(dependencies.code(run, "benchpaper.paper.notebook", *NOTEBOOKS)) | set(
        dependencies.code(run, "benchpaper.analysis.claims", *CLAIMS)
    )
    for name in (
        "analysis/tables",
        "design/declarations",
        "design/spec",
        "core/project",
        "results/parquet",
        "analysis/stats",
        "analysis/estimates",
        "analysis/exhibits",
        "analysis/style",
        "analysis/verdicts",
    ):
        assert f"src/benchpaper/{name}.py" in files
    assert not [
        path for path in files if "/hosts/" in path or "/measure/" in path or "/workflow/" in path
    ]


def test_what_is_no_python_belongs_to_the_package_that_uses_it(run):
    assert "src/benchpaper/paper/html/theme/_static/report.css" in dependencies.code(
        run, "benchpaper.paper.html"
    )
    assert not [
        path
        for path in dependencies.code(run, "benchpaper.paper.notebook", *NOTEBOOKS)
        if not path.endswith(".py")
    ]
