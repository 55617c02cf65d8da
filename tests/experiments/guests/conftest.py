"""A site of guests, booted once for the tests of systems in guests."""

import os
import shutil
import time
from dataclasses import replace

import pytest
from checkout import ROOT
from guest import booted_guests, need
from guest import guests as guests

from benchpaper.core.project import Project
from benchpaper.hosts import guest_kernel
from benchpaper.hosts import site as sites
from benchpaper.hosts.lab.namespaces import Lab
from benchpaper.hosts.local import LocalHost

NOT_HERE = guest_kernel.lacking() or (
    "" if shutil.which("rpc.nfsd") else "install nfs-kernel-server"
)
COUNT, MEMORY_MIB = 3, 512


@pytest.fixture(scope="module")
def guest_lab(tmp_path_factory):
    """A lab of guests, in a project with this checkout's experiments."""
    need(NOT_HERE, "NFS in guests")
    project = Project(tmp_path_factory.mktemp("nfs") / "project")
    copied = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "experiments", project.root / "experiments", ignore=copied)
    (project.root / "Snakefile").touch()
    made = Lab(project)
    made.up(0, guests=COUNT, kept=False)
    yield made
    made.down()


@pytest.fixture(scope="module")
def booted(guest_lab, tmp_path_factory):
    entries = sites.load(guest_lab.project, "lab").hosts
    site = sites.Site("lab", tuple(replace(entry, memory=MEMORY_MIB) for entry in entries))
    with booted_guests(guest_lab.project, site, tmp_path_factory.mktemp("trials")) as guests:
        yield guests


@pytest.fixture
def here(guest_lab, tmp_path):
    """This machine as a host that guests reach."""
    if os.geteuid():
        pytest.skip("guests reach this machine only as root")
    return LocalHost(address=f"{guest_lab.subnet}.1", folder=tmp_path)


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

    def wait(look, seconds=120.0):
        began = time.monotonic()
        while not look():
            assert time.monotonic() - began < seconds
            time.sleep(0.05)
        return time.monotonic() - began

    return wait
