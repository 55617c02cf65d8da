"""Asks a server on its own host whether it answers.

The controller may be unable to: an ordinary user's guests reach only each other, and hosts over SSH
may measure on a network of their own.
"""

import importlib
import json
import sys
import time
from collections.abc import Callable
from typing import Any

from benchpaper import Host

PATIENCE_S, POLL_S = 5.0, 0.1


def ask(host: Host, check: Callable[..., object], *arguments: Any) -> None:
    """Call `check(*arguments)` on a host; raise what it raises, or `CommandFailed` with its words.

    `check` is a function of a module of this project, and its arguments can be JSON. On another
    host it gets `PATIENCE_S`, because starting Python there takes far longer than a check.
    Servers in a container are on the network of its host, which asks.
    """
    host = getattr(host, "outside", host)
    if host.python == sys.executable:  # the same machine
        check(*arguments)
        return
    words = [check.__module__, check.__name__, json.dumps(arguments)]
    host.run([host.python, "-m", __name__, *words])


def main(module: str, name: str, arguments: str) -> str | None:
    """Call a check until it raises nothing; return None, or its last error."""
    check, end = getattr(importlib.import_module(module), name), time.monotonic() + PATIENCE_S
    while True:
        try:
            check(*json.loads(arguments))
            return None
        except Exception as error:  # any exception of its client, as in `server.wait`
            if time.monotonic() > end:
                return f"{type(error).__name__}: {error}"
        time.sleep(POLL_S)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
