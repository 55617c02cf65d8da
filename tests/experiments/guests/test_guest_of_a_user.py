"""A guest without an interface here reaches servers on this machine's loopback, through passt."""

import shutil
from types import SimpleNamespace

import pytest
from checkout import ROOT
from guest import booted_guests, need, own_loopback

from benchpaper.core.project import Project
from benchpaper.hosts import guest_kernel
from benchpaper.hosts.guests.loopback import HERE
from benchpaper.hosts.local import LocalHost
from benchpaper.hosts.site import HostEntry, Site
from experiments.multiprotocol import running
from experiments.multiprotocol.way import Way
from experiments.systems import nfs, s3


def test_a_client_finds_servers_at_the_address_that_leads_there():
    client = SimpleNamespace(address_of=lambda address: address)
    export, endpoint = nfs.Export("127.0.0.1", 5, {}), s3.Endpoint("http://127.0.0.1:7", *"bak")
    assert Way(client, HERE).export(export) == nfs.Export(HERE, 5, {})
    assert Way(client, HERE).endpoint(endpoint) == s3.Endpoint(f"http://{HERE}:7", *"bak")
    assert Way(client, "2001:db8::1").endpoint(endpoint).url == "http://[2001:db8::1]:7"


@pytest.mark.slow
def test_its_kernel_sees_what_is_written_here_by_s3_and_back(tmp_path):
    passt = shutil.which(guest_kernel.FORWARDER)
    need(guest_kernel.lacking() or ("" if passt else "install passt"), "way from guests to here")
    entry = HostEntry(
        name="guest1",
        kind="uml",
        address="198.18.0.101",
        loopback=own_loopback(),
        roles=("client",),
        memory=512,
    )
    here = LocalHost("server", folder=tmp_path)
    with booted_guests(Project(ROOT), Site("guests", (entry,)), tmp_path) as guests:
        site = SimpleNamespace(server=here, client=guests.host(role="client"))
        cell = SimpleNamespace(system="rclone kernel", setting="strict")
        said, outcome = running.run(site, cell, 300, what="visibility", writes=2, patience_s=60)
    assert outcome == "ran" and [way["way"] for way in said] == ["s3 to file", "file to s3"]
    assert [way["unseen"] for way in said] == [0, 0], said
