"""What the tests of the framework share: toy experiments, blocks ready to be measured, and a check that nothing is left running."""

import copy
import ctypes
import os
import textwrap

import psutil
import pytest

from benchpaper import catalog
from benchpaper.hosts import probe
from benchpaper.hosts import site as sites
from benchpaper.plan import make_plan
from benchpaper.trial import Block
from benchpaper.worker import PR_SET_CHILD_SUBREAPER, descendants, kill_descendants

TOY = '''
import ctypes, os, signal, subprocess, sys, time
from pathlib import Path
from benchpaper.spec import Evidence, Experiment, Factor, Metric, Scale

experiment = Experiment(
    title="Toy", question="What does a toy cost?",
    factors=[Factor("way", {levels!r})],
    metrics=[Metric("latency_us", unit="µs", better="lower")],
    evidence=[{evidence}],
    scales={{name: Scale(blocks={blocks}, trial_seconds=0.01) for name in ("smoke", "quick", "full")}},
    attempts={attempts}, timeout_s={timeout_s},
)

{more}

@experiment.trial
def trial(cell, site):
{body}
'''


@pytest.fixture
def make_toy(make_project):
    """Return `make(body, ...)`: a project whose one experiment, toy/one, has `body` as its trial."""

    def make(body, levels=("a",), blocks=1, attempts=1, timeout_s=20.0, evidence="", more="", files=None):
        body = textwrap.indent(textwrap.dedent(body), "    ")
        text = TOY.format(
            body=body, levels=list(levels), blocks=blocks, attempts=attempts, timeout_s=timeout_s,
            evidence=evidence, more=textwrap.dedent(more),
        )  # fmt: skip
        return make_project({"experiments/toy/one/experiment.py": text, **(files or {})})

    return make


@pytest.fixture(scope="session")
def probed_once():
    return probe.probe()


@pytest.fixture
def block_of(probed_once):
    """Return `make(project, ...)`: a `Block` on this machine. `present` adds capabilities to those found here."""

    def make(project, name="toy/one", scale="smoke", number=0, seed=1, present=(), **options):
        probed = copy.deepcopy(probed_once)
        for capability in present:
            probed["capabilities"][capability]["present"] = True
        experiment = catalog.load(project, name)
        plan = make_plan(experiment, scale, seed)
        return Block(project, experiment, plan, number, sites.load(project, "local"), probed, **options)

    return make


@pytest.fixture(autouse=True)
def nothing_left_running():
    """A test that leaves a process behind fails; the process is ended."""
    yield
    left = [psutil.Process(pid).cmdline() for pid in descendants(os.getpid()) if psutil.pid_exists(pid)]
    kill_descendants()
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
    assert not left


@pytest.fixture
def is_running():
    """Return `ask(pid)`: whether a process still runs (one that ended and waits for its parent does not)."""

    def ask(pid):
        try:
            return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    return ask
