"""Broken reference results, notebooks that raise, and code that changed."""

import json
import random

import pytest
from toy_runs import SAVING, notebook, refused_in_one_line

from benchpaper import results

pytestmark = pytest.mark.slow


def other_version(path):
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    pq.write_table(
        table.replace_schema_metadata({**table.schema.metadata, b"benchpaper.schema": b"99"}), path
    )


DAMAGES = {
    "empty": (lambda path: path.write_bytes(b""), "cannot be read ("),
    "truncated": (
        lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
        "cannot be read (",
    ),
    "garbage": (
        lambda path: path.write_bytes(random.Random(1).randbytes(4000)),
        "cannot be read (",
    ),
    "other version": (other_version, "has schema version 99, but this program reads 1"),
}


@pytest.mark.parametrize("damage, message", DAMAGES.values(), ids=DAMAGES)
def test_a_broken_reference_file_is_one_line_and_nothing_is_half_built(
    measured, run_benchpaper, damage, message
):
    path = measured.results("local", "reference") / "toy/one" / results.TRIALS
    damage(path)
    before = path.read_bytes()
    done = run_benchpaper(measured, "run", "figures", "--from", "reference")
    refused_in_one_line(
        done, f"results file artifacts/reference/local/toy/one/{results.TRIALS} {message}"
    )
    assert path.read_bytes() == before and not measured.build("local", "reference").exists()


def test_a_notebook_that_raises_is_named_and_its_traceback_kept(measured, run_benchpaper):
    """It raises, for TeX cannot hold the name of a number."""
    (measured.analysis / "toy_one.ipynb").write_text(
        notebook(SAVING.replace('f"latency-{way}"', 'f"latency_{way}"'))
    )
    done = run_benchpaper(measured, "run", "figures", "--from", "reference")
    assert done.returncode == 1 and "Traceback" not in done.stdout + done.stderr
    failed = "build/local-reference/notebooks/toy_one.failed.ipynb"
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
    assert line.startswith(
        "FAILED  analyse toy/one: analysis/toy_one.ipynb, cell 3: ExhibitError: "
        'exhibit name "latency_a" must be lower-case words, digits and single hyphens'
    )
    assert line.endswith(f"the traceback is in {failed}")
    assert "Traceback (most recent call last)" in (measured.root / failed).read_text()
    assert not (measured.build("local", "reference") / "exhibits.tex").exists()


def test_changed_code_is_told_by_doctor_and_summary_and_fails_nothing(measured, run_benchpaper):
    line = (
        "changed since the reference was measured: experiments/toy/one/experiment.py, "
        "experiments/toy/one/new.c"
    )
    assert "changed since" not in run_benchpaper(measured, "doctor").stdout
    source = measured.experiments / "toy/one/experiment.py"
    source.write_text(source.read_text() + "another = 1\n")
    (source.parent / "new.c").write_text("")
    doctor = run_benchpaper(measured, "doctor")
    run = run_benchpaper(measured, "run", "results", "--from", "reference")
    assert (doctor.returncode, run.returncode) == (0, 0)
    assert line in doctor.stdout and line in run.stdout
    changed = ["experiments/toy/one/experiment.py", "experiments/toy/one/new.c"]
    doctor = json.loads(run_benchpaper(measured, "doctor", "--json").stdout)
    assert doctor["experiments"]["toy/one"]["changed_since_reference"] == changed
    run = json.loads(
        run_benchpaper(measured, "run", "results", "--from", "reference", "--json").stdout
    )
    assert run["changed_since_reference"] == {"toy/one": changed} and run["status"] == 0
