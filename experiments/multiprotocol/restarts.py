"""Restarts of the file side's server, which the probe asks of the program that started it.

The probe prints {"restart": NAME} and waits for a file of that name in a folder of its host.
"""

import itertools
import time
from collections.abc import Callable
from pathlib import Path

from benchpaper import Host
from experiments.multiprotocol.file_operations import Declined

PATIENCE_S = 90.0
POLL_S = 0.02


def asking(answers: str | None, say: Callable[..., None]) -> Callable[[], None]:
    """Return a function that has the server killed and started again.

    It raises `Declined` if there is nobody to ask, or nothing to restart.
    """
    names = (f"restart-{number}" for number in itertools.count(1))

    def restart() -> None:
        if not answers:
            raise Declined("this system has no server of the file side that can be restarted")
        name = next(names)
        say(restart=name)
        end = time.monotonic() + PATIENCE_S
        while not (Path(answers) / name).exists():
            if time.monotonic() > end:
                raise TimeoutError("the server of the file side was not started again")
            time.sleep(POLL_S)

    return restart


def answer(client: Host, answers: str, name: str) -> None:
    """Tell the probe on `client` that it is done."""
    client.run(["touch", f"{answers}/{name}"])
