"""A notebook in R runs in IRkernel, and saves exhibits through the same `Exhibits` as Python's."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpecManager

from benchpaper.core.project import Project
from benchpaper.paper import kernels, notebook

R = {"display_name": "R", "language": "R", "name": "ir"}
PARAMETERS = "results_dir <- ''\nexhibits_dir <- NULL"
LOAD = """
library(reticulate)
use_python({python!r}, required = TRUE)
benchpaper <- import("benchpaper")
results <- benchpaper$load("toy/pipe", results_dir)
exhibits <- benchpaper$Exhibits(results, exhibits_dir)
"""
SAVE = """
exhibits$number("toy-cells", as.integer(length(results$cells)), "count")
cat(results$blocks, "blocks\\n")
"""


def has_r():
    code = "stopifnot(require(IRkernel), require(reticulate))"
    return (
        bool(shutil.which("Rscript"))
        and not subprocess.run(["Rscript", "-e", code], capture_output=True).returncode
    )


@pytest.fixture
def project(measured_project, tmp_path):
    """A copy of the measured project, with the kernelspec that IRkernel makes."""
    if not has_r():
        pytest.skip("needs r-cran-irkernel and r-cran-reticulate")
    shutil.copytree(measured_project.root, tmp_path / "project")
    made = Project(tmp_path / "project")
    (made.root / "Snakefile").touch()
    folder = made.home / ".local/share/jupyter/kernels/ir"
    folder.mkdir(parents=True, exist_ok=True)
    argv = ["R", "--slave", "-e", "IRkernel::main()", "--args", "{connection_file}"]
    (folder / "kernel.json").write_text(json.dumps({**R, "argv": argv}))
    return made


def write(project, last):
    """Write the notebook: its parameters, loading the results, and a last cell."""
    made = nbformat.v4.new_notebook(metadata={"kernelspec": R})
    cells = [PARAMETERS, LOAD.format(python=sys.executable), last]
    made.cells = [nbformat.v4.new_code_cell(text) for text in cells]
    made.cells[0].metadata["tags"] = ["parameters"]
    path = project.notebook("toy/pipe")
    path.parent.mkdir(exist_ok=True)
    nbformat.write(made, path)


@pytest.mark.slow
def test_an_r_notebook_saves_exhibits(project):
    write(project, SAVE)
    executed = notebook.analyse(project, "local", "quick", "toy/pipe")
    assert nbformat.read(executed, as_version=4).cells[-1].outputs[-1].text.endswith("5 blocks\n")
    exhibits = project.build("local", "quick") / "exhibits/toy_pipe"
    saved = json.loads((exhibits / "exhibits.json").read_text())["exhibits"]
    assert saved["toy-cells"]["kind"] == "number"


@pytest.mark.slow
def test_an_error_in_r_is_one_line(project):
    write(project, 'stop("no\\nroom")')
    with pytest.raises(notebook.NotebookError) as failed:
        notebook.analyse(project, "local", "quick", "toy/pipe")
    text = str(failed.value)
    assert text.startswith("analysis/toy_pipe.ipynb, cell ") and "no room" in text
    assert "\n" not in text


@pytest.mark.parametrize("name, remedy", [
    ("ir", "IRkernel::installspec(sys_prefix = TRUE)"),
    ("julia-1.11", 'Pkg.add("IJulia")'),
    ("octave", "install its kernelspec for all users, or into "),
])  # fmt: skip
def test_a_missing_kernel_is_named_with_its_remedy(name, remedy, tmp_path, monkeypatch):
    monkeypatch.setattr(kernels.sys, "prefix", str(tmp_path / "venv"))
    monkeypatch.setattr(KernelSpecManager, "find_kernel_specs", lambda self: {"python3": ""})
    with pytest.raises(notebook.UserError) as refused:
        kernels.check(Path("analysis/x.ipynb"), name, tmp_path)
    text = str(refused.value)
    assert remedy in text and "\n" not in text and str(tmp_path) not in text
