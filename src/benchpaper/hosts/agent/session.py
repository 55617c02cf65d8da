"""One conversation of the controller with the agent, served on a target host in its own process.

A session serves the machine until the request `open` makes it a trial's. It ends when the trial is
over, its worker has died, or the connection is cut.
"""

import os
import select
import shutil
import signal
import socket
import threading
import time
import traceback
from pathlib import Path
from typing import Any, NoReturn

from benchpaper.core.processes import adopt_orphans
from benchpaper.hosts import CommandFailed, HostError
from benchpaper.hosts.agent import wire
from benchpaper.hosts.agent.machine import Machine
from benchpaper.hosts.agent.trial import Trial

POLLRDHUP = 0x2000


class Session:
    """One connection of the controller, with the machine or the trial that it serves."""

    def __init__(self, trials: Path, store: Path, connection: socket.socket):
        self._channel = wire.Channel(connection)
        self._request = 0  # the number of the request that the next answer is to
        self._served = Machine(trials, store, self._channel)
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
        """End what the session serves, then this process."""
        if not self._finishing.acquire(blocking=False):
            while True:
                time.sleep(60)  # the other thread finishes, and ends this process
        try:
            self._served.end()
        finally:
            os._exit(0)

    def _answer(self, message: dict[str, Any]) -> dict[str, Any]:
        operation = message.pop("do")
        try:
            return {"value": self._perform(operation, message)} | self._status()
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

    def _perform(self, operation: str, options: dict[str, Any]) -> Any:
        if operation != "open":
            return self._served.perform(operation, options)
        if isinstance(self._served, Trial):
            raise HostError("this session has opened a trial already")
        self._served = Trial(self._served, self._reply, **options)
        return None

    def _reply(self, value: Any) -> None:
        self._send({"value": value})

    def _status(self) -> dict[str, int]:
        status = self._served.status()
        return {} if status is None else {"status": status}
