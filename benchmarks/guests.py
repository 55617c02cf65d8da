"""Measure what guests with a kernel of their own cost (User-Mode Linux). Needs root and NFS.

It compares a command in a guest with what the guest's kernel needs to start a program, and reads a
file by the kernel's NFS client from NFS-Ganesha on this machine.
"""

import shutil
import signal
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # for the experiments' systems

from remote_host import seconds  # noqa: E402

from benchpaper.core.project import Project  # noqa: E402
from benchpaper.hosts import site as sites  # noqa: E402
from benchpaper.hosts.fleet import Fleet  # noqa: E402
from benchpaper.hosts.lab.namespaces import Lab  # noqa: E402
from benchpaper.hosts.local import LocalHost  # noqa: E402
from experiments.systems.ganesha import Ganesha  # noqa: E402
from experiments.systems.nfs_mount import NfsMount  # noqa: E402

BOOT_S, MB_S = 5.0, 300.0
TURNS, COMMANDS, STARTS, FILE_MIB, MEMORY_MIB = 5, 100, 300, 64, 512


def boot(project: Project, site: sites.Site) -> float:
    """Boot a guest, and return the seconds until its first command has run."""
    start = time.perf_counter()
    with Fleet(project, site) as fleet, tempfile.TemporaryDirectory() as name:
        host = guest_host(fleet, Path(name))
        host.run(["true"])
        ready = time.perf_counter() - start
        host.close()
    return ready


def guest_host(fleet: Fleet, folder: Path) -> Any:
    """Return the fleet's only guest as a host."""
    [link] = fleet.links.values()
    return link.host("client", folder, 600, lambda name, argv: lambda status: None)


def starts_ms(host: Any) -> float:
    """Return the time in ms that the guest's own shell takes to run `true` as a program."""
    loop = f"i=0; while [ $i -lt {STARTS} ]; do /bin/true; i=$((i + 1)); done"
    return 1e3 * seconds(lambda: host.run(["sh", "-c", loop])) / STARTS


def rates(lab: Lab, guest: Any, folder: Path) -> list[float]:
    """Return the MB/s of reading a file through fresh mounts of NFS-Ganesha on this machine."""
    here = LocalHost(address=f"{lab.subnet}.1", folder=folder)
    served = here.scratch()
    (served / "file").write_bytes(bytes(FILE_MIB << 20))
    found = []
    with Ganesha(here, served) as server:
        for _ in range(TURNS):
            with NfsMount(guest, server.export, "4.1") as mount:
                read = ["dd", f"if={mount.path}/file", "of=/dev/null", "bs=1M"]
                found.append((FILE_MIB << 20) / 1e6 / seconds(lambda: guest.run(read)))  # noqa: B023
    return found


def measure(lab: Lab, folder: Path) -> bool:
    """Print the measurements. Return True if one misses its limit."""
    [entry] = sites.load(lab.project, "lab").hosts
    site = sites.Site("lab", (replace(entry, memory=MEMORY_MIB),))
    booted = statistics.median(boot(lab.project, site) for _ in range(TURNS))
    print(f"boot to first command: {booted:.2f} s, limit {BOOT_S:g} s", flush=True)
    with Fleet(lab.project, site) as fleet:
        trial = folder / "trial"
        trial.mkdir()
        guest = guest_host(fleet, trial)
        times = [1e3 * seconds(lambda: guest.run(["true"])) for _ in range(COMMANDS)]
        alone = starts_ms(guest)
        command = statistics.median(times)
        print(f"a command: {command:.1f} ms; the guest itself needs {alone:.1f} ms to start one")
        found = rates(lab, guest, folder)
        shown = ", ".join(f"{rate:.0f}" for rate in found)
        rate = statistics.median(found)
        print(f"NFS read of {FILE_MIB} MiB: {shown} MB/s, median {rate:.0f}, limit {MB_S:g} MB/s")
        guest.close()
        fleet.conclude("trial")
    return booted > BOOT_S or rate < MB_S


def main() -> None:
    """Bring up a lab, print the measurements, and exit with status 1 if one misses its limit."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that `finally` removes the lab
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copied = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "experiments", folder / "experiments", ignore=copied)
        (folder / "Snakefile").touch()
        lab = Lab(Project(folder))
        try:
            lab.up(0, guests=1, kept=False)
            raise SystemExit(measure(lab, folder))
        finally:
            lab.down()


if __name__ == "__main__":
    main()
