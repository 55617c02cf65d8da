"""A site of guests, booted once for the tests of systems in guests."""

import os
import shutil
import time
from dataclasses import replace

import pytest
from checkout import ROOT

from benchpaper.core.project import Project
from benchpaper.hosts import guest_kernel
from benchpaper.hosts import site as sites
from benchpaper.hosts.fleet import Fleet
from benchpaper.hosts.lab.namespaces import Lab
from benchpaper.hosts.local import LocalHost

NOT_HERE = guest_kernel.lacking() or (
    "" if shutil.which("rpc.nfsd") else "install nfs-kernel-server"
)
COUNT, MEMORY_MIB = 3, 512


class Guests:
    """A site of guests; `here` is this machine, as they reach it."""

    def __init__(self, folder, fleet, here):
        self._folder, self._fleet, self.here = folder, fleet, here
        self._hosts, self._trials = [], 0

    def host(self, number, role="server"):
        """Return a guest as a trial gets it."""
        self._trials += 1
        scratch = self._folder / f"trial-{self._trials}"
        scratch.mkdir()
        link = self._fleet.links[f"guest{number}"]
        self._hosts.append(link.host(role, scratch, 300.0, lambda host, argv: lambda status: None))
        return self._hosts[-1]

    def end_trials(self):
        for host in self._hosts:
            host.close()
        self._hosts.clear()
        self._fleet.conclude("trial")  # wait until what they left to undo is undone


@pytest.fixture(scope="package")
def booted(tmp_path_factory):
    if NOT_HERE:
        pytest.skip(f"no NFS in guests here: {NOT_HERE}")
    folder = tmp_path_factory.mktemp("nfs")
    project = Project(folder / "project")
    copied = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "experiments", project.root / "experiments", ignore=copied)
    (project.root / "Snakefile").touch()
    lab = Lab(project)
    lab.up(0, guests=COUNT, kept=False)
    try:
        entries = sites.load(project, "lab").hosts
        site = sites.Site("lab", tuple(replace(entry, memory=MEMORY_MIB) for entry in entries))
        here = LocalHost(address=f"{lab.subnet}.1", folder=folder)
        with Fleet(project, site) as fleet:
            fleet.deploy([])
            yield Guests(folder, fleet, here)
    finally:
        lab.down()


@pytest.fixture
def guests(booted):
    yield booted
    booted.end_trials()


@pytest.fixture
def here(guests):
    """This machine as a host that guests reach."""
    if os.geteuid():
        pytest.skip("guests reach this machine only as root")
    return guests.here


@pytest.fixture
def shell():
    """Return `run(host, line, *words)`: what a line of shell prints on a host."""
    return lambda host, line, *words: host.run(["sh", "-c", line, *words]).stdout.strip()


@pytest.fixture
def put(tmp_path):
    """Return `write(host, path, content)`."""

    def write(host, path, content):
        (tmp_path / "content").write_bytes(content)
        host.put(tmp_path / "content", path)

    return write


@pytest.fixture
def got(tmp_path):
    """Return `read(host, path)`."""

    def read(host, path):
        host.get(path, tmp_path / "back")
        return (tmp_path / "back").read_bytes()

    return read


@pytest.fixture
def until():
    """Return `wait(look, seconds)`: how many seconds it took until `look()` was true."""

    def wait(look, seconds=60.0):
        began = time.monotonic()
        while not look():
            assert time.monotonic() - began < seconds
            time.sleep(0.05)
        return time.monotonic() - began

    return wait
