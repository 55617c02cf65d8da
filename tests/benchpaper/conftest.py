"""Shared by the framework's tests: toy experiments, blocks to measure, a check for leftovers."""

import ctypes
import os
import textwrap
from dataclasses import asdict, replace
from pathlib import Path

import psutil
import pytest
import yaml
from guest import BOOTED

from benchpaper import results as parquet
from benchpaper.analysis import estimates
from benchpaper.core.processes import PR_SET_CHILD_SUBREAPER, descendants, kill_descendants
from benchpaper.core.project import Project
from benchpaper.design import catalog
from benchpaper.design.plan import make_plan
from benchpaper.hosts import facts, probe
from benchpaper.hosts import site as sites
from benchpaper.hosts.lab.namespaces import Lab, processes
from benchpaper.hosts.probed import ProbedHost, ProbedSite
from benchpaper.hosts.ssh.connection import SshConnecting
from benchpaper.measure.block import Block
from benchpaper.results.records import TrialRecord

LABS = []  # whose connections outlive a test

TOY = """
import ctypes, os, signal, subprocess, sys, time
from pathlib import Path
from benchpaper.design.spec import Evidence, Experiment, Factor, Metric, Scale

experiment = Experiment(
    title="Toy", question="What does a toy cost?",
    factors=[Factor("way", {levels!r})],
    metrics=[Metric("latency_us", unit="µs", better="lower")],
    evidence=[{evidence}],
    scales={{s: Scale(blocks={blocks}, trial_seconds=0.01) for s in ("smoke", "quick", "full")}},
    attempts={attempts}, timeout_s={timeout_s},
)

{more}

@experiment.trial
def trial(cell, site):
{body}
"""


@pytest.fixture
def make_toy(make_project):
    """Return `make(body, ...)`: a project with one experiment, toy/one, whose trial is `body`."""

    def make(
        body, levels=("a",), blocks=1, attempts=1, timeout_s=20.0, evidence="", more="", files=None
    ):
        body = textwrap.indent(textwrap.dedent(body), "    ")
        text = TOY.format(
            body=body, levels=list(levels), blocks=blocks, attempts=attempts, timeout_s=timeout_s,
            evidence=evidence, more=textwrap.dedent(more),
        )  # fmt: skip
        return make_project({"experiments/toy/one/experiment.py": text, **(files or {})})

    return make


@pytest.fixture(scope="session")
def probe_answer():
    """Return what probing this machine gave, once for all tests."""
    return probe.probe()


@pytest.fixture(scope="session")
def probed_once(probe_answer):
    """Return this machine, probed, as a site of its own."""
    return ProbedSite(ProbedHost.of(probe_answer, facts.identity()))


@pytest.fixture
def block_of(probed_once):
    """Return `make(project, ...)`: a `Block` on this machine; `present` adds capabilities."""

    def make(
        project,
        name="toy/one",
        scale="smoke",
        number=0,
        seed=1,
        present=(),
        site="local",
        **options,
    ):
        here = probed_once.here
        there = {name: replace(here.capabilities[name], present=True) for name in present}
        probed = ProbedSite(replace(here, capabilities={**here.capabilities, **there}))
        experiment = catalog.load(project, name)
        plan = make_plan(experiment, scale, seed)
        return Block(
            project, experiment, plan, number, sites.load(project, site), probed, **options
        )

    return make


# Faults of the measured project: one cell always fails, another fails both attempts of the
# first measured block. Their two attempts fail differently, so they are tried in each block.
FAULTS = """
    if cell.way == "socket":
        with open({counter!r} + str(cell.size_bytes), "a+") as file:
            file.write("x")
            tries = file.tell()
        if cell.size_bytes == 4096:
            raise RuntimeError("no socket" if tries % 2 else "no buffer space")
        if tries <= 2:
            raise RuntimeError("too early" if tries % 2 else "not yet")
    import socket
"""


