"""A small project with a real experiment (the cost of a message through a pipe), and fixtures."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import hypothesis
import pytest
import shared
from checkout import ROOT
from machine import MARK, left_on_the_machine, machine, sweep_up_after_killed_suites

from benchpaper.core import lock
from benchpaper.core.project import Project

# The same examples in every run, however long each takes: a suite that is green once is green
# again, on any machine.
hypothesis.settings.register_profile(
    "suite",
    derandomize=True,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("suite")


if (
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN
):  # in a shell's background, where programs would not hear Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)


# Fixtures that take long, or skip a test without root or without the network.
MARKED_FIXTURES = {
    "slow": {"small", "programs"},
    "root": {"small_disk", "small_quota", "lab", "nameless", "elsewhere", "image"},
    "network": {"index", "programs"},
}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark the tests that use one of these fixtures."""
    for item in items:
        for marker, fixtures in MARKED_FIXTURES.items():
            if fixtures & set(getattr(item, "fixturenames", ())):
                item.add_marker(marker)


@pytest.fixture(autouse=True)
def the_environment_is_as_before():
    """Commands that run in this process point libraries to the caches of a project that may go."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="session", autouse=True)
def the_machine_is_as_before(tmp_path_factory):
    """After the whole suite nothing of it is left: the last test fails otherwise."""
    base = tmp_path_factory.getbasetemp()
    sweep_up_after_killed_suites(base)
    os.environ[MARK] = f"{os.getpid()}-{time.time()}"
    os.environ[lock.FOLDER] = str(
        base
    )  # tests neither wait for a measurement on this machine nor keep one waiting
    before = machine(base)
    yield
    assert left_on_the_machine(base, before) == {}


@pytest.fixture
def left_behind(tmp_path_factory):
    """Return `ask()`: what this test has left on the machine up to now, by kind."""
    base = tmp_path_factory.getbasetemp()
    before = machine(base)
    return lambda: left_on_the_machine(base, before, seconds=0)


@pytest.fixture
def small_disk():
    """Return `mount(folder, kib)`: a file system of its own over a folder, which is made."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    mounted = []

    def mount(folder, kib):
        folder.mkdir(exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", folder]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"mount is not allowed here: {done.stderr.strip()}")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        end = time.monotonic() + 30  # until the last that used it has ended
        while (
            done := subprocess.run(["umount", folder], capture_output=True, text=True)
        ).returncode:
            assert time.monotonic() < end, done.stderr
            time.sleep(0.1)


@pytest.fixture
def small_quota(tmp_path):
    """Return `mount(folder, mib)`: create a folder on a file system with a small quota."""
    if os.geteuid() != 0 or not shutil.which("mkfs.btrfs"):
        pytest.skip("a file system with a quota needs root and btrfs-progs")
    mounted = []

    def mount(folder, mib):
        folder.mkdir(exist_ok=True)
        image = tmp_path / "quota.img"
        image.touch()
        os.truncate(image, 128 << 20)
        for command in (
            ["mkfs.btrfs", "-q", image], ["mount", "-o", "loop", image, folder],
            ["btrfs", "quota", "enable", folder],
            ["btrfs", "qgroup", "limit", f"{mib}M", folder],
        ):  # fmt: skip
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                pytest.skip(f"no file system with a quota here: {done.stderr.strip()}")
            if command[0] == "mount":
                mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", folder], check=True)


@contextlib.contextmanager
def apart_from_ours():
    """Let a test import another project's package `experiments`, and restore ours afterwards.

    If ours were imported anew, a process pool would no longer find a test's function by name.
    """

    def modules():
        return {
            name: module
            for name, module in sys.modules.items()
            if name.split(".")[0] == "experiments"
        }

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
from benchpaper.core.capabilities import capability
from benchpaper.design.spec import Experiment, Factor, Metric, Evidence, Scale

@capability("rdma", "an RDMA NIC", "run on a host with one")
def _rdma():
    return False, "no NIC"

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
    """Return `make(files)`: a project in a temporary folder, from {relative path: text}."""

    def make(files):
        root = tmp_path / "project"
        (root / "experiments").mkdir(parents=True)
        for folder in ("analysis", "paper", "sites", "artifacts"):
            (root / folder).mkdir()
        shutil.copyfile(ROOT / "Snakefile", root / "Snakefile")
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
def small(request, tmp_path_factory):
    """A small project (`small_project`), measured at scale smoke, typeset, with a report.

    An author, a host and an origin are planted in it. Do not change it.
    """
    import small_project

    return Project(shared.folder(request, tmp_path_factory, "small", small_project.built))


@pytest.fixture(scope="session")
def small_bundle(small):
    """The archive of the small project."""
    from benchpaper.artifact import bundle

    return bundle.make(small, "local", "smoke")[0]


@pytest.fixture(scope="session")
def small_files(small_bundle):
    """The files in the archive of the small project, {name: bytes}."""
    from benchpaper.artifact.bundle import archive

    return archive.read(small_bundle)[0]


@pytest.fixture(scope="session")
def run_benchpaper():
    """Return `call(project, *words)`: run the command line in a project, as a user does."""

    def call(project, *words, timeout=600, **environment):
        command = [str(Path(sys.executable).with_name("benchpaper")), *map(str, words)]
        env = {**os.environ, "COLUMNS": "200", **environment}
        return subprocess.run(
            command, cwd=project.root, env=env, capture_output=True, text=True, timeout=timeout
        )

    return call
