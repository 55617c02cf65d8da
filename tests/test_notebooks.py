"""The notebooks run under nbval (`./reproduce test`), which must have outputs to compare.

These tests check that nbval sees a change of one reference value, and that the notebooks also run
on the few results of the smallest scale.
"""

import json
import os
import shutil
import subprocess
import sys

import nbformat
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from checkout import ROOT

from benchpaper.core.project import REFERENCE, Project
from benchpaper.design import catalog
from benchpaper.paper import kernel_server
from benchpaper.results import OBSERVATIONS, TRIALS

pytestmark = pytest.mark.slow

# A new experiment has no reference results before its authors measure them.
STORED = [
    name
    for name in catalog.names(Project(ROOT))
    if (ROOT / "artifacts" / REFERENCE / "local" / name / TRIALS).exists()
]
NOTEBOOKS = [Project(ROOT).notebook(name) for name in STORED]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_has_text_outputs_and_no_images(path):
    outputs = [
        output
        for cell in nbformat.read(path, 4).cells
        if cell.cell_type == "code"
        for output in cell.outputs
    ]
    assert not [output for output in outputs if output.get("name") == "stderr"], (
        "run benchpaper store, which strips warnings"
    )
    assert any(output.output_type == "stream" and output.text.strip() for output in outputs), (
        "run benchpaper store"
    )
    kinds = {kind for output in outputs for kind in output.get("data", {})}
    assert not [kind for kind in kinds if kind.startswith("image/")], (
        "run benchpaper store, which strips images"
    )


def copy_project(root):
    for name in ("analysis", "artifacts", "experiments"):
        shutil.copytree(ROOT / name, root / name)
    for name in ("Snakefile", "pyproject.toml"):
        shutil.copyfile(ROOT / name, root / name)


def nbval(root):
    """Run nbval on the notebook in a copy of the checkout."""
    env = {**os.environ, "BENCHPAPER_PROJECT": str(root)}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--nbval",
        "-q",
        "-p",
        "no:cacheprovider",
        "analysis/rdma_fabric.ipynb",
    ]
    return subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, timeout=600)


def test_nbval_passes_and_turns_red_when_one_reference_value_changes(tmp_path):
    copy_project(tmp_path)
    shutil.copyfile(ROOT / "conftest.py", tmp_path / "conftest.py")
    (tmp_path / ".benchpaper/cache").mkdir(parents=True)  # where conftest.py puts IPython's
    warn_in_first_cell(tmp_path / "analysis/rdma_fabric.ipynb")
    assert nbval(tmp_path).returncode == 0
    change_one_value(tmp_path / "artifacts/reference/local/rdma/fabric/observations.parquet")
    red = nbval(tmp_path)
    assert red.returncode == 1 and "failed" in red.stdout


def test_nbval_skips_a_notebook_without_reference_results(tmp_path):
    copy_project(tmp_path)
    shutil.copyfile(ROOT / "conftest.py", tmp_path / "conftest.py")
    shutil.rmtree(tmp_path / "artifacts/reference/local/rdma/fabric")
    skipped = nbval(tmp_path)
    assert skipped.returncode == 0 and "there are no reference results" in skipped.stdout


def warn_in_first_cell(path):
    """Make a notebook warn, as a library does once on a machine that is new to it."""
    read = nbformat.read(path, 4)
    first = next(cell for cell in read.cells if cell.cell_type == "code")
    first.source += "\nimport sys; print('building a cache', file=sys.stderr)"
    nbformat.write(read, path)


def change_one_value(path):
    """Make one value of one trial 1 % larger."""
    table = pq.read_table(path)
    rows = table.to_pylist()
    rows[len(rows) // 2]["median_us"] *= 1.01
    pq.write_table(type(table).from_pylist(rows, schema=table.schema), path)


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    """A project whose smoke results are the reference's first two blocks of smoke's cells."""
    root = tmp_path_factory.mktemp("smoke")
    copy_project(root)
    ours, project = Project(ROOT), Project(root)
    for name in STORED:
        cells = [cell.id for cell in catalog.load(ours, name).cells("smoke")]
        folder = project.results("local", "smoke") / name
        folder.mkdir(parents=True)
        for kind in (OBSERVATIONS, TRIALS):
            table = pq.read_table(ROOT / "artifacts" / REFERENCE / "local" / name / kind)
            table = table.filter(pc.field("cell").isin(cells) & (pc.field("block") < 2))
            if kind == TRIALS:
                place = table.schema.get_field_index("scale")
                scales = pa.array(["smoke"] * len(table), table.schema.field(place).type)
                table = table.set_column(place, table.schema.field(place), scales)
            pq.write_table(table, folder / kind)
    return project


@pytest.fixture(scope="module")
def server(smoke):
    """The environment that leads to a process with the libraries loaded, as in a run."""
    with kernel_server.serving(smoke) as environment:
        yield environment


@pytest.mark.parametrize("name", STORED)
def test_runs_on_what_the_smallest_scale_measures(smoke, server, name, monkeypatch):
    for variable, value in server.items():
        monkeypatch.setenv(variable, value)
    assert kernel_server.ask(smoke, "local", "smoke", name)


PARTLY = [
    "training_io/iops_rank=fio",
    "streaming/engines=bytewax",
]  # where it is not everything that is missing


def wrong_with_a_gap(project, source, pairs):
    command = [sys.executable, ROOT / "tests" / "with_a_gap.py", project.root, source, *pairs]
    done = subprocess.run(command, capture_output=True, text=True, cwd=project.root)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def test_where_nothing_can_be_measured_notebooks_and_claims_tell_the_gap():
    pairs = [f"{name}=everything" for name in STORED]
    assert wrong_with_a_gap(Project(ROOT), REFERENCE, [*pairs, *PARTLY]) == {}
