"""The small process that starts programs in guests behaves as `subprocess` does."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from benchpaper.hosts import CommandFailed, HostError
from benchpaper.hosts.guests import native
from benchpaper.hosts.local import LocalHost

pytestmark = pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler here")
ME = """
import os, sys
print([os.getpid() == os.getpgid(0), os.getppid(), os.getcwd()])
print(sorted(os.listdir("/proc/self/fd")))
print(dict(os.environ), sys.argv[1:], os.read(0, 1))
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    made = native.starter(tmp_path_factory.mktemp("guests"))
    if made is None:
        pytest.skip("the C compiler here links no static program")
    return made


@pytest.fixture
def hosts(program, monkeypatch, tmp_path):
    """(a host that starts programs by the small process, one that does not)"""
    plain = LocalHost(folder=tmp_path)
    monkeypatch.setattr(LocalHost, "commands_die_with_us", False)
    monkeypatch.setattr(LocalHost, "starter", program)
    host = LocalHost(folder=tmp_path)
    yield host, plain
    host._starter._process.kill()
    host._starter._process.wait()
    host._starter._socket.close()
    os.close(host._starter._null)


def test_a_program_finds_the_same_circumstances(hosts):
    words = ["", "a b", "ä\udce4".encode(errors="surrogateescape").decode(errors="replace")]
    argv, env = [sys.executable, "-c", ME, *words], {"LONG": "x" * 100_000, "EMPTY": ""}
    one, other = (host.run(argv, env=env) for host in hosts)
    assert one == other and f"[True, {os.getpid()}, " in one.stdout


FAILING = {
    "a program that is not there": (["no-such"], HostError, 'program "no-such" not found'),
    "a path without a program": (["/no/such"], HostError, 'program "/no/such" not found'),
    "a folder": (["/usr"], HostError, "could not start: Permission denied"),
    "a text": (["/etc/passwd"], HostError, "could not start: Permission denied"),
    "a status": (["sh", "-c", "echo no >&2; exit 7"], CommandFailed, "status 7; it said: no"),
    "a signal": (["sh", "-c", "kill -9 $$"], CommandFailed, "ended with signal SIGKILL"),
    "more than the kernel takes": (["true", "x" * (1 << 18)], HostError, "Argument list too long"),
}


@pytest.mark.parametrize("name", FAILING)
def test_failures_read_the_same(hosts, name):
    argv, kind, text = FAILING[name]
    said = []
    for host in hosts:
        with pytest.raises(kind, match=text) as failed:
            host.run(argv)
        said.append(str(failed.value))
    assert said[0] == said[1]
    assert hosts[0].run(["echo", "on"]).stdout == "on\n"


def test_a_starter_that_is_gone_is_said_in_one_line(hosts):
    host, _ = hosts
    host._starter._process.kill()
    host._starter._process.wait()
    for _ in range(2):
        with pytest.raises(HostError, match="true on .* could not start: the process that starts"):
            host.run(["true"])


def children():
    """Return the processes that this one has started: the starter, and other tests' guests."""
    lists = Path("/proc/self/task").glob("*/children")
    return {int(pid) for path in lists for pid in path.read_text().split()}


def test_a_command_that_takes_too_long_is_killed_and_a_process_is_stopped(hosts):
    host, _ = hosts
    before = children()
    with pytest.raises(CommandFailed, match="did not end within"):
        host.run(["sleep", "100"], timeout=0.1)
    with host.start(["sh", "-c", "echo up; exec sleep 100"]) as process:
        assert process.read_line(20) == "up" and process.poll() is None
    assert process.poll() == -15
    with pytest.raises(CommandFailed, match="did not end within"):
        host.start(["sleep", "100"]).wait(0.1)
    assert host.start(["sh", "-c", "exit 3"]).wait(20) == 3
    assert host._starter._process.pid in before and children() <= before


def test_a_program_keeps_no_descriptor_and_leaves_none(hosts):
    host, _ = hosts
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        host.run(["true"])
    there = f"/proc/{host._starter._process.pid}/fd"
    assert len(os.listdir("/proc/self/fd")) == before and sorted(os.listdir(there)) == [
        "0",
        "1",
        "2",
    ]


@pytest.mark.usefixtures("program")
def test_the_program_is_compiled_once_and_not_at_all_without_a_compiler(tmp_path, monkeypatch):
    first = native.starter(tmp_path)
    made = first.stat().st_mtime_ns
    assert native.starter(tmp_path).stat().st_mtime_ns == made
    monkeypatch.setenv("PATH", str(tmp_path))
    assert native.starter(tmp_path) == first and native.starter(tmp_path / "other") is None
    (tmp_path / "cc").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "cc").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    assert native.starter(tmp_path / "other") is None
    assert list(Path(tmp_path / "other").iterdir()) == []
