"""The agent: runs on a target host, behind one SSH connection, and serves trials there.

The controller sends it with the modules that it imports. All of them use the standard library only,
because the host's own Python runs them. The main process holds the host's lock, listens on a Unix
socket that SSH forwards, and forks a process per session (`hosts.agent.session`). It ends, with all
sessions, when its standard input closes or the controller's heartbeat stops. Then the kernel frees
the lock.
"""

import contextlib
import gc
import json
import os
import platform
import select
import signal
import socket
import sys
import sysconfig
import tempfile
import time
from pathlib import Path
from typing import Any, NoReturn

from benchpaper.core import environment, lock, temporary
from benchpaper.core.private import own_folder
from benchpaper.core.processes import adopt_orphans, descendants, die_with_parent, kill_descendants
from benchpaper.core.redact import Redactor
from benchpaper.hosts import facts
from benchpaper.hosts.agent.session import Session

GREETING = "benchpaper-agent "
ENDING_S = 25.0  # for sessions to undo things, before they are killed


def main(options: dict[str, Any]) -> None:
    """Serve until the controller is gone.

    `options` holds `scratch`, the site's folder or None, and `silence`: after so many seconds
    without a heartbeat the controller counts as gone.
    """
    try:
        agent = Agent(options)
    except OSError as error:
        _report({"error": f"{error.strerror}: {error.filename or 'the temporary folder'}"})
        return
    try:
        agent.serve()
    finally:
        agent.end()


def _report(message: dict[str, Any]) -> None:
    sys.stdout.write(GREETING + json.dumps(message) + "\n")
    sys.stdout.flush()


class Agent:
    """The main process; see the module for its life."""

    def __init__(self, options: dict[str, Any]):
        adopt_orphans()
        os.umask(0o077)
        environment.replace(environment.ours())
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: sys.exit(0))
        self.trials = own_folder(
            Path(options.get("scratch") or tempfile.gettempdir()) / f"benchpaper-{os.geteuid()}"
        )
        cache = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
        own_folder(cache / "benchpaper")
        self.store = own_folder(cache / "benchpaper" / "store")
        temporary.sweep(temporary.OF_AGENT)
        temporary.sweep(temporary.OF_STORE, self.store)
        self._ending = contextlib.ExitStack()
        self._folder = self._ending.enter_context(temporary.folder(temporary.OF_AGENT))
        # So that what killed commands leave goes with it.
        os.environ["TMPDIR"] = tempfile.tempdir = str(self._folder)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self._folder / "socket"))
        self._listener.listen(64)
        self._locks = contextlib.ExitStack()
        self._beat, self._silence = time.monotonic(), options["silence"]
        self._rest = b""  # of the orders, without a line end yet

    def serve(self) -> None:
        """Greet the controller, then take its orders and connections."""
        self._prepare_sessions()
        folders = {"store": str(self.store), "trials": str(self.trials)}
        _report({"socket": str(self._folder / "socket"), **folders, **describe_host()})
        ready = select.poll()
        ready.register(0, select.POLLIN)
        ready.register(self._listener, select.POLLIN)
        while time.monotonic() < self._beat + self._silence:
            for descriptor, _ in ready.poll(1000):
                if descriptor == 0:
                    if not self._read_orders():
                        return
                else:
                    self._accept()
            self._reap()

    def _prepare_sessions(self) -> None:
        """Do once what each session would do after its fork, and keep what they share in place."""
        Redactor(self.trials)  # compiles its patterns, which takes a tenth of a second
        gc.collect()
        gc.freeze()  # else a session's garbage collection copies every page that it shares

    def _read_orders(self) -> bool:
        """Carry out the controller's orders from standard input. Return False if it is gone."""
        data = os.read(0, 1 << 16)
        self._beat = time.monotonic()
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in filter(None, lines):
            order = json.loads(line)
            if "lock" in order:
                self._lock(order["lock"])
            if "unlock" in order:
                self._locks.close()
                _report({"unlocked": True})
        return bool(data)

    def _lock(self, what: str) -> None:
        try:
            self._locks.enter_context(lock.held(lock.host_lock(), what))
            _report({"locked": True})
        except lock.Held as error:
            _report({"held": str(error)})
        except lock.Unusable as error:
            _report({"error": str(error)})
        except OSError as error:
            _report({"error": f"the lock {lock.host_lock()}: {error.strerror}"})

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        agent = os.getpid()
        if os.fork():
            connection.close()
        else:
            self._work(connection, agent)

    def _work(self, connection: socket.socket, agent: int) -> NoReturn:
        """Serve one session in this forked process."""
        try:
            session = Session(self.trials, self.store, connection)
            # SIGTERM, not SIGKILL: if the main process is killed, this one still has to tidy up.
            die_with_parent(agent, signal.SIGTERM)
            self._listener.close()
            os.close(0)
            os.open(os.devnull, os.O_RDONLY)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            session.serve()
        finally:
            os._exit(0)

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass

    def end(self) -> None:
        """End the sessions, which undo what they did; kill what does not end in time."""
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        for pid in descendants(os.getpid()):
            if _parent(pid) == os.getpid():  # a session, which ends the processes below it
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
        end = time.monotonic() + ENDING_S
        while descendants(os.getpid()) and time.monotonic() < end:
            self._reap()
            time.sleep(0.01)
        kill_descendants()
        self._ending.close()


def _parent(pid: int) -> int:
    """Return the id of a process's parent; 0 if the process is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def describe_host() -> dict[str, Any]:
    """Return what the controller needs to know about this host, such as its Python and its CPUs."""
    home = os.path.expanduser("~")
    return {
        "python": sys.executable,
        "version": list(sys.version_info[:2]),
        "abi": sysconfig.get_config_var("SOABI") or "",
        "libc": platform.libc_ver()[1],
        "machine": platform.machine(),
        "cpus": sorted(os.sched_getaffinity(0)),
        "boot": Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
        "identity": facts.identity(),
        "temporary": tempfile.gettempdir(),
        "home": home if home.startswith("/") else "/",
        "hostname": socket.gethostname(),
    }
