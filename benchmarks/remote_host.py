"""What a warm SSH host of the lab costs beyond this machine: a command; and a log of 1 GiB beside rsync. Needs root."""

import signal
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from benchpaper.core.project import Project
from benchpaper.hosts import site as sites
from benchpaper.hosts.fleet import Fleet
from benchpaper.hosts.lab.namespaces import Lab
from benchpaper.hosts.local import LocalHost

COMMANDS, LIMIT_MS, SIZE, TURNS, SHARE, DEPLOY_S = 100, 3.0, 1 << 30, 3, 0.7, 2.0


def median_ms(host):
    def once():
        start = time.perf_counter()
        host.run(["true"])
        return (time.perf_counter() - start) * 1e3

    return statistics.median(once() for _ in range(COMMANDS))


def seconds(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the lab goes
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "experiments").mkdir()
        lab = Lab(Project(folder))
        try:
            lab.up(1, environment={"TMPDIR": name, "XDG_CACHE_HOME": f"{name}/cache"})
            raise SystemExit(measure(lab, folder))
        finally:
            lab.down()


def measure(lab, folder):
    """Print what was found. Return whether a limit is missed."""
    connected = partial(Fleet, lab.project, sites.load(lab.project, "lab"))
    tell = partial(print, flush=True)
    with connected() as fleet:
        tell(f"first deployment: {seconds(lambda: fleet.deploy(('numpy',))):.2f} s")
    start = time.perf_counter()
    with connected() as fleet:
        fleet.deploy(("numpy",))
        deployed = time.perf_counter() - start
        tell(f"connect and deploy again: {deployed:.2f} s, limit {DEPLOY_S:g} s")
        remote = fleet.links["lab1"].host(
            "client", folder / "trial", 600, lambda name, argv: lambda status: None
        )
        beyond = median_ms(remote) - median_ms(LocalHost(folder=folder))
        tell(f"a command: {beyond:+.2f} ms beyond a local one, limit {LIMIT_MS:g} ms")
        share = transfer(lab, folder, remote, tell)
        remote.close()
        fleet.conclude("trial")
    return beyond > LIMIT_MS or share < SHARE or deployed > DEPLOY_S


def transfer(lab, folder, remote, tell):
    """Fetch a file by turns with rsync. Return the best rate as a share of rsync's best."""
    log = remote.scratch() / "log"
    remote.run(["dd", "if=/dev/urandom", f"of={log}", "bs=1M", f"count={SIZE >> 20}"])
    copy = folder / "copy"
    shell = f"ssh -F {lab.folder}/ssh_config"
    rsync = ["rsync", "--whole-file", "-e", shell, f"{lab.address(1)}:{log}", copy]
    found = {"get": [], "rsync": []}
    for _ in range(TURNS):
        for name, function in (
            ("get", lambda: remote.get(log, copy)),
            ("rsync", lambda: subprocess.run(rsync, check=True)),
        ):
            copy.unlink(missing_ok=True)
            found[name].append(seconds(function))
            tell(f"{name} of {SIZE >> 20} MiB: {found[name][-1]:.2f} s")
    share = min(found["rsync"]) / min(found["get"])
    tell(f"get: {share:.0%} of rsync's rate, limit {SHARE:.0%}")
    return share


if __name__ == "__main__":
    main()
