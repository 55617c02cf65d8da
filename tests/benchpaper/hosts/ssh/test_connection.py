"""Trials on hosts over SSH, in the lab: what works."""

import json
import os
import re
import subprocess
import sys
import time
from dataclasses import asdict

import pytest
from lab_faults import measure

from benchpaper import results
from benchpaper.hosts import HostError, HostLost
from benchpaper.hosts.fleet import Fleet
from benchpaper.hosts.site import Site
from benchpaper.hosts.ssh.connection import Unreachable
from benchpaper.hosts.ssh.conversation import Conversation

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="the lab needs root"),
]


# --- what works ------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_trial_runs_on_two_hosts_with_the_project_and_its_packages(make, lab):
    run = make(
        """
        program = (
            "import numpy, benchpaper, experiments.toy.one.experiment as e; "
            "print(numpy.add(1, 1), e.experiment.title)"
        )
        done = site.client.run([site.client.python, "-c", program])
        assert done.stdout == "2 Toy\\n", done.stdout
        hosts = (site.client, site.server)
        namespaces = {host.run(["ip", "netns", "identify"]).stdout for host in hosts}
        addresses = [site.server.address, site.client.address]
        assert len(namespaces) == 2 and len(set(addresses)) == 2
        yield dict(latency_us=1.0)
        """, levels=("a",), more="experiment.packages = ('numpy',)",
    )  # fmt: skip
    entries, _ = measure(run)
    assert entries["a"]["state"] == results.MEASURED, entries["a"]["attempts"]
    assert {name.split(".")[0] for name in entries["a"]["hosts"]} == {"server", "client"}
    text = json.dumps(entries["a"])
    assert str(lab.folder) not in text and "lab1" not in text
    sent = [path.name for path in (lab.folder / "cache/benchpaper/store").glob("*/*")]
    assert "numpy" in sent and "snakemake" not in sent and "pandas" not in sent


LAMP = """
import subprocess
from benchpaper import capability

@capability("lamp", "light", "light the lamp")
def _lamp():
    where = subprocess.run(["ip", "netns", "identify"], capture_output=True, text=True).stdout
    return where.endswith("1\\n"), where.strip()[-1:] or "the controller"
"""


@pytest.mark.slow
def test_the_projects_own_capabilities_are_probed_on_the_hosts(make, lab):
    """Their code is sent there, and a host without a capability is named."""
    run = make(
        "yield dict(latency_us=1.0)", levels=("a",), more="experiment.needs(lambda cell: ['lamp'])",
        files={"experiments/capabilities.py": LAMP},
    )  # fmt: skip
    there = {name: host.capabilities["lamp"].present for name, host in run.probed.hosts.items()}
    assert there == {"lab1": True, "lab2": False}
    assert run.probed.here.capabilities["lamp"].detail == "the controller"
    entries, _ = measure(run)
    assert entries["a"]["reason"] == "needs lamp"
    assert run.capabilities("toy/one")["lamp"].detail == "lab2: 2"
    with run.connected() as fleet:
        assert fleet.has(["lamp"])["lamp"][0] is False


def test_what_is_provided_is_sent_once_and_a_changed_file_again(lab, tmp_path):
    folder = tmp_path / "programs"
    folder.mkdir()
    (folder / "tool").write_text("#!/bin/sh\necho one\n")
    (folder / "tool").chmod(0o755)
    (folder / "also").symlink_to("tool")
    with Fleet(lab.lab.project, Site("lab", (lab.described(1),))) as fleet:
        link = fleet.links["lab1"]
        host = link.host("client", tmp_path / "t", 60, lambda name, argv: lambda status: None)
        there = host.provide(folder)
        assert there != folder and there.name == "programs" and host.provide(folder) == there
        assert host.run([there / "also"]).stdout == "one\n"
        (folder / "tool").write_text("#!/bin/sh\necho two\n")
        assert host.run([host.provide(folder / "tool")]).stdout == "two\n"
        assert (
            host.run([host.provide(folder) / "tool"]).stdout == "two\n"
            and host.run([there / "tool"]).stdout == "one\n"
        )
        host.close()
        link.conclude("t")


def test_one_controller_at_a_time_and_the_other_is_told_who_since_when(lab):
    site = Site("lab", (lab.described(1),))
    with Fleet(lab.lab.project, site) as first, Fleet(lab.lab.project, site) as second:
        waits = []
        with first.measuring("measuring toy/one"):
            held = second.links["lab1"].lock("measuring toy/two")
        assert re.fullmatch(
            r"measuring toy/one, controlled from \S+ has been running since \d{4}-\d\d-\d\d "
            r"\d\d:\d\d:\d\d \(process \d+\); "
            "wait for it, or stop it", held,
        )  # fmt: skip
        with second.measuring("measuring toy/two", waits.append):
            assert not waits