@pytest.fixture(scope="session")
def measured_project(tmp_path_factory, pipe_experiment, probed_once, other_experiments):
    """A project with `toy/pipe` measured at scale quick in 5 blocks. Do not change it."""
    root = tmp_path_factory.mktemp("measured") / "project"
    folder = root / "experiments" / "toy" / "pipe"
    folder.mkdir(parents=True)
    faults = FAULTS.format(counter=str(root / "counter")).rstrip()
    assert pipe_experiment.count("\n    import socket") == 1
    (folder / "experiment.py").write_text(pipe_experiment.replace("\n    import socket", faults))
    project = Project(root)
    with other_experiments():
        experiment = catalog.load(project, "toy/pipe")
        plan = make_plan(experiment, "quick")
        for number in range(len(plan.blocks)):
            Block(
                project, experiment, plan, number, sites.load(project, "local"), probed_once
            ).measure()
    parquet.collect(project.results("local", "quick") / "toy/pipe", len(plan.blocks))
    return project


@pytest.fixture
def measured(measured_project):
    """The `Results` of `measured_project`, a fresh copy."""
    return estimates.load("toy/pipe", measured_project.results("local", "quick"))


KNOWN = """
from benchpaper.design.spec import Experiment, Factor, Metric, Scale

experiment = Experiment(
    title="Known", question="What follows from values that are known?",
    factors=[Factor("way", ["a", "b", "c", "null"]), Factor("size", [1, 2, 4], unit="B")],
    metrics=[Metric("latency_us", unit="µs", better="lower"),
             Metric("rate", unit="1/s", better="higher", optional=True)],
    twin=dict(way="a", size=1),
    scales={name: Scale(blocks=5) for name in ("smoke", "quick", "full")},
)

@experiment.trial
def trial(cell, site):
    yield dict(latency_us=1.0)
"""


class Known:
    """A project with given results: no trial runs, but everything reads real result files."""

    def __init__(self, project):
        self.project = project
        self.described = catalog.load(project, "toy/known").describe()

    def claims(self, text):
        (self.project.analysis / "claims.py").write_text(
            "from benchpaper.analysis.claims import claim\n" + textwrap.dedent(text)
        )

    def write(self, source, values, twin=None, site="local", rate=None, described=None, **changes):
        """Write results.

        `values` maps (way, size) to the latency in each block, None for a failed trial, or
        to "needs x". `twin` holds the twin's values, by default those of the original.
        `rate` maps cells to rates. `changes` sets columns of all trials.
        """
        cells = {
            **values,
            ("a", 1, "twin"): twin if twin is not None else values.get(("a", 1), [1.0] * 5),
        }
        blocks = max(len(v) for v in cells.values() if not isinstance(v, str))
        folder = self.project.results(site, source) / "toy/known"
        for block in range(blocks):
            records = [
                TrialRecord.from_json(
                    self._record(block, n, cell, v, rate or {})
                    | dict(site=site, scale=source)
                    | self._level(described, block)
                    | changes
                )
                for n, (cell, v) in enumerate(cells.items())
            ]
            parquet.write_block(folder, block, records, described or self.described)
        parquet.collect(folder, blocks)
        return self.load(source, site)

    def load(self, source, site="local"):
        return estimates.load("toy/known", self.project.results(site, source))

    @staticmethod
    def _level(described, block):
        """Return the level of a block, if it was declared that blocks have levels."""
        levels = (described or {}).get("block", {}).get("levels")
        return {"block_level": levels[block]} if levels else {}

    @staticmethod
    def _record(block, position, cell, values, rate):
        way, size, *twin = cell
        needs = isinstance(values, str)
        value = None if needs else values[block]
        state = (
            parquet.NOT_TESTABLE if needs else parquet.FAILED if value is None else parquet.MEASURED
        )
        rates = rate.get(cell)
        observation = {"latency_us": value, "rate": rates[block] if rates else None}
        return {
            "block": block, "position": position,
            "cell": f"way={way} size={size}{' twin' if twin else ''}",
            "twin": bool(twin), "way": way, "size": size, "experiment": "toy/known", "seed": 1,
            "state": state,
            "reason": values if needs else "it broke" if value is None else "", "attempts": [],
            "started": 1_700_000_000.0 + 100 * block + position, "seconds": 1.0, "overhead_s": 0.0,
            "paused_s": 0.0,
            "suspended_s": 0.0, "steal_s": 0.0, "load_1m": 0.5, "commands": [],
            "code_digest": "c" * 64,
            "plan_digest": "p" * 64, "git_commit": "abc", "git_clean": True, "tools": {"cc": "12"},
            "hosts": {"client.cpu": "Quick 3000", "client.cpus": "2", "client.kernel": "6.1",
                "client.memory_gib": "8"},
            "capabilities": ["cc"],
            "observations": [observation] if state == parquet.MEASURED else [],
        }  # fmt: skip


