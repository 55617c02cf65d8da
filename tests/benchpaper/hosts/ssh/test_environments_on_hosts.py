"""Commands run in an environment on a host behind SSH as they do here; the host looks for it."""

import json
import os
import shutil

import pytest
from lab_faults import measure

from benchpaper import results
from benchpaper.workflow import plans

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="the lab needs root"),
]

DECLARE = """
from benchpaper.design.environments import Conda, Environments
experiment.environments = Environments.of({declared}, experiment.roles)
"""


@pytest.fixture
def tools(lab):
    """The Conda environment "tools" of the lab's hosts."""
    prefix = lab.folder / "mamba/envs/tools"
    (prefix / "conda-meta").mkdir(parents=True)
    about = {"url": "https://conda.anaconda.org/conda-forge/noarch/tells-1-0.conda"}
    (prefix / "conda-meta/tells-1-0.json").write_text(json.dumps(about))
    (prefix / "bin").mkdir()
    (prefix / "bin/tells").write_text("#!/bin/sh\necho $CONDA_DEFAULT_ENV $MORE\n")
    (prefix / "bin/tells").chmod(0o755)
    yield
    shutil.rmtree(lab.folder / "mamba")


@pytest.mark.slow
def test_a_role_on_a_host_runs_in_an_environment_of_its_own(make, tools):
    body = """
        assert site.server.run(["tells"], env=dict(MORE="2")).stdout == "tools 2\\n"
        with site.server.start(["sh", "-c", "tells; exec sleep 300"]) as process:
            assert process.read_line() == "tools"
        assert site.client.run(["sh", "-c", "type tells"], check=False).returncode != 0
        assert site.server.outside.run(["sh", "-c", "type tells"], check=False).returncode != 0
        yield dict(latency_us=1.0)
    """
    run = make(body, more=DECLARE.format(declared="{'server': Conda('tools')}"), levels=("a",))
    entries, _ = measure(run)
    assert entries["a"]["state"] == results.MEASURED, entries["a"]["attempts"]
    assert entries["a"]["commands"][0]["argv"] == ["env", "MORE=2", "tells"]
    assert list(entries["a"]["tools"]) == ["environment of server"]


def test_each_host_that_lacks_an_environment_is_named(make, capsys):
    run = make("yield dict(latency_us=1.0)", more=DECLARE.format(declared="Conda('none')"))
    entries, _ = measure(run)
    assert {entry["state"] for entry in entries.values()} == {results.NOT_TESTABLE}
    plans.show_plans([plans.plan(run, "toy/one")])
    shown = capsys.readouterr().out
    assert "3 cells need conda:none (lab" in shown
    lacking = 'no Conda environment is named "none"'
    assert f"lab1: {lacking}" in shown and f"lab2: {lacking}" in shown
    assert "conda create --name none" in shown
