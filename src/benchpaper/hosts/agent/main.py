"""The resident agent: runs on a target host, behind one SSH connection, and serves trials there.

It is sent over with the modules it imports, all of the standard library alone, and runs with the host's own Python.
The main process holds the host's lock, listens on a Unix socket that SSH forwards, and forks a process per session
(`hosts.session`). It ends with all sessions when its standard input closes or the controller's heartbeat stays out;
then the kernel frees the lock.
"""

import contextlib
import json
import os
import platform
import select
import shutil
import signal
import socket
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

from benchpaper.core import environment, lock
from benchpaper.core.processes import adopt_orphans, descendants, die_with_parent, kill_descendants
from benchpaper.hosts import probe
from benchpaper.hosts.agent.session import Session

GREETING = "benchpaper-agent "
ENDING_S = 25.0  # what sessions have to undo things, before they are killed


def main(options):
    """Serve until the controller is gone. `options`: the site's `scratch` folder or None; `silence`, the seconds
    without a heartbeat after which the controller counts as gone."""
    try:
        agent = Agent(options)
    except OSError as error:
        _tell({"error": f"{error.strerror}: {error.filename or 'the temporary folder'}"})
        return
    try:
        agent.serve()
    finally:
        agent.end()


def _tell(message):
    sys.stdout.write(GREETING + json.dumps(message) + "\n")
    sys.stdout.flush()


class Agent:
    """The main process."""

    def __init__(self, options):
        adopt_orphans()
        environment.replace(environment.ours())
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: sys.exit(0))
        self.trials = _own_folder(
            Path(options.get("scratch") or tempfile.gettempdir()) / f"benchpaper-{os.geteuid()}"
        )
        cache = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
        self.store = cache / "benchpaper" / "store"
        self._folder = Path(tempfile.mkdtemp(prefix="benchpaper-agent-"))
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self._folder / "socket"))
        self._listener.listen(64)
        self._locks = contextlib.ExitStack()
        self._beat, self._silence = time.monotonic(), options["silence"]
        self._rest = b""

    def serve(self):
        _tell(
            {
                "socket": str(self._folder / "socket"),
                "store": str(self.store),
                "trials": str(self.trials),
                **about(),
            }
        )
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

    def _read_orders(self):
        """Take in what the controller says over standard input. Return False when it is gone."""
        data = os.read(0, 1 << 16)
        self._beat = time.monotonic()
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in filter(None, lines):
            order = json.loads(line)
            if "lock" in order:
                self._lock(order["lock"])
            if "unlock" in order:
                self._locks.close()
                _tell({"unlocked": True})
        return bool(data)

    def _lock(self, what):
        try:
            self._locks.enter_context(lock.held(lock.host_lock(), what))
            _tell({"locked": True})
        except lock.Held as held:
            _tell({"held": str(held)})
        except lock.Unusable as error:
            _tell({"error": str(error)})
        except OSError as error:
            _tell({"error": f"the lock {lock.host_lock()}: {error.strerror}"})

    def _accept(self):
        connection, _ = self._listener.accept()
        main = os.getpid()
        if os.fork():
            connection.close()
            return
        try:
            # Not KILL: should the main process be killed, this one still has to tidy up.
            session = Session(self.trials, self.store, connection)
            die_with_parent(main, signal.SIGTERM)
            self._listener.close()
            os.close(0)
            os.open(os.devnull, os.O_RDONLY)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            session.serve()
        finally:
            os._exit(0)

    def _reap(self):
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass

    def end(self):
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        mine = descendants(os.getpid())
        for pid in mine:
            if _parent(pid) == os.getpid():  # the sessions: they end what is below them
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
        end = time.monotonic() + ENDING_S
        while descendants(os.getpid()) and time.monotonic() < end:
            self._reap()
            time.sleep(0.01)
        kill_descendants()
        shutil.rmtree(self._folder, ignore_errors=True)


def _parent(pid):
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _own_folder(path):
    """Make a private folder, or take the one that is there, which must be this user's own."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.is_symlink() or path.stat().st_uid != os.geteuid():
        raise PermissionError(1, "it belongs to somebody else", str(path))
    return path


def about():
    """Return what the controller has to know of this host: its Python, its C library, its CPUs and what tells machines
    apart."""
    return {
        "python": sys.executable,
        "version": list(sys.version_info[:2]),
        "abi": sysconfig.get_config_var("SOABI") or "",
        "libc": platform.libc_ver()[1],
        "machine": platform.machine(),
        "cpus": sorted(os.sched_getaffinity(0)),
        "boot": Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
        "identity": probe.identity(),
        "temporary": tempfile.gettempdir(),
        "home": os.path.expanduser("~"),
        "hostname": socket.gethostname(),
    }