@pytest.fixture
def known(make_project):
    """A `Known` project: the experiment toy/known, with results as given."""
    return Known(make_project({"experiments/toy/known/experiment.py": KNOWN}))


@pytest.fixture(autouse=True)
def nothing_left_running():
    """Fail a test that leaves a process behind, and kill the process.

    The servers of fixtures with a wider scope are spared.
    """
    before = descendants(os.getpid())
    yield
    kept = [pid for lab in LABS for link in lab.kept.values() for pid in link.processes] + before
    kept += [pid for guests in BOOTED for pid in guests.fleet.spared]  # some may be new
    left = [
        line for pid in descendants(os.getpid(), kept) if (line := _command_line(pid))
    ]  # empty once it has ended
    kill_descendants(kept)
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
    assert not left


@pytest.fixture
def is_running():
    """Return `ask(pid)`: True if the process is alive; zombies count as dead."""

    def ask(pid):
        try:
            return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    return ask


def _command_line(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""  # it ended meanwhile


class LabOfTests:
    """A lab of two hosts. Its hosts put temporary and deployed files below `folder`."""

    def __init__(self, folder):
        self.folder = folder
        for name in ("project", "temporary", "cache"):
            (folder / name).mkdir()
        self.environment = {
            "TMPDIR": str(folder / "temporary"),
            "XDG_CACHE_HOME": str(folder / "cache"),
            "MAMBA_ROOT_PREFIX": str(folder / "mamba"),
        }
        self.lab = Lab(Project(folder / "project"))
        self.lab.up(2, environment=self.environment, kept=False)
        self.kept = {}

    def described(self, number=1, **changes):
        """Return the entry of a host for a site file, with some keys changed."""
        host = sites.load(self.lab.project, "lab").hosts[number - 1]
        return replace(host, **{"ssh_config": str(self.lab.folder / "ssh_config"), **changes})

    def site(self, project, *hosts):
        """Write these hosts (default: both) as the site "lab" of a project."""
        hosts = hosts or (self.described(1), self.described(2))
        entries = [
            {
                key: list(value) if isinstance(value, tuple) else value
                for key, value in asdict(host).items()
                if value not in (None, ())
            }
            for host in hosts
        ]
        (project.root / "sites" / "lab.yaml").write_text(yaml.safe_dump({"hosts": entries}))

    def kept_link(self, number):
        """Return a connection that lasts for all tests. For those that do it no harm."""
        if number not in self.kept:
            connecting = SshConnecting(self.lab.project, "lab", self.described(number))
            self.kept[number] = connecting.complete()
        return self.kept[number]

    def processes(self, number):
        """Return the command lines that run on a host, except its SSH server."""
        lines = [_command_line(pid) for pid in processes(self.lab.namespace(number))]
        return [line for line in lines if line and not line.startswith(b"sshd")]

    def servers(self, number):
        """Return the ids of the SSH server's processes on a host."""
        return [
            pid
            for pid in processes(self.lab.namespace(number))
            if _command_line(pid).startswith(b"sshd")
        ]


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    """A `LabOfTests` for all tests; a test that changes a host restores it."""
    if os.geteuid() != 0:
        pytest.skip("the lab needs root")
    made = LabOfTests(tmp_path_factory.mktemp("lab"))
    LABS.append(made)
    yield made
    LABS.remove(made)
    for link in made.kept.values():
        link.close()
    made.lab.down()
