"""What the agent does for the controller in a trial: the host that the trial sees there.

A trial's session is a `LocalHost` behind a socket, so that a remote host behaves like the local
one. When the session ends, it kills all processes that it started, runs the undo notes, and keeps
the output for the controller.
"""

import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from benchpaper.core.atomic_write import replacing
from benchpaper.core.private import private_file
from benchpaper.core.processes import brand
from benchpaper.core.redact import Redactor
from benchpaper.hosts import HostError, cleanup
from benchpaper.hosts.agent import kept, wire
from benchpaper.hosts.agent.machine import Machine
from benchpaper.hosts.agent.standstill import EVERY_S, Watch
from benchpaper.hosts.local import LocalHost, LocalProcess

Reply = Callable[[Any], None]  # sends a value before the answer itself


class Trial(Machine):
    """An open trial; making the object opens it. It answers requests to the machine too.

    Its open lock file shows that the session lives. Raises `HostError` if the trial is open in
    another session.
    """

    def __init__(
        self,
        machine: Machine,
        reply: Reply,
        trial: str,
        name: str,
        address: str,
        cpus: list[int],
        seconds: float,
    ):
        super().__init__(machine.trials, machine.store, machine.channel)
        self._reply, self._trial = reply, trial
        self._redactor = Redactor(self.trials)
        self._processes: list[tuple[LocalProcess, int]] = []  # each with its command's number
        self._statuses: dict[int, int] = {}  # exit status by command number, until it is sent
        self._command = 0  # the number of the command that the next answer is about
        lock = kept.claim(self.trials, trial)
        if lock is None:
            raise HostError(f"the trial {trial} is open already")
        self._lock, self._folder = lock, self.trials / trial
        self._folder.mkdir(mode=0o700)
        os.environ[cleanup.TRIAL_MARK] = trial
        brand(kept.mark(trial))
        os.chdir(self._folder)
        self._host = LocalHost(name, address, cpus, self._folder, self._on_command)
        cleanup.note_shared_memory(self._folder, seconds)
        self._watch = Watch()
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self) -> NoReturn:
        """Notice when the trial's processes stand still."""
        while True:
            self._watch.wait(time.sleep, EVERY_S)

    def end(self) -> None:
        """End all processes that this session started, keep their output, and tidy up."""
        stood_still_s = self._watch.seconds
        super().end()
        kept.conclude_trial(self.trials, self._trial, self._folder, self._redactor, stood_still_s)

    # ---- commands ----

    def _on_command(self, name: str, argv: list[str]) -> Callable[[int], None]:
        # The run that fetches the output may be a later one, which does not know the commands.
        self._redactor.learn(argv)
        number = self._command = self._command + 1
        return lambda status: self._statuses.__setitem__(number, status)

    def status(self) -> int | None:
        return self._statuses.pop(self._command, None)

    def do_run(
        self, argv: list[str], env: dict[str, str], timeout: float, check: bool
    ) -> list[int | str]:
        done = self._host.run(argv, env=env, timeout=timeout, check=check)
        return [done.returncode, done.stdout, done.stderr]

    def do_start(self, argv: list[str], env: dict[str, str]) -> list[int]:
        self._processes.append((self._host.start(argv, env=env), self._command))
        return [len(self._processes) - 1, self._processes[-1][0].pid]

    def do_process(self, number: int, method: str, options: dict[str, Any]) -> Any:
        process, self._command = self._processes[number]
        return getattr(process, method)(**options)

    # ---- the host ----

    def do_scratch(self) -> str:
        return str(self._host.scratch())

    def do_undo(self, what: str, argv: list[str]) -> None:
        self._host.undo(what, argv)

    def do_free_port(self) -> int:
        return self._host.free_port()

    def do_put(self, path: str) -> None:
        """Replace the file once it is whole: on a shared file system it may be its own source."""
        incoming, target = wire.Receiver(self.channel), Path(path)
        try:
            with replacing(target, durable=False) as part:
                with open(part, "xb", opener=private_file) as file:
                    while data := incoming.read(wire.CHUNK):
                        file.write(data)
                if target.exists():
                    shutil.copymode(target, part)
        except EOFError:
            raise HostError("the file shrank while it was copied") from None
        finally:
            incoming.drain()

    def do_get(self, path: str) -> None:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            self._reply(size)
            wire.send_file(self.channel, file, size)
