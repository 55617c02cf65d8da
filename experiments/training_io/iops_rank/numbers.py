"""The single numbers of a backend: by fio where a kernel sees files, else by our own client."""

import json

from experiments.training_io.clients import fio, random_reads

LARGE, FILE_MIB = "blocks", 16
DEPTHS = (1, 32)
READERS = 2
TURNS = 2
# What lies below a file system, and may answer from memory although the reads are direct.
BELOW = {
    "tmpfs": " in memory",
    **dict.fromkeys(("ext4", "xfs", "btrfs"), " on a loop device, direct too"),
}


def conditions(backend, opened, seconds):
    """Return in words how the random reads were measured."""
    lasting = f"{seconds:g} s a block at depths {DEPTHS[0]} and {DEPTHS[1]}"
    if not opened.folder:
        return f"own client, {lasting}; {FILE_MIB} MiB, which the server's memory holds"
    how = "direct, so that no page cache answers" if opened.direct else "through the page cache"
    return f"fio {fio.version()}, {how}, {lasting}; {FILE_MIB} MiB{BELOW.get(backend, '')}"


def over_fio(host, opened, site):
    """Return the random reads of the own client over those of fio, by one reader each.

    They take turns, twice, so that what the machine does meanwhile meets both.
    """
    seconds, ratios = site.counts.seconds, []
    path = f"{opened.folder}/{LARGE}"
    plan = dict(store=opened.store, name=LARGE, threads=1, seconds=seconds, direct=opened.direct)
    for turn in range(TURNS):
        seed = (site.seed + turn) % 2**32
        ours = run(host, opened, random_reads, plan | dict(seed=seed))["iops"]
        theirs = fio.read(
            host, path, pattern="randread", block="4k", seconds=seconds, direct=opened.direct
        )
        ratios.append(ours / theirs["iops"])
    return sum(ratios) / len(ratios)


def by_fio(host, opened, counts, depth_seconds):
    path = f"{opened.folder}/{LARGE}"
    at_random = dict(pattern="randread", block="4k", direct=opened.direct)
    two = fio.read(host, path, **at_random, jobs=READERS, seconds=counts.seconds)
    deep = {
        f"iops_4k_qd{depth}": fio.read(host, path, **at_random, depth=depth, seconds=depth_seconds)[
            "iops"
        ]
        for depth in DEPTHS
    }
    in_order = fio.read(
        host, path, pattern="read", block="1M", seconds=counts.seconds, direct=opened.direct
    )
    return {
        "iops_4k": two["iops"],
        "p99_us": two["p99_us"],
        "sequential_mb_s": in_order["mb_s"],
        **deep,
    }


def by_depth(host, opened, site, seconds):
    """Return IOPS at each depth by our own client, a thread for each outstanding read."""
    plan = dict(store=opened.store, name=LARGE, seconds=seconds)
    plan |= dict(seed=site.seed % 2**32)
    return {
        f"iops_4k_qd{depth}": run(host, opened, random_reads, plan | dict(threads=depth))["iops"]
        for depth in DEPTHS
    }


def by_client(host, opened, site):
    """Measure the same numbers with our own client, past the kernel's page cache where possible."""
    direct = bool(opened.folder) and opened.direct
    plan = dict(
        store=opened.store, name=LARGE, threads=READERS, seconds=site.counts.seconds, direct=direct
    )
    plan |= dict(
        in_order_seconds=0 if opened.folder else site.counts.seconds, seed=site.seed % 2**32
    )
    result = run(host, opened, random_reads, plan)
    return {
        "iops_4k": result["iops"],
        "p99_us": result["p99_us"],
        "ops_per_cpu_s": result["ops_per_cpu_s"],
        "sequential_mb_s": result.get("in_order", {}).get("mb_s"),
    }


def run(host, opened, program, plan):
    argv = [host.python, "-m", program.__name__, json.dumps(plan)]
    return json.loads(host.run([*opened.prefix, *argv], timeout=80).stdout)
