"""Kills of the file side's server within tries, and views that go on once it is there again.

A client whose server is away waits for it, as NFS mounts do. What it was doing when the server was
killed is done again if it only reads. A change raises then, whatever was answered: nobody can say
whether it came before or after. So whatever counts as acknowledged was so before the kill.
"""

import random
import threading
import time
from collections.abc import Callable
from inspect import isgeneratorfunction
from typing import Any

from experiments.multiprotocol.file_operations import Declined
from experiments.multiprotocol.single_door import InexpressibleError

READS = {"read", "stat", "names", "top", "attribute", "mode", "requests"}


class KilledMeanwhileError(Exception):
    """A change was under way when the server was killed, so that its outcome is not known."""


class Killer:
    """Has the server killed and started again, once in a try, at a random moment of it.

    `ask` does both, and returns when the server answers. How long a try takes is learned from one
    without a kill.
    """

    def __init__(self, ask: Callable[[], None]):
        self._ask, self._up = ask, threading.Event()
        self._up.set()
        self._thread: threading.Thread | None = None
        self._error: Exception | None = None
        self.kills = 0
        self.try_s: float | None = None

    def begin(self, number: int) -> None:
        """Kill at a moment of the try that begins now; its number decides when."""
        delay = random.Random(number).uniform(0, self.try_s or 0)
        self._thread = threading.Thread(target=self._kill, args=(delay,), daemon=True)
        self._thread.start()

    def _kill(self, delay: float) -> None:
        time.sleep(delay)
        self._up.clear()
        self.kills += 1
        try:
            self._ask()
        except Exception as error:
            self._error = error
        finally:
            self._up.set()

    def wait(self) -> None:
        """Wait until the server is there; raise what kept it from starting."""
        self._up.wait()
        if self._error:
            raise self._error

    def end(self) -> None:
        """Wait until this try's kill is over."""
        if self._thread:
            self._thread.join()
        self.wait()


class Enduring:
    """File view whose server may be killed at any time."""

    def __init__(self, view: Any, killer: Killer):
        self._view, self._killer, self._connected = view, killer, killer.kills

    def __getattr__(self, operation: str) -> Any:
        function = getattr(self._view, operation)
        if isgeneratorfunction(function) or operation == "restarted":
            return function

        def run(*arguments: Any, **options: Any) -> Any:
            while True:
                before = self._ready()
                try:
                    result = function(*arguments, **options)
                except (Declined, InexpressibleError):
                    raise
                except Exception:
                    if not self._killed_since(before):
                        raise
                    result = None
                if not self._killed_since(before):
                    return result
                if operation not in READS:
                    raise KilledMeanwhileError(operation)

        return run

    def _ready(self) -> int:
        """Wait for the server, connect to it anew if it was killed, and return the kills so far."""
        while True:
            self._killer.wait()
            kills = self._killer.kills
            if self._connected != kills:
                self._view.restarted()
                self._connected = kills
            if not self._killed_since(kills):
                return kills

    def _killed_since(self, kills: int) -> bool:
        return self._killer.kills != kills
