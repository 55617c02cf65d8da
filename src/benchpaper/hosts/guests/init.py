"""The first process of a guest: makes its root, starts the agent, and carries its connections.

The guest has booted from this machine's files, which it cannot change. Over them it lays an overlay
in its memory. The project and its Python are mounted directly on top of that, because an overlay
would not notice that they change. Standard library only, besides the agent.
"""

import ctypes
import glob
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
import traceback
import tty
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from benchpaper.core import temporary
from benchpaper.hosts.guests import channel, modules

EXCHANGE = Path("/run/exchange")  # the folder that this machine shares with the guest
OWN = Path("/run/benchpaper")  # programs of this module, in the guest
STARTER = OWN / "starter"  # starter.c, if this machine could compile it
LOOPBACK = "vec1"
SAID = "benchpaper: "  # begins the line of the console that says why a guest cannot be used
MS_RDONLY, MS_NOSUID, MS_REMOUNT, MS_BIND, MNT_DETACH, PIVOT_ROOT = 1, 2, 32, 4096, 2, 155
POWER_OFF = 0x4321FEDC
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Folders of the system that programs write to, and that this machine does not show.
FOLDERS = {"/tmp": 0o1777, "/run": 0o755, "/root": 0o700, "/mnt": 0o755, "/var/tmp": 0o1777}
FRESH_LINKS = {"/dev/fd": "/proc/self/fd", "/var/run": "/run"}
FUSE, FUSE_NUMBERS = "/dev/fuse", (10, 229)  # the first use of the device loads the module
SILENCE_S = 1e9  # this process lives exactly as long as the controller's
ENDING_POLL_S = 1.0
DEVICE_S = 60.0  # for the serial line of a slow machine
OVERLAY = "/mnt"  # in memory
LAYERS = f"lowerdir=/,upperdir={OVERLAY}/upper,workdir={OVERLAY}/work"
_libc = ctypes.CDLL(None, use_errno=True)


class Failed(Exception):
    """The guest cannot be used; the text says why."""


def mount(source: str, place: Path | str, kind: str, options: str = "", flags: int = 0) -> None:
    words = [os.fsencode(word) for word in (source, place, kind)]
    if _libc.mount(*words, flags, options.encode()):
        number = ctypes.get_errno()
        raise OSError(number, f"{os.strerror(number)}: {kind} at {place}")


def main() -> NoReturn:
    try:
        options = json.loads((EXCHANGE / "options.json").read_text())
        make_root(options)
        join_network(options)
        serve(options["line"], options["loopback"])
    except Failed as error:
        print(f"{SAID}{error}", file=sys.stderr)
    except BaseException:
        traceback.print_exc()  # on the console
    finally:
        sys.stderr.flush()
        os.sync()
        _libc.reboot(POWER_OFF)
    raise SystemExit


# ---- the root ----


def make_root(options: dict[str, Any]) -> None:
    """Put an overlay in memory over the files of this machine, and make it the root.

    Without set-user-id programs: if an ordinary user boots the guest, root's files belong to nobody
    there, so `mount` would stop being root.
    """
    mount("proc", "/proc", "proc")
    mount("tmpfs", OVERLAY, "tmpfs", f"mode=755,size={options['memory_mib']}m")
    for name in ("upper", "work", "root"):
        Path(OVERLAY, name).mkdir()
    modules.load("overlay")
    root = Path(OVERLAY, "root")
    mount("overlay", root, "overlay", LAYERS, MS_NOSUID)
    for place in ("proc", "sys", "dev"):
        (root / place).mkdir(exist_ok=True)
    mount("proc", root / "proc", "proc")
    mount("sysfs", root / "sys", "sysfs")
    mount("devtmpfs", root / "dev", "devtmpfs")
    for place, mode in FOLDERS.items():
        (root / place[1:]).mkdir(exist_ok=True, parents=True)
        mount("tmpfs", root / place[1:], "tmpfs", f"mode={mode:o}")
    for folder in options["shown"]:
        place = root / folder[1:]
        place.mkdir(parents=True, exist_ok=True)
        mount(folder, place, "none", flags=MS_BIND)
        mount("none", place, "none", flags=MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID)
    kind, source, words = options["exchange"]
    shared = root / str(EXCHANGE)[1:]
    shared.mkdir()
    mount(source, shared, kind, words, MS_NOSUID)
    _change_root(root)
    _furnish(options)


def _change_root(root: Path) -> None:
    os.chdir(root)
    if _libc.syscall(PIVOT_ROOT, b".", b"."):
        raise OSError(ctypes.get_errno(), "pivot_root")
    _libc.umount2(b".", MNT_DETACH)
    os.chdir("/")


def _furnish(options: dict[str, Any]) -> None:
    """Make what programs expect, and let the kernel load modules by itself."""
    for place, kind in {"/dev/pts": "devpts", "/dev/shm": "tmpfs"}.items():
        Path(place).mkdir(exist_ok=True)
        mount(kind, place, kind)
    for link, target in FRESH_LINKS.items():
        if not os.path.lexists(link):
            os.symlink(target, link)
    if not os.path.exists(FUSE):  # some kernels have it built in
        os.mknod(FUSE, stat.S_IFCHR | 0o666, os.makedev(*FUSE_NUMBERS))
    socket.sethostname(options["name"])
    os.environ.clear()
    os.environ.update(PATH=PATH, HOME="/root", LANG="C.UTF-8")
    OWN.mkdir()
    _write_program(OWN / "modprobe", f'exec {sys.executable} -I -S {modules.__file__} "$@"')
    Path("/proc/sys/kernel/modprobe").write_text(str(OWN / "modprobe"))
    with suppress(FileNotFoundError):
        shutil.copy(EXCHANGE / STARTER.name, STARTER)
    search = ":".join(options["python_path"])
    _write_program(OWN / "python", f'PYTHONPATH="{search}" exec {options["python"]} "$@"')


