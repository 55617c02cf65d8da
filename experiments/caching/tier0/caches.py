"""The caches under comparison: how to set each up around the read loop, and read its counters.

Each is a context manager `(cell, site, endpoint, data) -> Setting`. `endpoint` is the S3 origin
with its request log; `data` describes the data set that it holds.
"""

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass

from experiments.systems import juicefs, memcached, mooncake, rclone
from experiments.systems.environment import memory_limit

MIB = 1 << 20
DEPTH = 8  # samples read ahead, with as many threads
MOONCAKE_LEASE_MS = 50
LOOP_MIB = 6  # memory that the read loop itself allocates in its cgroup


@dataclass(frozen=True)
class Data:
    """A data set of `count` samples of `size` bytes from `seed`; `manifest` has their digests."""

    seed: int
    count: int
    size: int
    manifest: dict

    @property
    def bytes(self):
        return self.count * self.size


@dataclass
class Setting:
    """A cache that is ready for the read loop.

    `plan` holds the loop's options. `hits_reported(report)` returns the cache's own evidence after
    the run: (hits over all epochs, capacity in samples).
    """

    plan: dict
    hits_reported: Callable
    server: object = None  # a process; its CPU time is added to the reader's


@contextmanager
def none(cell, site, endpoint, data):
    yield Setting({"source": "s3", "endpoint": endpoint.as_dict()}, lambda report: (0, 0))


@contextmanager
def tier(cell, site, endpoint, data):
    """The reference tier, with half of its room in memory and half on disk."""
    capacity = round(cell.share * data.count)
    in_memory = capacity // 2
    plan = {
        "source": "tier0",
        "endpoint": endpoint.as_dict(),
        "tier0": {
            "memory_bytes": (in_memory + DEPTH) * data.size,
            "item_bytes": data.size,
            "folder": str(site.client.scratch()),
            "disk_bytes": (capacity - in_memory) * data.size,
        },
    }
    yield Setting(plan, lambda report: (report["epochs"][-1]["stats"]["hits"], capacity))


@contextmanager
def beside_memcached(cell, site, endpoint, data):
    """memcached, which rounds its memory to slabs of 1 MiB and reports how many items it holds."""
    with memcached.Memcached(
        site.client, max(2, round(cell.share * data.bytes / MIB)), item_mb=1
    ) as server:
        plan = {
            "source": "memcached",
            "endpoint": endpoint.as_dict(),
            "memcached": [server.address, server.port],
        }

        def hits_reported(report):
            stats = server.stats()
            return int(stats["get_hits"]), int(stats["curr_items"])

        yield Setting(plan, hits_reported, server.process)


@contextmanager
def mooncake_store(cell, site, endpoint, data):
    """Mooncake's store, whose memory is in the loop's process.

    It evicts nothing that was read within a lease, by default 5 seconds. The lease here is shorter
    than an epoch. It takes 16 MiB of memory at least, so a smaller room is the share of it that
    must be taken before it evicts; its default is 95 %.
    """
    room = int(cell.share * data.bytes)
    memory = max(16 * MIB, room)
    options = (
        f"--default_kv_lease_ttl={MOONCAKE_LEASE_MS}",
        f"--eviction_high_watermark_ratio={0.95 * room / memory}",
    )
    with mooncake.Mooncake(site.client, options=options) as master:
        plan = {
            "source": "mooncake",
            "endpoint": endpoint.as_dict(),
            "mooncake": {
                "address": master.address,
                "metadata": master.METADATA,
                "master": f"{master.address}:{master.port}",
                "bytes": memory,
            },
        }

        def hits_reported(report):
            stats = report["epochs"][-1]["stats"]
            return stats["hits"], stats["held"]

        yield Setting(plan, hits_reported, master.process)


@contextmanager
def rclone_vfs(cell, site, endpoint, data):
    """rclone's cache of whole files, cleaned every 5 ms.

    rclone never evicts an open file, so the options make it close each file at once.
    """
    options = (
        "--vfs-cache-max-size",
        f"{int(cell.share * data.bytes)}B",
        "--vfs-cache-poll-interval",
        "5ms",
        "--vfs-handle-caching",
        "0",
        "--vfs-read-ahead",
        "0",
        "--dir-cache-time",
        "1h",
    )
    with rclone.Mount(site.client, endpoint, cache_mode="full", options=options) as mount:

        def hits_reported(report):
            fetched = mount.rc("core/stats")["totalTransfers"]
            return data.count * len(report["epochs"]) - fetched, round(cell.share * data.count)

        yield Setting({"source": "files", "folder": str(mount.path)}, hits_reported, mount.process)


@contextmanager
def juicefs_cache(cell, site, endpoint, data):
    """JuiceFS's cache of blocks, in memory; a block is a sample.

    JuiceFS's cache on disk keeps blocks in memory until it has written them, in addition to its
    room. On a busy disk it hit more often than its room allows.
    """
    with juicefs_volume(site, endpoint, data) as volume:
        size_mb = round(cell.share * data.bytes / MIB)
        with volume.mount(cache_dir="memory", cache_size_mb=size_mb, prefetch=0) as mount:

            def hits_reported(report):  # on disk it would count 4 KiB more for each block
                stats = mount.stats()
                hits, held = stats["juicefs_blockcache_hits"], stats["juicefs_blockcache_blocks"]
                return int(hits), int(held)

            plan = {"source": "files", "folder": str(mount.path)}
            yield Setting(plan, hits_reported, mount.process)


@contextmanager
def page_cache(cell, site, endpoint, data):
    """The kernel's page cache over a mount without a cache; the reader is in a memory cgroup."""
    with juicefs_volume(  # noqa: SIM117 - measured code stays as it is
        site, endpoint, data
    ) as volume:
        with volume.mount(cache_size_mb=0, prefetch=0) as mount:

            def hits_reported(report):
                asked_for = mount.stats()["juicefs_fuse_read_size_bytes_sum"]
                kept = report["epochs"][-1]["stats"]["kept_bytes"]
                return round(data.count * len(report["epochs"]) - asked_for / data.size), round(
                    kept / data.size
                )

            with memory_limit.MemoryLimit(
                site.client, cell.share * data.bytes / MIB + LOOP_MIB
            ) as group:
                plan = {
                    "source": "files",
                    "folder": str(mount.path),
                    "page_cache": {"group": str(group.folder)},
                }
                yield Setting(plan, hits_reported, mount.process)


@contextmanager
def juicefs_volume(site, endpoint, data):
    """A volume in the origin's bucket with the data set, written through a separate mount."""
    with juicefs.JuiceFS(site.client, storage=endpoint, block_kib=data.size >> 10) as volume:
        with volume.mount(cache_size_mb=0) as mount:
            program = [site.client.python, "-m", "experiments.caching.sample_files"]
            site.client.run([*program, mount.path, data.seed, data.count, data.size])
        yield volume


CACHES = {
    "none": none,
    "page_cache": page_cache,
    "juicefs": juicefs_cache,
    "rclone": rclone_vfs,
    "memcached": beside_memcached,
    "mooncake": mooncake_store,
    "tier0": tier,
}
