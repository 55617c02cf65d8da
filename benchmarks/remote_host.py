"""What a warm SSH host of the lab costs beyond this machine: a command; and a log of 1 GiB beside rsync. Needs root."""

import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from benchpaper.hosts import site as sites
from benchpaper.hosts.fleet import Fleet
from benchpaper.hosts.local import LocalHost
from benchpaper.lab import Lab
from benchpaper.project import Project

COMMANDS, LIMIT_MS, SIZE, SHARE, DEPLOY_S = 100, 3.0, 1 << 30, 0.7, 2.0


def median_ms(host):
    def once():
        start = time.perf_counter()
        host.run(["true"])
        return (time.perf_counter() - start) * 1e3

    return statistics.median(once() for _ in range(COMMANDS))


def seconds(function, tries=2):
    def once():
        start = time.perf_counter()
        function()
        return time.perf_counter() - start

    return min(once() for _ in range(tries))


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "experiments").mkdir()
        project = Project(folder)
        lab = Lab(project)
        lab.up(1)
        try:
            raise SystemExit(measure(project, lab, folder))
        finally:
            lab.down()


def measure(project, lab, folder):
    site = sites.load(project, "lab")
    with Fleet(project, site) as fleet:
        fleet.deploy(("numpy",))
    start = time.perf_counter()
    with Fleet(project, site) as fleet:
        fleet.deploy(("numpy",))
        deployed_s = time.perf_counter() - start
        remote = fleet.links["lab1"].host("client", folder / "trial", 600, lambda name, argv: lambda status: None)
        beyond = median_ms(remote) - median_ms(LocalHost(folder=folder))
        log = remote.scratch() / "log"
        remote.run(["dd", "if=/dev/urandom", f"of={log}", "bs=1M", f"count={SIZE >> 20}"])
        ours = seconds(lambda: remote.get(log, folder / "ours"))
        shell = f"ssh -F {lab.folder}/ssh_config"
        rsync = seconds(lambda: (folder / "theirs").unlink(missing_ok=True) or subprocess.run(
            ["rsync", "--whole-file", "-e", shell, f"{lab.address(1)}:{log}", folder / "theirs"], check=True))  # fmt: skip
        remote.close()
        fleet.conclude("trial")
    print(f"a command: {beyond:+.2f} ms beyond a local one, limit {LIMIT_MS:g} ms")
    print(f"1 GiB: {ours:.2f} s, rsync {rsync:.2f} s: {rsync / ours:.0%} of its rate, limit {SHARE:.0%}")
    print(f"connect and deploy again: {deployed_s:.2f} s, limit {DEPLOY_S:g} s")
    return beyond > LIMIT_MS or rsync / ours < SHARE or deployed_s > DEPLOY_S


if __name__ == "__main__":
    main()
