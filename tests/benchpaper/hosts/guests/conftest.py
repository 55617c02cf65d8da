"""A site of two guests, booted once for the tests that leave them as they were."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from benchpaper.core.project import Project
from benchpaper.hosts import guest_kernel
from benchpaper.hosts import site as sites
from benchpaper.hosts.fleet import Fleet
from benchpaper.hosts.lab.namespaces import Lab

NOT_HERE = guest_kernel.lacking()


class Guests:
    """Two booted guests, and hosts on them."""

    def __init__(self, project, fleet, folder):
        self.project, self.fleet, self._folder = project, fleet, folder
        self._hosts, self._trials = [], 0

    def host(self, number=1, role="server"):
        """Return a host as a trial gets it."""
        self._trials += 1
        scratch = self._folder / f"trial-{self._trials}"
        scratch.mkdir()
        link = self.fleet.links[f"guest{number}"]
        host = link.host(role, scratch, 60.0, lambda host, argv: lambda status: None)
        self._hosts.append(host)
        return host

    def close(self):
        """End the trials."""
        for host in self._hosts:
            host.close()
        self._hosts.clear()


def make_project(folder):
    (folder / "experiments").mkdir(parents=True)
    (folder / "Snakefile").touch()
    return Project(folder)


def need_guests():
    if NOT_HERE:
        pytest.skip(f"no guests here: {NOT_HERE}")


@pytest.fixture(scope="package")
def project(tmp_path_factory):
    """A project with a lab of two guests; only root's reach this machine."""
    need_guests()
    project = make_project(tmp_path_factory.mktemp("guests") / "project")
    lab = Lab(project)
    lab.up(0, guests=2, kept=False)
    yield project
    lab.down()


@pytest.fixture(scope="package")
def booted(project, tmp_path_factory):
    with Fleet(project, sites.load(project, "lab")) as fleet:
        fleet.deploy([])
        yield Guests(project, fleet, tmp_path_factory.mktemp("trials"))


@pytest.fixture
def guests(booted):
    booted.fleet.restore()  # as before every trial: a guest may have died with its test
    yield booted
    booted.close()


@pytest.fixture
def boot(tmp_path):
    """Return `start(**changes)`: a connected fleet of one guest that needs no lab."""
    need_guests()
    made = []
    project = make_project(tmp_path / "project")
    entry = sites.HostEntry(name="guest1", kind="uml", address="198.18.0.101", roles=("server",))

    def start(**changes):
        fleet = Fleet(project, sites.Site("guests", (replace(entry, **changes),)))
        made.append(Guests(project, fleet, tmp_path))
        fleet.__enter__()
        fleet.deploy([])
        return made[-1]

    yield start
    for guests in made:
        guests.close()
        guests.fleet.close()
    assert not list(Path(project.state, "connections").glob("*"))


@pytest.fixture(scope="session")
def is_root():
    return os.geteuid() == 0
