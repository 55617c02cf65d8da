"""How long does the kernel's NFS client take to list many names, and to have a first batch?"""

import json
from contextlib import contextmanager

from benchpaper import Evidence, Experiment, Factor, Metric, Scale
from experiments.systems import nfsd, packages
from experiments.systems.environment import device_mapper, faulty_disk, file_image
from experiments.systems.nfs_mount import NfsMount
from experiments.training_io.data import many_files
from experiments.training_io.loops import first_batch

BATCH = 32
COUNTS = (1_000, 10_000, 100_000, 1_000_000)  # two decades to fit a model to, a third to test
DISTINCT = 100_000  # files; more names are links to them, or a guest's memory would not hold them
# How the client may ask: (version, options of nfs(5)).
MOUNTS = {
    "3 rdirplus": ("3", ["rdirplus"]),
    "3 nordirplus": ("3", ["nordirplus"]),
    "4.2 rdirplus": ("4.2", ["rdirplus"]),
}
FILL_S, LIST_S = 1200.0, 600.0

experiment = Experiment(
    title="Listing over the kernel's NFS client",
    question="How long does the kernel's NFS client take to list many names, and to have a first "
    "batch?",
    factors=[
        Factor(
            "samples",
            COUNTS,
            unit="1",
            meaning="names on ext4, which the kernel of another guest serves; beyond 100,000, they "
            "are further links to files",
        )
    ],
    within=[
        Factor(
            "mount",
            list(MOUNTS),
            meaning="version of NFS, and whether the client may ask for attributes with the names",
        )
    ],
    metrics=[
        Metric("listing_ms", unit="ms", better="lower", meaning="until all names are known"),
        Metric(
            "first_batch_ms",
            unit="ms",
            better="lower",
            meaning="until 32 samples have been read and checked",
        ),
        Metric("listed_per_s", unit="1/s", better="higher", meaning="names per second of listing"),
        Metric(
            "readdirplus",
            unit="1",
            better="neither",
            meaning="requests for names with attributes; version 4 counts all as READDIR",
        ),
        Metric("readdir", unit="1", better="neither", meaning="requests for names"),
    ],
    evidence=[Evidence("mounted", "the options of the mount that the kernel reports (JSON)")],
    roles=("server", "client"),
    packages=("numpy", "xxhash"),
    twin=dict(samples=COUNTS[1]),
    timeout_s=FILL_S + len(MOUNTS) * LIST_S,
    scales=dict(
        smoke=Scale(blocks=2, trial_seconds=8.0, disk_mb=10, samples=[COUNTS[1]]),
        quick=Scale(blocks=5, trial_seconds=15.0, disk_mb=10, samples=list(COUNTS[:3])),
        # A million names take two minutes, half of them to make; the others, seconds.
        full=Scale(blocks=5, trial_seconds=26.0, disk_mb=10),
    ),
)


@experiment.needs
def needs(cell):
    return [packages.XXHASH, "nfsd", "nfs_client", *faulty_disk.needs("ext4")]


@contextmanager
def names(host, count):
    """Yield a folder on a host with samples under `count` names, on an ext4 of its own."""
    folder = host.scratch()
    image, mounted = folder / "image", folder / "mounted"
    files = min(count, DISTINCT)
    host.run(["truncate", "-s", f"{file_image.size_mb(files, count)}M", image])
    host.run(["mkdir", mounted])
    loop = device_mapper.LoopDevice(host.run, image)
    host.undo("a loop device", loop.undo)
    with loop:
        host.run(["mkfs.ext4", "-q", *file_image.options(files), loop.path])
        host.undo("a mount", ["umount", mounted])
        host.run(["mount", "-t", "ext4", loop.path, mounted])
        try:
            fill = [host.python, "-m", many_files.__name__, mounted, DISTINCT, count]
            host.run(fill, timeout=FILL_S)
            yield mounted
        finally:
            host.run(["umount", mounted])


@experiment.trial
def trial(cell, site):
    with (
        names(site.server, cell.samples) as folder,
        nfsd.Nfsd(site.server, folder, delegations=False) as server,
    ):
        for mount, (version, options) in MOUNTS.items():
            # A new mount has an empty cache: it shares nothing with the one before.
            with NfsMount(
                site.client, server.export, version, options=[*options, "nosharecache"]
            ) as mounted:
                yield {"mount": mount, **listed(site.client, mounted, cell.samples, site.seed)}


def listed(host, mounted, count, seed):
    plan = dict(
        store=dict(kind="file", folder=f"{mounted.path}/objects-{count}"),
        layout="objects",
        samples=count,
        batch=BATCH,
        seed=seed % 2**32,
        warm=False,
        distinct=DISTINCT,
    )
    before = mounted.requests()
    argv = [host.python, "-m", first_batch.__name__, json.dumps(plan)]
    result = json.loads(host.run(argv, timeout=LIST_S).stdout)
    after = mounted.requests()

    def sent(kind):
        return after.get(kind, 0) - before.get(kind, 0)

    return {
        "listing_ms": result["listing_ms"],
        "first_batch_ms": result["first_batch_ms"],
        "listed_per_s": count / result["listing_ms"] * 1e3,
        "readdirplus": sent("READDIRPLUS"),
        "readdir": sent("READDIR"),
        "mounted": json.dumps(mounted.options()),
    }
