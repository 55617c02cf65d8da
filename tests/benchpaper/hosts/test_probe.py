"""What is probed on a host: capabilities and facts."""

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from benchpaper.core.capabilities import find_capability
from benchpaper.core.errors import UserError
from benchpaper.hosts import facts as host_facts
from benchpaper.hosts import probe
from benchpaper.hosts.facts import NAMES, WHERE_PRESENT
from benchpaper.hosts.ssh import answers

# --- probe -----------------------------------------------------------------------------------


def test_every_capability_is_probed_and_has_a_remedy(probed_once):
    assert {"cc", "gpu", "latex", "netns", "root", "shm", "loopback"} <= set(
        probed_once.here.capabilities
    )
    for name, state in probed_once.here.capabilities.items():
        assert isinstance(state.present, bool) and state.detail and "\n" not in state.detail
        assert find_capability(name).remedy and find_capability(name).meaning


def test_what_is_probed_agrees_with_this_machine(probed_once):
    capabilities = probed_once.here.capabilities
    assert capabilities["root"].present == (os.geteuid() == 0)
    assert capabilities["loopback"].present  # or no test of a server could run


def test_a_compiler_that_is_not_there_is_said_to_be_missing(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_capability("cc").check() == (False, "no cc on PATH")
    assert find_capability("latex").check() == (False, "no latexmk on PATH")


@pytest.mark.parametrize(
    "script, detail", [("exit 1", "cc finds no C library headers"), ("", None)]
)
def test_a_compiler_is_tried_not_only_found(monkeypatch, tmp_path, script, detail):
    (tmp_path / "cc").write_text(f"#!/bin/sh\n{script}\n" if script else "not a program")
    (tmp_path / "cc").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    present, seen = find_capability("cc").check()
    assert not present and (seen == detail if detail else seen.startswith("cc does not run: "))


def test_facts_are_stable_and_name_neither_host_nor_user():
    facts = probe.facts()
    assert facts == probe.facts()
    assert set(facts) - set(WHERE_PRESENT) == set(NAMES)
    assert (
        socket.gethostname() not in facts.values()
        and facts["cpus"] >= 1
        and facts["memory_gib"] > 0
    )


H200 = "NVIDIA H200, 143771 MiB, 550.54.15"


@pytest.mark.parametrize(
    "script, gpu",
    [
        (f"echo '{H200}'", "NVIDIA H200, 143771 MiB, driver 550.54.15"),
        (f"echo '{H200}'; echo '{H200}'", "2 x NVIDIA H200, 143771 MiB, driver 550.54.15"),
        ("echo 'NVIDIA-SMI has failed'; exit 9", None),
        ("echo 'No devices were found'", None),
        (None, None),
    ],
)
def test_a_gpu_is_a_fact_where_there_is_one(monkeypatch, tmp_path, script, gpu):
    """A host without one has no such fact, so its earlier results stay valid."""
    if script:
        (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    host_facts._gpus.cache_clear()
    try:
        host = host_facts.facts()
    finally:
        host_facts._gpus.cache_clear()
    assert host.get("gpu") == gpu and ("gpu" in host) == (gpu is not None)
    assert answers.host_facts(host) == host


def test_the_identity_of_a_machine_is_stable_and_names_nothing():
    assert probe.identity() == probe.identity() and len(probe.identity()) == 16
    int(probe.identity(), 16)


def test_an_unknown_capability_is_met_with_the_nearest():
    with pytest.raises(UserError, match='^capability "rot" not found; did you mean "root"?'):
        find_capability("rot")


@pytest.mark.root
@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("ip"),
    reason="making a network interface needs root and ip",
)
@pytest.mark.skipif(
    not any(Path("/sys/class/net").glob("*/device")), reason="without hardware all interfaces count"
)
def test_an_interface_that_comes_and_goes_changes_no_fact():
    """Otherwise a lab brought up during a run would invalidate its trials."""
    name, before = f"bpt{os.getpid()}", probe.facts()
    subprocess.run(
        ["ip", "link", "add", name, "type", "veth", "peer", "name", f"{name}x"], check=True
    )
    try:
        for end in (name, f"{name}x"):
            subprocess.run(["ip", "link", "set", end, "up"], check=True)
        assert probe.facts() == before
    finally:
        subprocess.run(["ip", "link", "delete", name], check=True)
