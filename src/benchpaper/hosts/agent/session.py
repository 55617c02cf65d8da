"""One conversation of the controller with the agent, served on a target host in its own process.

A trial's session is a `LocalHost` behind a socket, so that a remote host behaves like the local
one. The session ends when the trial is over, its worker has died, or the connection is cut. Then it
kills all processes that it started, runs the undo notes, and keeps the output for the controller.
"""

import contextlib
import os
import select
import shutil
import signal
import socket
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from benchpaper.core import temporary
from benchpaper.core.atomic_write import flush, flush_tree
from benchpaper.core.processes import adopt_orphans, brand, kill_descendants
from benchpaper.core.redact import Redactor
from benchpaper.hosts import CommandFailed, HostError, cleanup, facts
from benchpaper.hosts.agent import disturbances, kept, probing, wire
from benchpaper.hosts.agent.standstill import EVERY_S, Watch
from benchpaper.hosts.local import LocalHost, LocalProcess

POLLRDHUP = 0x2000


@dataclass(frozen=True)
class Trial:
    """The trial that a session has opened. Its open lock file shows that the session lives."""

    name: str
    folder: Path
    lock: int
    host: LocalHost
    watch: Watch


class Session:
    """One connection of the controller. The message `open` makes it a trial's host."""

    def __init__(self, trials: Path, store: Path, connection: socket.socket):
        self._trials, self._store, self._channel = trials, store, wire.Channel(connection)
        self._request = 0  # the number of the request that the next answer is to
        self._opened: Trial | None = None
        self._processes: list[tuple[LocalProcess, int]] = []  # each with its command's number
        self._statuses: dict[int, int] = {}  # exit status by command number, until it is sent
        self._command = 0  # the number of the command that the next answer is about
        self._redactor = Redactor(trials)
        self._finishing = threading.Lock()
        adopt_orphans()
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, lambda *_: None if self._finishing.locked() else self._finish())

    def serve(self) -> None:
        """Answer until the other end is gone.

        The main thread starts the commands, because they die with the thread that started them.
        """
        threading.Thread(target=self._watch_connection, daemon=True).start()
        try:
            while True:
                message = wire.receive(self._channel)
                self._request = message.pop("request")
                self._send(self._answer(message))
        except (wire.Closed, wire.Malformed, OSError):
            self._finish()

    def _send(self, answer: dict[str, Any]) -> None:
        try:
            wire.send(self._channel, {**answer, "request": self._request})
        except wire.TooLong as error:
            text = f"the answer has {error}: write long output to a file, and fetch that"
            failed = {"error": "HostError", "text": text, "request": self._request}
            wire.send(self._channel, {**failed, "status": answer.get("status")})

    def _watch_connection(self) -> None:
        """End the session when the other end is gone; while a command runs, no thread reads."""
        gone = select.poll()
        gone.register(self._channel, POLLRDHUP)
        gone.poll()
        self._finish()

    def _finish(self) -> NoReturn:
        """End all processes that this session started, keep their output, and tidy up."""
        if not self._finishing.acquire(blocking=False):
            while True:
                time.sleep(60)  # the other thread finishes, and ends this process
        try:
            trial = self._opened
            stood_still_s = trial.watch.seconds if trial else 0.0
            kill_descendants()
            if trial:
                kept.conclude_trial(
                    self._trials, trial.name, trial.folder, self._redactor, stood_still_s
                )
        finally:
            os._exit(0)

    def _answer(self, message: dict[str, Any]) -> dict[str, Any]:
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
        except Exception:  # a bug of the agent itself
            text = f"the agent failed: {traceback.format_exc(limit=-3)}"
            return {"error": "HostError", "text": text}

    def _status(self) -> dict[str, int]:
        if self._command not in self._statuses:
            return {}
        return {"status": self._statuses.pop(self._command)}

    # ---- a trial's host ----

    def _do_open(self, trial: str, name: str, address: str, cpus: list[int], seconds: float):
        lock = kept.claim(self._trials, trial)
        if lock is None:
            raise HostError(f"the trial {trial} is open already")
        folder = self._trials / trial
        folder.mkdir(mode=0o700)
        host = LocalHost(name, address, cpus, folder, self._on_command)
        self._opened = Trial(trial, folder, lock, host, Watch())
        os.environ[cleanup.TRIAL_MARK] = trial
        brand(kept.mark(trial))
        os.chdir(folder)
        cleanup.note_shared_memory(folder, seconds)
        threading.Thread(target=self._look, args=(self._opened.watch,), daemon=True).start()

    def _look(self, watch: Watch) -> NoReturn:
        """Notice when the trial's processes stand still."""
        while True:
            watch.wait(time.sleep, EVERY_S)

    @property
    def _host(self) -> LocalHost:
        if self._opened is None:
            raise HostError("no trial is open in this session")
        return self._opened.host

    def _on_command(self, name: str, argv: list[str]) -> Callable[[int], None]:
        # The run that fetches the output may be a later one, which does not know the commands.
        self._redactor.learn(argv)
        number = self._command = self._command + 1
        return lambda status: self._statuses.__setitem__(number, status)

    def _do_run(self, argv: list[str], env: dict[str, str], timeout: float, check: bool):
        done = self._host.run(argv, env=env, timeout=timeout, check=check)
        return [done.returncode, done.stdout, done.stderr]

    def _do_start(self, argv: list[str], env: dict[str, str]):
        self._processes.append((self._host.start(argv, env=env), self._command))
        return [len(self._processes) - 1, self._processes[-1][0].pid]

    def _do_process(self, number: int, method: str, options: dict[str, Any]):
        process, self._command = self._processes[number]
        return getattr(process, method)(**options)

    def _do_scratch(self):
        return str(self._host.scratch())

    def _do_undo(self, what: str, argv: list[str]):
        self._host.undo(what, argv)

    def _do_free_port(self):
        return self._host.free_port()

    # ---- files ----

    def _do_put(self, path: str):
        """Replace the file once it is whole: on a shared file system it may be its own source."""
        incoming, target = wire.Receiver(self._channel), Path(path)
        part = None
        try:
            descriptor, part = tempfile.mkstemp(".part", f".{target.name}.", target.parent)
            with open(descriptor, "wb") as file:
                while data := incoming.read(wire.CHUNK):
                    file.write(data)
            if target.exists():
                shutil.copymode(target, part)
            os.replace(part, target)
        except EOFError:
            raise HostError("the file shrank while it was copied") from None
        finally:
            if part is not None:
                Path(part).unlink(missing_ok=True)
            incoming.drain()

    def _do_get(self, path: str):
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            self._send({"value": size})
            wire.send_file(self._channel, file, size)

    def _do_lacks(self, digests: list[str]):
        return [digest for digest in digests if not (self._store / digest).is_dir()]

    def _do_store(self, digest: str):
        """Unpack a tar stream as the content with that digest."""
        self._store.mkdir(parents=True, exist_ok=True)
        incoming = wire.Receiver(self._channel)
        with temporary.folder(temporary.OF_STORE, self._store) as part:
            self._unpack(incoming, part, self._store / digest)

    def _unpack(self, incoming: wire.Receiver, part: Path, target: Path) -> None:
        import tarfile

        # Early releases of Python 3.11 know no filter; what arrives is our own.
        safely: dict[str, Any] = {"filter": "tar"} if hasattr(tarfile, "tar_filter") else {}
        try:
            # tarfile needs no more than `read` of a stream, but its type hints do.
            with tarfile.open(fileobj=incoming, mode="r|") as archive:  # type: ignore[call-overload]
                archive.extractall(part, **safely)
            incoming.drain()
            flush_tree(part)  # later sessions trust whatever has its name
            with contextlib.suppress(OSError):  # another session was quicker
                part.rename(target)
            flush(self._store)
        except (tarfile.TarError, EOFError) as error:
            raise HostError(f"what was sent did not arrive whole: {error}") from None
        finally:
            incoming.drain()

    # ---- the machine ----

    def _do_facts(self):
        return facts.facts()

    def _do_probe(self, python: str, modules: dict[str, str]):
        answers = probing.ask(python, modules)
        capabilities = {
            name: {"present": present, "detail": detail}
            for name, (present, detail) in answers.items()
        }
        return {"facts": facts.facts(), "capabilities": capabilities}

    def _do_has(self, python: str, names: list[str], modules: dict[str, str]):
        return probing.ask(python, {name: modules[name] for name in names})

    def _do_disturbances(self):
        return disturbances.so_far()

    def _do_clock(self):
        return time.time()

    def _do_addresses(self):
        return facts.addresses()

    def _do_conclude(self, prefix: str, seconds: float):
        return kept.conclude(self._trials, prefix, seconds)
