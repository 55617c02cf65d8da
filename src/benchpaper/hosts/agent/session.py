"""One conversation of the controller with a target host's agent, as it is served there, in a process of its own.

A trial's session is a `LocalHost` behind a socket, so that a remote host behaves as the local one does. Its end (the
trial is over, its worker died, the connection is cut) kills all that it started, runs the undo notes and keeps the
output until it is fetched.
"""

import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import tempfile
import threading
import time
import traceback
from pathlib import Path

from benchpaper.core import disk_space
from benchpaper.core.capabilities import find_capability
from benchpaper.core.processes import adopt_orphans, kill_descendants, kill_marked, outputs
from benchpaper.core.redact import Redactor
from benchpaper.hosts import CommandFailed, HostError, cleanup, probe
from benchpaper.hosts.agent import disturbances, wire
from benchpaper.hosts.agent.standstill import EVERY_S, Watch
from benchpaper.hosts.local import LocalHost

MARK = "BENCHPAPER_TRIAL"  # in the environment of every process of a trial
POLLRDHUP = 0x2000


class Session:
    """One connection of the controller: messages in, answers out. With `open` it becomes a trial's host."""

    def __init__(self, trials, store, connection):
        self._trials, self._store, self._connection = trials, store, connection
        self._host = self._folder = self._claim = self._trial = None
        self._processes, self._statuses = [], {}
        self._redactor = Redactor(trials)
        self._told = 0
        self._finishing = threading.Lock()
        self._watch_of_trial = None
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

    def _look(self):
        """Notice when what this session started stands still."""
        while True:
            self._watch_of_trial.wait(time.sleep, EVERY_S)

    def _finish(self):
        """End everything this session started, keep its output, tidy up. Does not return."""
        if not self._finishing.acquire(blocking=False):
            while True:
                time.sleep(60)  # the other thread is at it, and ends this process
        try:
            stood_still_s = self._watch_of_trial.seconds if self._watch_of_trial else 0.0
            kill_descendants()
            if self._folder:
                conclude_trial(
                    self._trials, self._trial, self._folder, self._redactor, stood_still_s
                )
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
            return {
                "error": "HostError",
                "text": f"the agent failed: {traceback.format_exc(limit=-3)}",
            }

    def _status(self):
        return {"status": self._statuses.pop(self._told)} if self._told in self._statuses else {}

    # ---- a trial's host ----

    def _do_open(self, trial, name, address, cpus, seconds):
        self._claim = claim(self._trials, trial)
        if self._claim is None:
            raise HostError(f"the trial {trial} is open already")
        self._trial, self._folder = trial, self._trials / trial
        self._folder.mkdir(mode=0o700)
        os.environ[MARK] = trial
        os.chdir(self._folder)
        cleanup.note_shared_memory(self._folder, seconds)
        self._host = LocalHost(name, address, cpus, self._folder, self._on_command)
        self._watch_of_trial = Watch()
        threading.Thread(target=self._look, daemon=True).start()

    def _on_command(self, name, argv):
        self._redactor.learn(
            argv
        )  # a later run, which fetches what they printed, does not know the commands
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
        """The file appears when it is whole: where hosts share a file system, it may be the one that is being sent."""
        incoming, path = wire.Receiver(self._connection), Path(path)
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            with open(part, "wb") as file:
                while data := incoming.read(wire.CHUNK):
                    file.write(data)
            if path.exists():
                shutil.copymode(path, part)
            os.replace(part, path)
        finally:
            with contextlib.suppress(OSError):
                part.unlink()
            incoming.drain()

    def _do_get(self, path):
        with open(path, "rb") as file:
            wire.send(self._connection, {"value": os.fstat(file.fileno()).st_size})
            wire.send_file(self._connection, file)

    def _do_lacks(self, digests):
        return [digest for digest in digests if not (self._store / digest).is_dir()]

    def _do_store(self, digest):
        """Take in a tar stream as the content of that digest."""
        import tarfile

        self._store.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=".part-", dir=self._store))
        incoming = wire.Receiver(self._connection)
        try:
            with tarfile.open(fileobj=incoming, mode="r|") as archive:
                archive.extractall(
                    part, **({"filter": "tar"} if hasattr(tarfile, "tar_filter") else {})
                )
            incoming.drain()
            with contextlib.suppress(OSError):  # another one was quicker
                part.rename(self._store / digest)
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
        return {name: list(find_capability(name).check()) for name in names}

    def _do_disturbances(self):
        return disturbances.so_far()

    def _do_clock(self):
        return time.time()

    def _do_addresses(self):
        return probe.addresses()

    def _do_conclude(self, prefix, seconds):
        return conclude(self._trials, prefix, seconds)


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


def conclude_trial(trials, trial, folder, redactor, stood_still_s=0.0):
    """Take away what a trial has left and keep what it printed, without secrets. Its processes of the
    session are dead; they stood still for so long before."""
    found = ["a process"] * kill_marked(f"{MARK}={trial}")
    kept = {
        "output": redactor.without_secrets(outputs(folder)),
        "shortage": disk_space.shortage(folder),
    }
    kept["stood_still_s"] = stood_still_s
    kept["found"] = found + cleanup.clear(folder)  # first, for the disk may be full
    part = trials / f"{trial}.part"
    part.write_text(json.dumps(kept))
    part.rename(trials / f"{trial}.kept")


def conclude(trials, prefix, seconds):
    """Return {trial: {output, shortage, stood_still_s, found}} of the trials that have ended whose names begin with
    `prefix`, and forget them. Those whose session still tidies up are waited for, `seconds` at most; a session that was killed is stood in
    for. A trial that is still alive then is left out."""
    concluded, end = {}, time.monotonic() + seconds
    names = {path.name.rpartition(".")[0] for path in trials.glob(f"{prefix}*.lock")}
    for trial in sorted(names):
        while (held := claim(trials, trial)) is None and time.monotonic() < end:
            time.sleep(0.002)
        if held is None:
            continue
        if (trials / trial).exists():
            conclude_trial(trials, trial, trials / trial, Redactor(trials / trial))
        for path in (trials / f"{trial}.kept", trials / f"{trial}.part"):
            with contextlib.suppress(FileNotFoundError, ValueError):
                concluded.setdefault(trial, json.loads(path.read_text()))
            path.unlink(missing_ok=True)
        (trials / f"{trial}.lock").unlink(missing_ok=True)
        os.close(held)
    return concluded
