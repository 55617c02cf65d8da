"""A notebook runs in the kernel that it names; where that is missing, one line says so."""

import json
import sys

import nbformat
import pytest

from benchpaper.core.errors import UserError
from benchpaper.paper import kernel_server, kernels, notebook

SAVE = """
import pathlib
if exhibits_dir:
    pathlib.Path(exhibits_dir).mkdir(parents=True)
    (pathlib.Path(exhibits_dir) / "exhibits.json").write_text("{}")
"""
NOWHERE = {"display_name": "Julia", "language": "julia", "name": "julia-0.0"}


def write(project, spec, *cells):
    made = nbformat.v4.new_notebook(metadata={"kernelspec": spec} if spec else {})
    parameters = nbformat.v4.new_code_cell("results_dir = ''\nexhibits_dir = None")
    parameters.metadata["tags"] = ["parameters"]
    made.cells = [parameters, *map(nbformat.v4.new_code_cell, cells)]
    path = project.notebook("toy/one")
    nbformat.write(made, path)
    return path


ANOTHER = {"display_name": "Another", "language": "python", "name": "another"}


@pytest.fixture
def project(make_toy):
    """A project that knows the kernel "another": Python's, with a variable that tells it apart."""
    made = make_toy("yield dict(latency_us=1.0)")
    folder = made.home / ".local/share/jupyter/kernels/another"
    folder.mkdir(parents=True)
    spec = {
        "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "Another", "language": "python", "env": {"WHICH": "another"},
    }  # fmt: skip
    (folder / "kernel.json").write_text(json.dumps(spec))
    return made


@pytest.mark.parametrize("way", ["alone", "in the server of a run"])
def test_a_notebook_runs_in_its_own_kernel_and_keeps_its_name(project, monkeypatch, way):
    write(project, ANOTHER, SAVE, "import os; print(os.environ.get('WHICH'))")
    if way == "alone":
        executed = notebook.analyse(project, "local", "smoke", "toy/one")
    else:
        with kernel_server.serving(project) as environment:
            monkeypatch.setenv(kernel_server.VARIABLE, environment[kernel_server.VARIABLE])
            assert kernel_server.ask(project, "local", "smoke", "toy/one")
        executed = project.build("local", "smoke") / "notebooks" / "toy_one.ipynb"
    made = nbformat.read(executed, as_version=4)
    assert made.cells[-1].outputs[0].text == "another\n"
    assert made.metadata["kernelspec"] == ANOTHER


def test_stored_outputs_come_from_the_notebooks_own_kernel(project):
    path = write(project, ANOTHER, SAVE, "import os; print(os.environ.get('WHICH'))")
    notebook.store(project, "toy/one")
    stored = nbformat.read(path, as_version=4)
    assert stored.metadata["kernelspec"] == ANOTHER
    assert stored.cells[-1].outputs[0].text == "another\n"


def test_stored_outputs_have_no_warnings(project):
    path = write(project, ANOTHER, SAVE, "import sys; print('beware', file=sys.stderr); print(1)")
    notebook.store(project, "toy/one")
    stored = nbformat.read(path, as_version=4)
    assert [output.text for output in stored.cells[-1].outputs] == ["1\n"]


def test_an_executed_notebook_tells_all_warnings_but_that_of_a_new_machines_font_cache(project):
    said = "import sys; print('beware', file=sys.stderr)"
    cached = f"import sys; print({notebook.FONT_CACHE!r}, end='', file=sys.stderr)"
    write(project, ANOTHER, SAVE, f"{said}\n{cached}", cached)
    made = nbformat.read(notebook.analyse(project, "local", "smoke", "toy/one"), as_version=4)
    assert [output.text for cell in made.cells[-2:] for output in cell.outputs] == ["beware\n"]


@pytest.mark.parametrize("call", [
    lambda project: notebook.existing(project, "toy/one"),
    lambda project: notebook.analyse(project, "local", "smoke", "toy/one"),
    lambda project: notebook.store(project, "toy/one"),
])  # fmt: skip
def test_a_kernel_that_is_not_installed_is_named_before_anything_runs(project, call):
    path = write(project, NOWHERE, "1")
    before = path.read_bytes()
    with pytest.raises(UserError) as refused:
        call(project)
    text = str(refused.value)
    assert text.startswith(
        'analysis/toy_one.ipynb needs the kernel "julia-0.0", which is not installed'
    )
    assert "(there are: another, " in text and "python3); " in text and "\n" not in text
    assert text.endswith("/share/jupyter/kernels") and path.read_bytes() == before


@pytest.mark.parametrize("text", ["{}", "no JSON", "[]", '{"metadata": 3}', '{"metadata": {}}'])
def test_a_notebook_that_names_no_kernel_takes_pythons(tmp_path, text):
    path = tmp_path / "a.ipynb"
    path.write_text(text)
    assert kernels.of(path) == kernels.PYTHON