HOLDER = """
import sys, time, yaml
from pathlib import Path
from benchpaper.hosts.ssh import connection
from benchpaper.hosts import HostError, HostLost
from benchpaper.hosts.fleet import Fleet
from benchpaper.hosts.site import HostEntry, Site
from benchpaper.core.processes import PR_SET_CHILD_SUBREAPER
from benchpaper.core.project import Project
connection.SILENCE_S = 100.0  # the host has to notice by itself
project, host = Project(Path(sys.argv[1])), HostEntry(**yaml.safe_load(sys.argv[2]))
with Fleet(project, Site("lab", (host,))) as fleet, fleet.measuring("measuring toy/one"):
    print("held", flush=True)
    time.sleep(100)
"""


@pytest.mark.slow
def test_the_lock_of_a_controller_that_was_killed_is_free_at_once(lab):
    site = Site("lab", (lab.described(1),))
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, lab.lab.project.root, json.dumps(asdict(lab.described(1)))],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout.readline() == "held\n"
        with Fleet(lab.lab.project, site) as fleet:
            waits = []
            assert "measuring toy/one, controlled from" in fleet.links["lab1"].lock("x")
            holder.kill()
            holder.wait()
            begin = time.monotonic()
            with fleet.measuring("measuring toy/two", waits.append):
                assert time.monotonic() - begin < 60
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()


JUMP = """
Host {jump}
    HostName {jump_address}
Host behind
    HostName {address}
    ProxyJump {jump}
Host *
    User root
    UserKnownHostsFile {known}
    GlobalKnownHostsFile none
"""


@pytest.fixture
def agent(lab, tmp_path, monkeypatch):
    """An ssh-agent of the controller's user; `ssh-add` is still to be done."""
    path = tmp_path / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL)
    while not path.exists():
        assert process.poll() is None, "ssh-agent did not start"
        time.sleep(0.01)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
    yield path
    process.terminate()
    process.wait()


def test_a_host_behind_a_jump_host_with_a_key_of_the_agents(lab, tmp_path, agent):
    """The user's configuration names neither key nor port; both hosts use the same agent."""
    addresses = dict(address=lab.lab.address(2), jump_address=lab.lab.address(1))
    (tmp_path / "config").write_text(
        JUMP.format(jump="jump", known=tmp_path / "known", **addresses)
    )
    known = (lab.lab.folder / "known_hosts").read_text()
    (tmp_path / "known").write_text(known)
    site = Site("lab", (lab.described(2, ssh="behind", ssh_config=str(tmp_path / "config")),))

    def fleet():
        return Fleet(lab.lab.project, site)

    with (
        pytest.raises(
            Unreachable,
            match='it did not let you in: see that "ssh -F .* behind" works without a password$',
        ),
        fleet(),
    ):
        pass
    subprocess.run(["ssh-add", "-q", lab.lab.folder / "user_key"], check=True)
    with fleet() as connected:
        link = connected.links["lab2"]
        peers = subprocess.run(
            ["ip", "netns", "exec", lab.lab.namespace(2), "ss", "-tnH"],
            capture_output=True,
            text=True,
        ).stdout
        assert (
            lab.lab.address(1) in peers
            and f"{lab.lab.address(2).rpartition('.')[0]}.1:" not in peers
        )
        assert link.ask("clock")
        host = link.host("client", tmp_path / "t", 60, lambda name, argv: lambda status: None)
        assert host.run(["echo", "through"]).stdout == "through\n"
        host.close()
        link.conclude("t")
    (tmp_path / "known").write_text(
        "".join(line for line in known.splitlines(True) if not line.startswith(lab.lab.address(1)))
    )
    with (
        pytest.raises(Unreachable, match="its host key is not known: connect once by hand"),
        fleet(),
    ):
        pass


def test_a_session_opens_one_trial_and_a_closed_connection_is_a_lost_one(lab):
    opening = dict(name="client", address="192.0.2.1", cpus=[0], seconds=60)
    with Fleet(lab.lab.project, Site("lab", (lab.described(1),))) as fleet:
        link = fleet.links["lab1"]
        session = Conversation(link.connect("client"), "client")
        session.call("open", trial=f"{link.prefix}first", **opening)
        with pytest.raises(HostError, match="has opened a trial already"):
            session.call("open", trial=f"{link.prefix}second", **opening)
        session.close()
        assert [*link.conclude("first")] == [f"{link.prefix}first"]
    link.close()  # once more
    assert not link.alive and link.processes == []
    for use in (lambda: link.connect("client"), lambda: session.call("clock"), link.clock_offset):
        with pytest.raises(HostLost, match=r"is lost( \(the connection is closed\))?$"):
            use()
    with pytest.raises(Unreachable, match="does not answer any more$"):
        link.lock("measuring")
