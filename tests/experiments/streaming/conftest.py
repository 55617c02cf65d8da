"""The compiled pipelines, and a site to run them on."""

from types import SimpleNamespace

import pytest
from checkout import ROOT
from pipeline_runs import COUNTS

from benchpaper.hosts.local import LocalHost
from experiments.streaming import maven, pipelines


@pytest.fixture(scope="session")
def programs():
    """The compiled pipelines, shared with this checkout's experiments."""
    folder = ROOT / "build" / "programs" / "streaming" / "boundaries"
    folder.mkdir(parents=True, exist_ok=True)
    pipelines.build(folder)
    if reason := maven.refused():
        pytest.skip(f"needs the jars: {reason}")
    return folder


@pytest.fixture
def site(programs, tmp_path):
    host = LocalHost(folder=tmp_path)
    return SimpleNamespace(
        client=host, server=host, programs=programs, counts=SimpleNamespace(**COUNTS), seed=7
    )
