"""The resident agent: runs on a target host, behind one SSH connection, and serves trials there.

It is sent over with the modules it imports, all of the standard library alone, and runs with the host's own Python.
The main process holds the host's lock, listens on a Unix socket that SSH forwards, and forks a process per session.
A session is a `LocalHost` served over the socket, so that a remote host behaves as the local one does.

What ends when: a session's end (its trial is over, its worker died, the connection is cut) kills all that it started,
runs the undo notes and keeps the output until it is fetched. The main process ends with all sessions when its standard
input closes or the controller's heartbeat stays out; then the kernel frees the lock.
"""

import contextlib
import fcntl
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
import threading
import time
import traceback
from pathlib import Path

from benchpaper import disturbances, leftovers, lock, room
from benchpaper.hosts import CommandFailed, HostError, probe, wire
from benchpaper.hosts.local import LocalHost
from benchpaper.hosts.processes import adopt_orphans, descendants, die_with_parent, kill_descendants, outputs

GREETING = "benchpaper-agent "
MARK = "BENCHPAPER_TRIAL"  # in the environment of every process of a trial
ENDING_S = 25.0  # what sessions have to undo things, before they are killed
POLLRDHUP = 0x2000


def main(options):
    """Serve until the controller is gone. `options`: the site's `scratch` folder or None; `silence`, the seconds without a
    heartbeat after which the controller counts as gone."""
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
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: sys.exit(0))
        self.trials = _own_folder(Path(options.get("scratch") or tempfile.gettempdir()) / f"benchpaper-{os.geteuid()}")
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
        _tell({"socket": str(self._folder / "socket"), "store": str(self.store), "trials": str(self.trials), **about()})
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
            session = Session(self, connection)
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
        "python": sys.executable, "version": list(sys.version_info[:2]), "abi": sysconfig.get_config_var("SOABI") or "",
        "libc": platform.libc_ver()[1], "machine": platform.machine(), "cpus": sorted(os.sched_getaffinity(0)),
        "boot": Path("/proc/sys/kernel/random/boot_id").read_text().strip(), "identity": probe.identity(),
        "temporary": tempfile.gettempdir(), "home": os.path.expanduser("~"), "hostname": socket.gethostname(),
    }  # fmt: skip


