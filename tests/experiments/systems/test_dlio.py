"""DLIO as a peer: how it is called, what is read of its summary, and what its absence says."""

import json
import os

import pytest

from benchpaper import HostError
from benchpaper.core.capabilities import find_capability
from benchpaper.hosts.local import LocalHost
from experiments.systems import dlio

SUMMARY = {
    "epochs": 1,
    "metric": {
        "train_au_percentage": [80.0],
        "train_au_mean_percentage": 80.0,
        "train_throughput_mean_samples_per_second": 123.5,
    },
}
WORK = dict(files=40, batch=2, compute_s=0.025, readers=4, prefetch=4, timeout_s=60)
# A program in DLIO's place: it notes its arguments, and may write a summary.
PROGRAM = """#!/bin/sh
echo "$@" > {here}/arguments
for word in "$@"; do case $word in ++workload.output.folder=*) out=${{word#*=}};; esac; done
{then}
"""


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """Return `make(then)`, which puts a program in DLIO's place."""

    def make(then):
        (tmp_path / "bin").mkdir()
        program = tmp_path / "bin" / "dlio_benchmark"
        program.write_text(PROGRAM.format(here=tmp_path, then=then))
        program.chmod(0o755)
        (tmp_path / "bin" / "python").symlink_to(os.sys.executable)
        monkeypatch.setenv("BENCHPAPER_DLIO", str(tmp_path))
        return tmp_path

    return make


def test_dlio_reads_the_files_that_it_is_given(environment, tmp_path):
    place = environment(f"echo '{json.dumps(SUMMARY)}' > $out/summary.json")
    result = dlio.train(LocalHost(folder=tmp_path), "/data/here", **WORK)
    assert result == {"au": 0.8, "samples_per_s": 123.5}
    words = (place / "arguments").read_text().split()
    for name, value in {
        "dataset.data_folder": "/data/here",
        "dataset.num_files_train": 40,
        "dataset.format": "npy",
        "reader.batch_size": 2,
        "reader.read_threads": 4,
        "train.computation_time": 0.025,
        "workflow.generate_data": False,
    }.items():
        assert f"++workload.{name}={value}" in words


def test_a_run_that_reports_nothing_is_an_error(environment, tmp_path):
    environment("echo out of luck")
    with pytest.raises(HostError, match="DLIO reported nothing; it said: out of luck"):
        dlio.train(LocalHost(folder=tmp_path), "/data", **WORK)


@pytest.mark.parametrize("text", ["", "{}", '{"metric": {}}', '{"metric": null}', "[]"])
def test_a_summary_of_another_form_is_refused_in_one_line(text):
    with pytest.raises(ValueError, match=r"another form .*use version 2\.0") as refused:
        dlio.parse(text)
    assert "\n" not in str(refused.value)


def test_its_absence_says_how_to_make_it(monkeypatch, tmp_path):
    for value in (None, str(tmp_path)):
        monkeypatch.delenv("BENCHPAPER_DLIO", raising=False)
        if value:
            monkeypatch.setenv("BENCHPAPER_DLIO", value)
        capability = find_capability("dlio")
        present, detail = capability.check()
        assert not present and "names no such environment" in detail
        assert "BENCHPAPER_DLIO" in capability.remedy and dlio.version() == dlio.NONE
