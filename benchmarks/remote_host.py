"""Measure what a warm SSH host of the lab costs compared with this machine. Needs root.

It compares a command with a local one, and the transfer of a log of 1 GiB with rsync.
"""

import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchpaper.core.project import Project
from benchpaper.hosts import site as sites
from benchpaper.hosts.fleet import Fleet
from benchpaper.hosts.lab.namespaces import Lab
from benchpaper.hosts.local import LocalHost

COMMANDS, LIMIT_MS, SIZE, TURNS, SHARE, DEPLOY_S = 100, 3.0, 1 << 30, 3, 0.7, 2.0


def median_ms(host: Any) -> float:
    """Return the median time in ms that the host takes to run `true`."""
    return statistics.median(1e3 * seconds(lambda: host.run(["true"])) for _ in range(COMMANDS))


def seconds(function: Callable[[], object]) -> float:
    """Return the seconds that a call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def main() -> None:
    """Bring up a lab, print the measurements, and exit with status 1 if one misses its limit."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that `finally` removes the lab
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "experiments").mkdir()
        lab = Lab(Project(folder))
        try:
            lab.up(1, environment={"TMPDIR": name, "XDG_CACHE_HOME": f"{name}/cache"})
            raise SystemExit(measure(lab, folder))
        finally:
            lab.down()


def measure(lab: Lab, folder: Path) -> bool:
    """Print the measurements. Return True if one misses its limit."""
    connected = partial(Fleet, lab.project, sites.load(lab.project, "lab"))
    show = partial(print, flush=True)
    with connected() as fleet:
        show(f"first deployment: {seconds(lambda: fleet.deploy(('numpy',))):.2f} s")
    start = time.perf_counter()
    with connected() as fleet:
        fleet.deploy(("numpy",))
        deployed = time.perf_counter() - start
        show(f"connect and deploy again: {deployed:.2f} s, limit {DEPLOY_S:g} s")
        remote = fleet.links["lab1"].host(
            "client", folder / "trial", 600, lambda name, argv: lambda status: None
        )
        beyond = median_ms(remote) - median_ms(LocalHost(folder=folder))
        show(f"a command: {beyond:+.2f} ms beyond a local one, limit {LIMIT_MS:g} ms")
        share = transfer(lab, folder, remote, show)
        remote.close()
        fleet.conclude("trial")
    return beyond > LIMIT_MS or share < SHARE or deployed > DEPLOY_S


def transfer(lab: Lab, folder: Path, remote: Any, show: Callable[[str], None]) -> float:
    """Fetch a file in turns with rsync. Return the best rate as a share of rsync's best rate."""
    log = remote.scratch() / "log"
    remote.run(["dd", "if=/dev/urandom", f"of={log}", "bs=1M", f"count={SIZE >> 20}"])
    copy = folder / "copy"
    shell = f"ssh -F {lab.folder}/ssh_config"
    rsync = ["rsync", "--whole-file", "-e", shell, f"{lab.address(1)}:{log}", str(copy)]
    times: dict[str, list[float]] = {"get": [], "rsync": []}
    for _ in range(TURNS):
        for name, function in (
            ("get", lambda: remote.get(log, copy)),
            ("rsync", lambda: subprocess.run(rsync, check=True)),
        ):
            copy.unlink(missing_ok=True)
            times[name].append(seconds(function))
            show(f"{name} of {SIZE >> 20} MiB: {times[name][-1]:.2f} s")
    share = min(times["rsync"]) / min(times["get"])
    show(f"get: {share:.0%} of rsync's rate, limit {SHARE:.0%}")
    return share


if __name__ == "__main__":
    main()
