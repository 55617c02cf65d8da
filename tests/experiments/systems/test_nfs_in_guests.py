"""The kernel's NFS server and client, and gateways, in guests: real systems on real kernels."""

import json
import os
import random
import shutil
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
from busy_machine import tried_again
from checkout import ROOT

from benchpaper.core.capabilities import find_capability
from benchpaper.core.project import Project
from benchpaper.hosts import HostError, guest_kernel
from benchpaper.hosts import site as sites
from benchpaper.hosts.fleet import Fleet
from benchpaper.hosts.lab.namespaces import Lab
from benchpaper.hosts.local import LocalHost
from experiments.multiprotocol import running
from experiments.systems import ganesha, juicefs, rclone, seaweedfs
from experiments.systems.nfs_mount import NfsMount
from experiments.systems.nfsd import VERSIONS, Nfsd

NOT_HERE = guest_kernel.lacking() or (
    "" if shutil.which("rpc.nfsd") else "install nfs-kernel-server"
)
IS_ROOT = os.geteuid() == 0
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(NOT_HERE), reason=f"no NFS in guests here: {NOT_HERE}"),
]
needs_root = pytest.mark.skipif(not IS_ROOT, reason="guests reach this machine only as root")
MEMORY_MIB, LEASE_S = 512, 15
CONTENT = random.Random(1).randbytes(300_001)
COPY = """
import json, sys
from experiments.systems.s3 import Endpoint
store = Endpoint.from_dict(json.loads(sys.argv[1])).obstore()
store.put("k", b"x" * 70000)
assert bytes(store.get("k").bytes()) == b"x" * 70000
"""


class Guests:
    """A site of two guests; `here` is this machine, as they reach it."""

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


@pytest.fixture(scope="module")
def booted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nfs")
    project = Project(folder / "project")
    copied = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "experiments", project.root / "experiments", ignore=copied)
    (project.root / "Snakefile").touch()
    lab = Lab(project)
    lab.up(0, guests=2, kept=False)
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


def shell(host, line, *words):
    return host.run(["sh", "-c", line, *words]).stdout.strip()


def put(host, path, content, folder):
    """Make a file with this content on a host."""
    (folder / "content").write_bytes(content)
    host.put(folder / "content", path)


def got(host, path, folder):
    host.get(path, folder / "back")
    return (folder / "back").read_bytes()


def until(look, seconds=60.0):
    """Return how long it took until `look()` is true."""
    began = time.monotonic()
    while not look():
        assert time.monotonic() - began < seconds
        time.sleep(0.05)
    return time.monotonic() - began


# ---- the kernel's server and client ----


def test_one_kernel_serves_a_folder_that_another_mounts_by_every_version(guests, tmp_path):
    server, client = guests.host(1), guests.host(2, "client")
    folder = server.scratch()
    put(server, folder / "a", CONTENT, tmp_path)
    with Nfsd(server, folder, lease_s=LEASE_S) as system:
        assert shell(server, "cat /proc/fs/nfsd/nfsv4leasetime") == str(LEASE_S)
        assert set(system.export.paths) == set(VERSIONS)
        for version in VERSIONS:
            with NfsMount(client, system.export, version, options=["actimeo=1"]) as mount:
                assert got(client, mount.path / "a", tmp_path) == CONTENT
                put(client, mount.path / f"b{version}", CONTENT, tmp_path)
                in_force = mount.options()
                assert (in_force["vers"], in_force["acdirmax"]) == (version, "1")
                assert mount.requests()["READ"] > 0
            assert got(server, folder / f"b{version}", tmp_path) == CONTENT
        with pytest.raises(HostError, match="the kernel of server serves NFS already"):
            Nfsd(server, folder).__enter__()
    for host in (server, client):
        assert "nfs" not in shell(host, "cut -d ' ' -f 3 /proc/mounts")
        assert "rpc.mountd" not in shell(host, "ps ax -o comm")


def test_what_the_kernels_server_and_client_do_not_know_is_refused(guests):
    server = guests.host(1)
    with pytest.raises(ValueError, match="NFS 2 must be one of 3, 4.0, 4.1, 4.2"):
        Nfsd(server, "/tmp", versions=["2"])
    with pytest.raises(ValueError, match="lease_s 5 is not in 10 to 3600"):
        Nfsd(server, "/tmp", lease_s=5)
    with Nfsd(server, server.scratch(), versions=["4.1"]) as system:
        with pytest.raises(ValueError, match='no NFS "3", but 4.1'):
            NfsMount(server, system.export, "3")
        client = guests.host(2, "client")
        with (
            pytest.raises(HostError, match="mount on client ended with status 32"),
            NfsMount(client, replace(system.export, paths={"4.1": "/none"}), "4.1"),
        ):
            pass


