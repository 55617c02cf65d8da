"""Guests with kernels of their own that boot once for several tests, as target hosts of trials."""

import os
import shutil
from contextlib import contextmanager
from random import SystemRandom

import pytest
from checkout import ROOT

from benchpaper.core.project import Project
from benchpaper.hosts import HostLost, guest_kernel
from benchpaper.hosts.fleet import Fleet
from benchpaper.hosts.site import HostEntry, Site

MEMORY_MIB, TRIAL_S = 320, 600.0
# What the tests of disks run in the guest, which sees this machine's programs.
PACKAGES = {
    "dmsetup": "dmsetup",
    "mkfs.ext4": "e2fsprogs",
    "mkfs.xfs": "xfsprogs",
    "mkfs.btrfs": "btrfs-progs",
}
ENTRY = HostEntry(
    name="guest1", kind="uml", address="198.18.0.101", roles=("client",), memory=MEMORY_MIB
)

BOOTED = []  # the guests that outlive a test


def noted(status):
    """Do nothing as a command ends."""


class Guests:
    """The guests of a connected fleet, and hosts on them; `folder` is for their trials."""

    def __init__(self, project, fleet, folder):
        self.project, self.fleet, self._folder = project, fleet, folder
        self._hosts, self._trials = [], 0

    @contextmanager
    def for_one_test(self):
        """Boot guests again that an earlier test has lost; end this test's trials after it."""
        self.fleet.restore()
        try:
            yield self
        finally:
            self.end_trials()

    def host(self, number=1, role="server"):
        """Return a host as a trial gets it, on the guest of that number."""
        self._trials += 1
        scratch = self._folder / f"trial-{self._trials}"
        scratch.mkdir()
        link = list(self.fleet.links.values())[number - 1]
        self._hosts.append(link.host(role, scratch, TRIAL_S, lambda *_: noted))
        return self._hosts[-1]

    def end_trials(self):
        """End the trials, and wait until what they left to undo is undone."""
        self.close_hosts()
        for link in self.fleet.links.values():
            try:
                link.conclude("trial")
            except HostLost as error:
                print(f"{link.name} boots again before the next test: {error}")

    def close_hosts(self):
        for host in self._hosts:
            host.close()
        self._hosts.clear()


def own_loopback():
    """Return an address of this machine's loopback that no other test uses."""
    return f"127.{'.'.join(str(SystemRandom().randint(64, 127)) for _ in range(3))}"


@contextmanager
def booted_guests(project, site, folder):
    """Boot a site's guests, and yield them."""
    with Fleet(project, site) as fleet:
        fleet.deploy([])
        guests = Guests(project, fleet, folder)
        BOOTED.append(guests)
        try:
            yield guests
        finally:
            BOOTED.remove(guests)
            guests.close_hosts()


def need(why, what="guests"):
    """Skip a test if there is a reason why such guests cannot boot here."""
    if why:
        pytest.skip(f"no {what} here: {why}")


@pytest.fixture(scope="module")
def booted(tmp_path_factory):
    """One guest that sees this checkout, for disks with faults; others override this."""
    need(guest_kernel.lacking() or _missing_packages())
    folder = tmp_path_factory.mktemp("trials")
    with booted_guests(Project(ROOT), Site("guests", (ENTRY,)), folder) as guests:
        yield guests


@pytest.fixture
def guests(booted):
    """The guests of `booted`, all of them running as this test begins."""
    with booted.for_one_test():
        yield booted


@pytest.fixture
def guest_host(guests):
    """A guest in one trial; whatever the trial leaves is undone after it."""
    return guests.host(role="client")


def _missing_packages():
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    missing = [package for name, package in PACKAGES.items() if not shutil.which(name, path=path)]
    return f"install the packages {', '.join(missing)}" if missing else ""
