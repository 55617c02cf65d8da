"""A guest that ends, hangs, or has no room says why, in one line; its console fills no disk."""

import os
import re
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from benchpaper.core.errors import UserError
from benchpaper.core.processes import descendants
from benchpaper.hosts import CommandFailed, HostLost
from benchpaper.hosts.guests import console, uml, view
from benchpaper.hosts.guests.console import Console, tail

KERNEL = b"linux.uml"
EAT = "x = bytearray()\nwhile True: x += bytes(1 << 20)"
PRINT = "import sys\nwhile True: sys.stdout.write('without end ' * 5000)"


def folder_of(project):
    (folder,) = Path(project.state, "connections").iterdir()
    return folder


@pytest.mark.parametrize("size", [0, 10, console.KEPT_BYTES, 5 * console.KEPT_BYTES + 7])
def test_the_end_of_a_console_is_kept_and_no_more(tmp_path, size):
    kept = Console(tmp_path)
    data = os.urandom(size)
    for start in range(0, size, 1 << 15):
        os.write(kept.writes, data[start : start + (1 << 15)])
        assert kept.take()
    assert not kept.take()
    text = (tmp_path / console.FILE).read_bytes()
    assert len(text) <= 2 * console.KEPT_BYTES and data.endswith(text)
    assert len(text) >= min(size, console.KEPT_BYTES)
    kept.say("a reason")
    assert tail(tmp_path) == "a reason" and [p.name for p in tmp_path.iterdir()] == [console.FILE]
    kept.close()


def test_the_console_of_a_guest_that_never_was_is_empty(tmp_path):
    assert tail(tmp_path) == ""


@pytest.mark.slow
def test_a_boot_that_hangs_is_given_up_with_the_end_of_its_console(boot, monkeypatch):
    hang = ["sh", "-c", "echo Waiting for a disk >&2; exec sleep 1000"]
    monkeypatch.setattr(view, "words", lambda *_: hang)
    for seconds in (1.5, 30):  # a busy machine may not even have begun in the first
        monkeypatch.setattr(uml, "BOOT_S", seconds)
        with pytest.raises(UserError, match=rf"did not boot within {seconds} s") as bad:
            boot()
        if said := re.search(r"; its console ends: .*disk", str(bad.value)):
            break
    assert said and "\n" not in str(bad.value)


@pytest.mark.parametrize(
    "command, how",
    {
        "exit 7": "status 7",
        "kill -ABRT $$": "signal SIGABRT",
        "exit 139": "signal SIGSEGV",  # as the sandbox passes it on
    }.items(),
)
def test_a_kernel_that_ends_at_once_is_said_with_how_it_ended(boot, monkeypatch, command, how):
    monkeypatch.setattr(view, "words", lambda *_: ["sh", "-c", command])
    with pytest.raises(UserError, match=rf"did not boot; .*the process of its kernel .* {how}$"):
        boot()


@pytest.mark.slow
def test_each_end_of_a_guest_is_said_and_what_it_prints_fills_no_disk(boot):
    """One guest, so that this takes one boot after each end."""
    guests = boot(memory=128)  # the less, the sooner it is full
    host, project = guests.host(), guests.project
    with host.start(["sh", "-c", f'exec {host.python} -c "{PRINT}" > /dev/console']):
        end, sizes = time.monotonic() + 60, []
        while len(sizes) < 30 or sizes[-1] < console.KEPT_BYTES:
            sizes.append((folder_of(project) / console.FILE).stat().st_size)
            assert time.monotonic() < end and sizes[-1] <= 3 * console.KEPT_BYTES
            time.sleep(0.05)
    out_of_memory = r"SIGKILL \(the machine ran out of memory: its kernel killed 1 in this trial"
    with pytest.raises(CommandFailed, match=out_of_memory):
        host.run([host.python, "-c", EAT])
    assert host.run(["echo", "on"]).stdout == "on\n"  # the agent was spared
    with pytest.raises(CommandFailed, match=r"signal SIGKILL; it said"):
        guests.host(role="another").run(["sh", "-c", "kill -9 $$"])
    guests.end_trials()
    for reason, kill in ENDS.items():
        with guests.for_one_test():
            host = guests.host()
            host.run(["true"])
            kill(host, guests.fleet.links["guest1"].processes[0])
            for _ in range(2):
                with pytest.raises(HostLost, match=reason) as lost:
                    host.run(["sleep", "100"])
                assert "\n" not in str(lost.value)


@pytest.mark.slow
def test_a_guest_whose_network_has_ended_boots_again_with_a_new_one(boot):
    guests = boot()
    keeper, switch = guests.fleet.spared
    os.kill(switch, signal.SIGKILL)
    os.waitid(os.P_PID, switch, os.WEXITED | os.WNOWAIT)
    with guests.for_one_test():
        guests.host().run(["true"])
    assert not {keeper, switch} & set(guests.fleet.spared)


def kill_agent(host, keeper):
    command = "kill -9 $(cat /proc/$PPID/stat | cut -d' ' -f4); sleep 100"
    with suppress(HostLost):
        host.run(["sh", "-c", command])


def kill_kernel(host, keeper):
    """Kill the guest's kernel, as this machine does when it runs out of memory."""
    mark = f"uml_dir={view.EXCHANGE}".encode()
    for pid in descendants(keeper):
        line = Path(f"/proc/{pid}/cmdline").read_bytes()
        if line.startswith(KERNEL) and mark in line:
            os.kill(pid, signal.SIGKILL)
            break


def kill_keeper(host, keeper):
    os.kill(keeper, signal.SIGKILL)


ENDS = {
    "agent in the guest ended with signal SIGKILL: .* memory": kill_agent,
    "kernel was killed: this machine may be out of memory": kill_kernel,
    "the process that held it ended with signal SIGKILL": kill_keeper,
}
