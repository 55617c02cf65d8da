"""The notebooks themselves run under nbval (`./reproduce test`). Here: that nbval has something to compare, and sees
a change of one reference value."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "analysis").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_has_text_outputs_and_no_images(path):
    outputs = [output for cell in nbformat.read(path, 4).cells if cell.cell_type == "code" for output in cell.outputs]
    assert any(output.output_type == "stream" and output.text.strip() for output in outputs), "run benchpaper store"
    kinds = {kind for output in outputs for kind in output.get("data", {})}
    assert not [kind for kind in kinds if kind.startswith("image/")], "run benchpaper store, which strips images"


def nbval(root):
    """Run nbval on the notebook in a copy of the checkout."""
    env = {**os.environ, "BENCHPAPER_PROJECT": str(root)}
    command = [sys.executable, "-m", "pytest", "--nbval", "-q", "-p", "no:cacheprovider", "analysis/rdma_fabric.ipynb"]
    return subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, timeout=600)


def test_nbval_passes_and_turns_red_when_one_reference_value_changes(tmp_path):
    for name in ("analysis", "artifacts", "experiments"):
        shutil.copytree(ROOT / name, tmp_path / name)
    for name in ("Snakefile", "pyproject.toml"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    assert nbval(tmp_path).returncode == 0
    change_one_value(tmp_path / "artifacts/reference/local/rdma/fabric/observations.parquet")
    red = nbval(tmp_path)
    assert red.returncode == 1 and "failed" in red.stdout


def change_one_value(path):
    """Make one value of one trial 1 % larger."""
    table = pq.read_table(path)
    rows = table.to_pylist()
    rows[len(rows) // 2]["median_us"] *= 1.01
    pq.write_table(type(table).from_pylist(rows, schema=table.schema), path)