class Session:
    """One connection of the controller: messages in, answers out. With `open` it becomes a trial's host."""

    def __init__(self, agent, connection):
        self._agent, self._connection = agent, connection
        self._host = self._folder = self._claim = self._trial = None
        self._processes, self._statuses = [], {}
        self._told = 0
        self._finishing = threading.Lock()
        adopt_orphans()
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, lambda *_: None if self._finishing.locked() else self._finish())

    def serve(self):
        """Answer until the other end is gone. The main thread starts the commands, for they die with their thread."""
        threading.Thread(target=self._watch, daemon=True).start()
        try:
            while True:
                message = wire.receive(self._connection)
                wire.send(self._connection, self._answer(message))
        except (wire.Closed, OSError):
            self._finish()

    def _watch(self):
        """While a command runs, nobody reads: notice that the other end is gone."""
        gone = select.poll()
        gone.register(self._connection, POLLRDHUP)
        gone.poll()
        self._finish()

    def _finish(self):
        """End everything this session started, keep its output, tidy up. Does not return."""
        if not self._finishing.acquire(blocking=False):
            while True:
                time.sleep(60)  # the other thread is at it, and ends this process
        try:
            kill_descendants()
            if self._folder:
                conclude_trial(self._agent.trials, self._trial, self._folder)
        finally:
            os._exit(0)

    def _answer(self, message):
        operation = message.pop("do")
        try:
            return {"value": getattr(self, f"_do_{operation}")(**message)} | self._status()
        except CommandFailed as error:
            return {"error": "CommandFailed", "text": str(error)} | self._status()
        except HostError as error:
            return {"error": "HostError", "text": str(error)} | self._status()
        except (wire.Closed, ConnectionError, TimeoutError):
            raise
        except (OSError, shutil.Error) as error:
            name = Path(str(getattr(error, "filename", None) or "")).name
            reason = getattr(error, "strerror", None) or str(error)
            return {"error": "OSError", "text": reason, "name": name}
        except Exception:  # a mistake of the agent itself
            return {"error": "HostError", "text": f"the agent failed: {traceback.format_exc(limit=-3)}"}

    def _status(self):
        return {"status": self._statuses.pop(self._told)} if self._told in self._statuses else {}

    # ---- a trial's host ----

    def _do_open(self, trial, name, address, cpus, seconds):
        self._claim = claim(self._agent.trials, trial)
        if self._claim is None:
            raise HostError(f"the trial {trial} is open already")
        self._trial, self._folder = trial, self._agent.trials / trial
        self._folder.mkdir(mode=0o700)
        os.environ[MARK] = trial
        os.chdir(self._folder)
        leftovers.note_shared_memory(self._folder, seconds)
        self._host = LocalHost(name, address, cpus, self._folder, self._on_command)

    def _on_command(self, name, argv):
        number = self._told = self._told + 1
        return lambda status: self._statuses.__setitem__(number, status)

    def _do_run(self, argv, env, timeout, check):
        done = self._host.run(argv, env=env, timeout=timeout, check=check)
        return [done.returncode, done.stdout, done.stderr]

    def _do_start(self, argv, env):
        self._processes.append((self._host.start(argv, env=env), self._told))
        return [len(self._processes) - 1, self._processes[-1][0].pid]

    def _do_process(self, number, method, options):
        process, self._told = self._processes[number]
        return getattr(process, method)(**options)

    def _do_scratch(self):
        return str(self._host.scratch())

    def _do_undo(self, what, argv):
        self._host.undo(what, argv)

    def _do_free_port(self):
        return self._host.free_port()

    # ---- files ----

    def _do_put(self, path):
        incoming = wire.Receiver(self._connection)
        try:
            with open(path, "wb") as file:
                while part := incoming.read(wire.CHUNK):
                    file.write(part)
        finally:
            incoming.drain()

    def _do_get(self, path):
        with open(path, "rb") as file:
            wire.send(self._connection, {"value": os.fstat(file.fileno()).st_size})
            wire.send_file(self._connection, file)

    def _do_lacks(self, digests):
        return [digest for digest in digests if not (self._agent.store / digest).is_dir()]

    def _do_store(self, digest):
        """Take in a tar stream as the content of that digest."""
        import tarfile

        self._agent.store.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=".part-", dir=self._agent.store))
        incoming = wire.Receiver(self._connection)
        try:
            with tarfile.open(fileobj=incoming, mode="r|") as archive:
                archive.extractall(part, filter="tar") if hasattr(tarfile, "tar_filter") else archive.extractall(part)
            incoming.drain()
            with contextlib.suppress(OSError):  # another one was quicker
                part.rename(self._agent.store / digest)
        except (tarfile.TarError, EOFError) as error:
            raise HostError(f"what was sent did not arrive whole: {error}") from None
        finally:
            incoming.drain()
            shutil.rmtree(part, ignore_errors=True)

    # ---- the machine ----

    def _do_facts(self):
        return probe.facts()

    def _do_probe(self):
        return probe.probe()

    def _do_has(self, names):
        return {name: list(probe.known(name).check()) for name in names}

    def _do_disturbances(self):
        return disturbances.so_far()

    def _do_clock(self):
        return time.time()

    def _do_addresses(self):
        return probe.addresses()

    def _do_conclude(self, prefix, seconds):
        return conclude(self._agent.trials, prefix, seconds)


# ---- trials and what they leave, kept in the host's folder until it is fetched ----


def claim(trials, trial):
    """Hold a trial's lock, which tells that its session lives; return the open file."""
    descriptor = os.open(trials / f"{trial}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def conclude_trial(trials, trial, folder):
    """Take away what a trial has left and keep what it printed. Its processes of the session are dead."""
    found = ["a process"] * leftovers.kill_marked(f"{MARK}={trial}")
    kept = {"output": outputs(folder), "room": room.left(folder)}
    kept["found"] = found + leftovers.clear(folder)  # first, for the disk may be full
    part = trials / f"{trial}.part"
    part.write_text(json.dumps(kept))
    part.rename(trials / f"{trial}.kept")


def conclude(trials, prefix, seconds):
    """Return {trial: {output, room, found}} of the trials that have ended whose names begin with `prefix`, and forget
    them. Those whose session still tidies up are waited for, `seconds` at most; a session that was killed is stood in
    for. A trial that is still alive then is left out."""
    concluded, end = {}, time.monotonic() + seconds
    names = {path.name.rpartition(".")[0] for path in trials.glob(f"{prefix}*.lock")}
    for trial in sorted(names):
        while (held := claim(trials, trial)) is None and time.monotonic() < end:
            time.sleep(0.002)
        if held is None:
            continue
        if (trials / trial).exists():
            conclude_trial(trials, trial, trials / trial)
        for path in (trials / f"{trial}.kept", trials / f"{trial}.part"):
            with contextlib.suppress(FileNotFoundError, ValueError):
                concluded.setdefault(trial, json.loads(path.read_text()))
            path.unlink(missing_ok=True)
        (trials / f"{trial}.lock").unlink(missing_ok=True)
        os.close(held)
    return concluded
