"""A site of two guests, booted once for the tests that leave them as they were."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from guest import Guests, booted_guests, need
from guest import guests as guests

from benchpaper.core.project import Project
from benchpaper.hosts import guest_kernel
from benchpaper.hosts import site as sites
from benchpaper.hosts.fleet import Fleet
from benchpaper.hosts.lab.namespaces import Lab

NOT_HERE = guest_kernel.lacking()


def make_project(folder):
    (folder / "experiments").mkdir(parents=True)
    (folder / "Snakefile").touch()
    return Project(folder)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project with a lab of two guests; only root's reach this machine."""
    need(NOT_HERE)
    project = make_project(tmp_path_factory.mktemp("guests") / "project")
    lab = Lab(project)
    lab.up(0, guests=2, kept=False)
    yield project
    lab.down()


@pytest.fixture(scope="module")
def booted(project, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trials")
    with booted_guests(project, sites.load(project, "lab"), folder) as guests:
        yield guests


@pytest.fixture
def boot(tmp_path):
    """Return `start(**changes)`: a connected fleet of one guest that needs no lab."""
    need(NOT_HERE)
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
    for started in made:
        started.close_hosts()
        started.fleet.close()
    assert not list(Path(project.state, "connections").glob("*"))


@pytest.fixture(scope="session")
def is_root():
    return os.geteuid() == 0