def test_an_export_that_ends_with_its_trial_leaves_the_kernel_free(guests):
    Nfsd(guests.host(1), guests.host(1).scratch()).__enter__()
    guests.end_trials()
    again = guests.host(1)
    until(lambda: "nfsd" not in shell(again, "cut -d ' ' -f 3 /proc/mounts"))
    with Nfsd(again, again.scratch()):
        pass


@pytest.mark.parametrize("delegations", [True, False])
def test_a_delegation_is_given_if_allowed_and_recalled_for_a_local_write(guests, delegations):
    server, client = guests.host(1), guests.host(2, "client")
    folder = server.scratch()
    shell(server, 'echo old > "$0"', folder / "a")
    with (
        Nfsd(server, folder, delegations=delegations) as system,
        NfsMount(client, system.export, "4.2") as mount,
    ):

        def held():
            """Open once more: the way back to a new client is there after some milliseconds."""
            shell(client, 'cat "$0"', mount.path / "a")
            return system.delegations() == 1

        if delegations:
            until(held)
        else:
            assert not any(held() for _ in range(5))
        shell(server, 'echo new > "$0"', folder / "a")
        assert shell(client, 'cat "$0"', mount.path / "a") == "new"
        until(lambda: mount.requests()["DELEGRETURN"] == int(delegations))


# ---- the kernel's client, of every server ----


@pytest.mark.parametrize(
    "where", [pytest.param("here", marks=needs_root), "in a guest"], ids=str.split
)
@pytest.mark.parametrize("system", ["ganesha", "rclone"])
def test_the_kernel_mounts_servers_in_user_space(guests, tmp_path, system, where):
    server = guests.here if where == "here" else guests.host(1)
    client, folder = guests.host(2, "client"), server.scratch()
    make = {"ganesha": ganesha.Ganesha, "rclone": rclone.NFS}[system]
    put(server, folder / "a", CONTENT, tmp_path)
    with make(server, folder) as running:
        for version in running.export.paths:
            with NfsMount(client, running.export, version) as mount:
                assert got(client, mount.path / "a", tmp_path) == CONTENT
                assert mount.options()["vers"] == version


# ---- gateways in guests ----


@tried_again(3)  # seven servers on one CPU
def test_several_gateways_run_in_one_guest_at_once_and_serve_the_other(guests, tmp_path):
    server, client = guests.host(1), guests.host(2, "client")
    with (
        rclone.S3(server) as objects,
        ganesha.Ganesha(server, objects.files) as files,
        juicefs.JuiceFS(server) as volume,
        volume.gateway() as gateway,
        volume.mount() as juice,
        seaweedfs.SeaweedFS(server) as weed,
        weed.mount(host=client) as leaf,
        NfsMount(client, files.export, "4.1") as mount,
    ):
        for endpoint in (objects.endpoint, gateway, weed.endpoint):
            client.run([client.python, "-c", COPY, json.dumps(endpoint.as_dict())])
        for host, path in ((client, mount.path), (server, juice.path), (client, leaf.path)):
            assert shell(host, 'wc -c < "$0"', path / "k") == "70000"


# ---- the experiment, and what machines without guests say ----


@tried_again(3)  # the cached attributes may have expired on a busy machine
@pytest.mark.parametrize(
    "system, seen",
    [("nfsd kernel v3", True), ("rclone kernel", True), ("rclone kernel nocto", False)],
)
def test_what_the_kernels_client_sees_of_an_s3_write_depends_on_close_to_open(guests, system, seen):
    site = SimpleNamespace(server=guests.host(1), client=guests.host(2, "client"))
    cell = SimpleNamespace(system=system, setting="default" if "nfsd" in system else "strict")
    said, outcome = running.run(site, cell, 300, what="visibility", writes=2, patience_s=1.0)
    assert outcome == "ran" and [way["way"] for way in said] == ["s3 to file", "file to s3"]
    assert (said[0]["unseen"] == 0) == seen, said


def test_a_machine_without_guests_names_what_it_lacks_and_the_remedy():
    for name, package in {"nfs_client": "nfs-common", "nfsd": "nfs-kernel-server"}.items():
        capability = find_capability(name)
        present, detail = capability.check()
        assert detail and package in capability.remedy
        assert "benchpaper lab up --guests" in capability.remedy
        assert not present or "mount" in detail
