"""One guest with a kernel of its own that sees this checkout, as the target host of a trial."""

import os
import shutil
from contextlib import contextmanager

import pytest
from checkout import ROOT

from benchpaper.core.project import Project
from benchpaper.hosts import guest_kernel
from benchpaper.hosts.fleet import Fleet
from benchpaper.hosts.site import HostEntry, Site

MEMORY_MIB, TRIAL_S = 320, 600.0
# What the tests run in the guest, which sees this machine's programs.
PACKAGES = {
    "dmsetup": "dmsetup",
    "mkfs.ext4": "e2fsprogs",
    "mkfs.xfs": "xfsprogs",
    "mkfs.btrfs": "btrfs-progs",
}
ENTRY = HostEntry(
    name="guest1", kind="uml", address="198.18.0.101", roles=("client",), memory=MEMORY_MIB
)


@contextmanager
def booted():
    """Boot the guest, and yield `trial(folder)`, which returns the host of a new trial."""
    with Fleet(Project(ROOT), Site("guests", (ENTRY,))) as fleet:
        fleet.deploy([])
        yield lambda folder: fleet.links[ENTRY.name].host(
            "client", folder, TRIAL_S, lambda host, argv: lambda status: None
        )


@pytest.fixture(scope="module")
def new_trial():
    """Return `trial(folder)` of a guest, as `booted` does."""
    if why := guest_kernel.lacking() or _missing_packages():
        pytest.skip(f"no guests here: {why}")
    with booted() as trial:
        yield trial


def _missing_packages():
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    missing = [package for name, package in PACKAGES.items() if not shutil.which(name, path=path)]
    return f"install the packages {', '.join(missing)}" if missing else ""


@pytest.fixture
def guest_host(new_trial, tmp_path):
    """A guest in one trial; whatever the trial leaves is undone after it."""
    host = new_trial(tmp_path)
    yield host
    host.close()
