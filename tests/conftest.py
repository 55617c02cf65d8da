"""A small project with a real experiment: what a message through a pipe costs. It measures, quickly and truly."""

import contextlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import hypothesis
import psutil
import pytest

from benchpaper.project import Project

# The same examples in every run: a suite that is green once is green twice.
hypothesis.settings.register_profile("suite", derandomize=True)
hypothesis.settings.load_profile("suite")

ROOT = Path(__file__).resolve().parents[1]
MARK = "BENCHPAPER_TEST_RUN"  # in the environment of every process that these tests start
SETTLING_S = 5.0


def machine():
    """What the tests could leave on this machine: {kind: what there is now}. Of processes, ports and mounts those of
    this run of the tests alone, for others use the machine too."""
    mark = f"{MARK}={os.environ.get(MARK)}".encode()
    started = [process for process in psutil.process_iter() if _carries(process, mark)]
    listening = [
        connection.laddr for process in [*started, psutil.Process()] for connection in _connections(process)
        if connection.status == psutil.CONN_LISTEN
    ]  # fmt: skip
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    namespaces = Path("/run/netns")
    segments = [line.split()[1] for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]]
    return {
        "processes": {(process.pid, *process.cmdline()) for process in started},
        "listening ports": set(listening),
        "mounts": {point for point in mounts if "pytest-of-" in point},
        "network namespaces": {path.name for path in namespaces.iterdir()} if namespaces.is_dir() else set(),
        "POSIX shared memory": {path.name for path in Path("/dev/shm").iterdir()},
        "System V shared memory": set(segments),
    }


def _carries(process, mark):
    try:
        marked = mark in Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0")
        return marked and process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE
    except (OSError, psutil.NoSuchProcess):
        return False


def _connections(process):
    try:
        return process.net_connections(kind="tcp")
    except psutil.Error:
        return []


def left_on_the_machine(before, seconds=SETTLING_S):
    """Return {kind: what is there now and was not before}, once it stays for `seconds`."""
    end = time.monotonic() + seconds
    while True:
        now = machine()
        left = {kind: now[kind] - before[kind] for kind in now if now[kind] - before[kind]}
        if not left or time.monotonic() > end:
            return left
        time.sleep(0.1)


@pytest.fixture(scope="session", autouse=True)
def the_machine_is_as_before():
    """After the whole suite nothing of it is left: the last test fails otherwise."""
    os.environ[MARK] = f"{os.getpid()}-{time.time()}"
    before = machine()
    yield
    assert left_on_the_machine(before) == {}


@pytest.fixture
def left_behind():
    """Return `ask()`: what this test has left on the machine up to now, by kind."""
    before = machine()
    return lambda: left_on_the_machine(before, seconds=0)


@contextlib.contextmanager
def apart_from_ours():
    """A package `experiments` of another project may be imported within; afterwards ours is what it was before. Were it
    imported anew, a test's function would no longer be the one that its process pool finds under that name."""

    def modules():
        return {name: module for name, module in sys.modules.items() if name.split(".")[0] == "experiments"}

    ours, path = modules(), list(sys.path)
    for name in ours:
        del sys.modules[name]
    try:
        yield
    finally:
        for name in modules():
            del sys.modules[name]
        sys.modules.update(ours)
        sys.path[:] = path


PIPE = '''
"""What does a message through a pipe cost?"""
import os, time
from benchpaper.spec import Experiment, Factor, Metric, Evidence, Scale

experiment = Experiment(
    title="Pipe latency",
    question="What does a message through a pipe cost?",
    factors=[Factor("way", ["pipe", "socket", "nic"]), Factor("size_bytes", [1, 4096], unit="B")],
    metrics=[Metric("latency_us", unit="µs", better="lower", kept="all samples"),
             Metric("bytes_moved", unit="B", better="higher")],
    evidence=[Evidence("used", "what carried the message")],
    twin=dict(way="pipe", size_bytes=1),
    scales=dict(smoke=Scale(blocks=2, trial_seconds=0.01, counts=dict(messages=100)),
                quick=Scale(blocks=5, trial_seconds=0.01, counts=dict(messages=1000)),
                full=Scale(blocks=15, trial_seconds=0.01, counts=dict(messages=1000))),
)

@experiment.needs
def needs(cell):
    return ["rdma"] if cell.way == "nic" else []

@experiment.trial
def trial(cell, site):
    import socket
    if cell.way == "pipe":
        read, write = os.pipe()
    else:
        pair = socket.socketpair(); read, write = pair[0].fileno(), pair[1].fileno()
    site.client.run(["true", f"--way={cell.way}"])
    message, samples = b"x" * cell.size_bytes, []
    for _ in range(site.counts.messages):
        start = time.perf_counter_ns()
        os.write(write, message)
        os.read(read, 4096)
        samples.append((time.perf_counter_ns() - start) / 1000)
    yield dict(latency_us=samples, bytes_moved=float(len(message) * len(samples)), used=cell.way)
'''


@pytest.fixture(scope="session")
def pipe_experiment():
    """The text of the experiment `toy/pipe`."""
    return PIPE


@pytest.fixture(scope="session")
def other_experiments():
    """`apart_from_ours`, for the fixtures of a session."""
    return apart_from_ours


@pytest.fixture
def make_project(tmp_path):
    """Return `make(files)`: a project in a temporary folder with the given {path below it: text}."""

    def make(files):
        root = tmp_path / "project"
        (root / "experiments").mkdir(parents=True)
        for folder in ("analysis", "paper", "sites", "artifacts"):
            (root / folder).mkdir()
        shutil.copyfile(ROOT / "Snakefile", root / "Snakefile")
        shutil.copytree(ROOT / "profiles", root / "profiles")
        (root / "src").symlink_to(ROOT / "src")
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return Project(root)

    with apart_from_ours():
        yield make


@pytest.fixture
def pipe_project(make_project):
    """A project with the one experiment `toy/pipe`."""
    return make_project({"experiments/toy/pipe/experiment.py": PIPE})


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    """A small project (`small_project`), measured at scale smoke, typeset, with a report, in which an author, a host and
    an origin are planted. Leave it as it is."""
    import small_project

    return small_project.built(tmp_path_factory.mktemp("small") / "project")


@pytest.fixture
def run_benchpaper():
    """Return `call(project, *words)`: run the command line in a project, as a user does."""

    def call(project, *words, timeout=120, **environment):
        command = [str(Path(sys.executable).with_name("benchpaper")), *map(str, words)]
        env = {**os.environ, "COLUMNS": "200", **environment}
        return subprocess.run(command, cwd=project.root, env=env, capture_output=True, text=True, timeout=timeout)

    return call