def _write_program(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)


def join_network(options: dict[str, Any]) -> None:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True, stdin=subprocess.DEVNULL)
    address, device = f"{options['address']}/{options['prefix']}", options["interface"]
    for words in (["addr", "add", address, "dev", device], ["link", "set", device, "up"]):
        done = subprocess.run(["ip", *words], stdin=subprocess.DEVNULL, capture_output=True)
        if done.returncode:
            said = " ".join(done.stderr.decode(errors="replace").split())
            raise Failed(f"no network: another guest holds its interface, or it is gone ({said})")
    if options["loopback"]:
        _join_loopback(options["address"], **options["loopback"])


def _join_loopback(address: str, here: str, ports: list[int]) -> None:
    """Lead to the loopback of this machine, which passes connections to some ports on."""
    for words in (
        ["link", "set", LOOPBACK, "up"],
        ["route", "add", here, "dev", LOOPBACK, "src", address],
    ):
        subprocess.run(["ip", *words], check=True, stdin=subprocess.DEVNULL)
    # They are for servers, so no connection from here may take one.
    Path("/proc/sys/net/ipv4/ip_local_reserved_ports").write_text(f"{ports[0]}-{ports[1]}")


# ---- the agent ----


def serve(device: str, loopback: dict[str, Any] | None) -> None:
    """Carry connections to the agent until this machine or the agent is gone.

    `device` is the serial line; its name may hold a pattern. Servers listen on the ports of
    `loopback`, if something leads to this machine's.
    """
    number = os.open(_present(device), os.O_RDWR | os.O_NOCTTY)
    if os.isatty(number):
        tty.setraw(number)
    agent = _Agent(loopback["ports"] if loopback else None)
    line = channel.Line(number, EXCHANGE, into_guest=False, connect=_connect)
    line.add(channel.AGENT, agent.stdout, agent.stdin)
    while line.has(channel.AGENT) and not line.ended:
        line.wait()
    if line.has(channel.AGENT):
        return  # this machine is gone
    raise Failed(f"the agent in the guest ended with {agent.ending()}")


def _present(pattern: str) -> str:
    """Return the device; the kernel may still be making it."""
    end = time.monotonic() + DEVICE_S
    while not (devices := glob.glob(pattern)):
        if time.monotonic() > end:
            raise Failed(f"its kernel has made no device {pattern}")
        time.sleep(0.02)
    return devices[0]


class _Agent:
    """The agent, running: its process, and our ends of its standard input and output.

    Reaps every process that has lost its parent, as the first process must.
    """

    def __init__(self, ports: list[int] | None) -> None:
        stdin, self.stdin = os.pipe()
        self.stdout, stdout = os.pipe()
        self._status: int | None = None
        self._pid = os.fork()
        if not self._pid:
            _become_agent(stdin, stdout, ports)
        os.close(stdin)
        os.close(stdout)
        signal.signal(signal.SIGCHLD, self._reap)
        self._reap()

    def _reap(self, *_: object) -> None:
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                if ended[0] == self._pid:
                    self._status = os.waitstatus_to_exitcode(ended[1])

    def ending(self) -> str:
        """Wait until the agent has ended, and return how it did."""
        while self._status is None:
            time.sleep(ENDING_POLL_S)  # `_reap` notes it meanwhile
        if self._status == -signal.SIGKILL:
            return "signal SIGKILL: the guest may be out of memory; give it more in the site file"
        return f"signal {-self._status}" if self._status < 0 else f"status {self._status}"


def _become_agent(stdin: int, stdout: int, ports: list[int] | None) -> NoReturn:
    for mine, place in ((stdin, 0), (stdout, 1)):
        os.dup2(mine, place)
    os.closerange(3, 64)
    os.setsid()
    _spare(True)
    os.register_at_fork(after_in_child=lambda: _spare(False))
    try:
        from benchpaper.hosts.agent import main as agent
        from benchpaper.hosts.local import LocalHost

        # The session kills what it started; if it is itself killed, concluding its trial does.
        LocalHost.commands_die_with_us = False
        LocalHost.starter = STARTER if STARTER.exists() else None
        if ports:
            LocalHost.for_servers = range(ports[0], ports[1] + 1)
        agent.main({"scratch": None, "silence": SILENCE_S})
    except SystemExit:
        pass
    except BaseException:
        traceback.print_exc()  # on the console
        os._exit(1)
    os._exit(0)


def _spare(spared: bool) -> None:
    """Decide whether the kernel kills this process when the guest runs out of memory.

    The agent itself is spared, so that what an experiment has started goes first.
    """
    Path("/proc/self/oom_score_adj").write_text("-1000" if spared else "0")


def _connect() -> int:
    """Return a connection to the agent, whose socket lies in its temporary folder."""
    paths = list(Path("/tmp").glob(f"{temporary.OF_AGENT}*/socket"))
    if not paths:
        raise FileNotFoundError("the agent has no socket")
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(str(paths[0]))
    except OSError:
        connection.close()
        raise
    return connection.detach()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    main()
