"""The kernel's NFS server and client, and gateways, in guests: real systems on real kernels."""

import json
import random
import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest
from busy_machine import tried_again

from benchpaper.core.capabilities import find_capability
from benchpaper.hosts import HostError, guest_kernel, probe
from experiments.multiprotocol import running
from experiments.systems import ganesha, juicefs, rclone, seaweedfs
from experiments.systems.nfs_mount import NfsMount
from experiments.systems.nfsd import VERSIONS, Nfsd

pytestmark = pytest.mark.slow
needs_ganesha = pytest.mark.skipif(
    not shutil.which("ganesha.nfsd"), reason="needs nfs-ganesha and nfs-ganesha-vfs"
)
LEASE_S = 15
CONTENT = random.Random(1).randbytes(300_001)
COPY = """
import json, sys
from experiments.systems.s3 import Endpoint
for text in sys.argv[1:]:
    store = Endpoint.from_dict(json.loads(text)).obstore()
    store.put("k", b"x" * 70000)
    assert bytes(store.get("k").bytes()) == b"x" * 70000
"""


# ---- the kernel's server and client ----


def test_one_kernel_serves_a_folder_that_another_mounts_by_every_version(guests, put, got, shell):
    server, client = guests.host(1), guests.host(2, "client")
    folder = server.scratch()
    put(server, folder / "a", CONTENT)
    with Nfsd(server, folder, lease_s=LEASE_S) as system:
        assert shell(server, "cat /proc/fs/nfsd/nfsv4leasetime") == str(LEASE_S)
        assert set(system.export.paths) == set(VERSIONS)
        for version in VERSIONS:
            with NfsMount(client, system.export, version, options=["actimeo=1"]) as mount:
                assert got(client, mount.path / "a") == CONTENT
                put(client, mount.path / f"b{version}", CONTENT)
                in_force = mount.options()
                assert (in_force["vers"], in_force["acdirmax"]) == (version, "1")
                assert mount.requests()["READ"] > 0
            assert got(server, folder / f"b{version}") == CONTENT
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


def test_an_export_that_ends_with_its_trial_leaves_the_kernel_free(guests, shell, until):
    Nfsd(guests.host(1), guests.host(1).scratch()).__enter__()
    guests.end_trials()
    again = guests.host(1)
    until(lambda: "nfsd" not in shell(again, "cut -d ' ' -f 3 /proc/mounts"))
    with Nfsd(again, again.scratch()):
        pass


@pytest.mark.parametrize("versions", [VERSIONS, ["4.2"]])
def test_a_new_server_waits_for_no_state_of_before(guests, shell, versions):
    """It would refuse locks and delegations meanwhile: the lock manager of version 3 for 50 s."""
    server = guests.host(1)
    with Nfsd(server, server.scratch(), versions=versions):
        has_ended = ("/proc/fs/nfsd/v4_end_grace", "/proc/fs/lockd/nlm_end_grace")
        assert [shell(server, 'cut -c 1 "$0"', path)[0] for path in has_ended] == ["Y", "Y"]


@pytest.mark.parametrize("delegations", [True, False])
def test_a_delegation_is_given_if_allowed_and_recalled_for_a_local_write(
    guests, shell, until, delegations
):
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
    "system, where",
    [
        pytest.param("ganesha", "here", marks=needs_ganesha),
        pytest.param("ganesha", "in a guest", marks=needs_ganesha),
        ("rclone", "here"),
    ],
)
def test_the_kernel_mounts_servers_in_user_space(guests, put, got, system, where, request):
    server = request.getfixturevalue("here") if where == "here" else guests.host(1)
    client, folder = guests.host(2, "client"), server.scratch()
    make = {"ganesha": ganesha.Ganesha, "rclone": rclone.NFS}[system]
    put(server, folder / "a", CONTENT)
    with make(server, folder) as running:
        for version in running.export.paths:
            with NfsMount(client, running.export, version) as mount:
                assert got(client, mount.path / "a") == CONTENT
                assert mount.options()["vers"] == version


# ---- gateways in guests ----


@needs_ganesha
@tried_again(3)  # seven servers on one CPU
def test_several_gateways_run_in_one_guest_at_once_and_serve_the_other(guests, shell):
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
        endpoints = (objects.endpoint, gateway, weed.endpoint)
        words = [json.dumps(endpoint.as_dict()) for endpoint in endpoints]
        client.run([client.python, "-c", COPY, *words])
        for host, path in ((client, mount.path), (server, juice.path), (client, leaf.path)):
            assert shell(host, 'wc -c < "$0"', path / "k") == "70000"


# ---- the experiment, and what machines without guests say ----


@pytest.mark.parametrize(
    "system, setting", [("nfsd kernel", "default"), ("rclone kernel", "strict")]
)
def test_what_is_written_by_s3_shows_through_the_kernels_client_and_back(guests, system, setting):
    site = SimpleNamespace(server=guests.host(1), client=guests.host(2, "client"))
    cell = SimpleNamespace(system=system, setting=setting)
    said, outcome = running.run(site, cell, 300, what="visibility", writes=2, patience_s=60)
    assert outcome == "ran" and [way["way"] for way in said] == ["s3 to file", "file to s3"]
    assert [way["unseen"] for way in said] == [0, 0], said


@pytest.mark.parametrize("kind", ["User-Mode Linux", "emulated (QEMU)"])
@pytest.mark.parametrize("is_guest", [True, False])
def test_the_kernel_of_every_guest_may_serve_and_a_users_own_machine_is_none(
    monkeypatch, kind, is_guest
):
    monkeypatch.setattr(probe, "virtualised", lambda: kind)
    monkeypatch.setattr(guest_kernel, "is_guest", lambda: is_guest)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    present, detail = find_capability("nfsd").check()
    assert not present and (detail == "no rpcbind on PATH") == is_guest
    assert find_capability("own_kernel").check()[0] == is_guest


def test_a_machine_without_guests_names_what_it_lacks_and_the_remedy():
    for name, package in {"nfs_client": "nfs-common", "nfsd": "nfs-kernel-server"}.items():
        capability = find_capability(name)
        present, detail = capability.check()
        assert detail and package in capability.remedy
        assert "benchpaper lab up --guests" in capability.remedy
        assert not present or "mount" in detail
