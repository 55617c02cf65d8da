"""Reads with every byte checked, while the server writes at full speed: none may be torn, stale or somebody else's.

    .venv/bin/python benchmarks/store_soak.py [--reads 1e8] [--writer same-size|resize] [--objects 64]

Takes about 100 s for 10^8 reads; two CPUs. Then as many reads as a hundredth of that without validation, as a control:
those do see torn objects.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchpaper.hosts.local import LocalHost
from experiments.rdma import store


def soak(host, binary, path, reads, objects, writer, validate):
    with store.Server(host, binary, "posix", 4096, preload=objects, heap_mib=256) as server:
        began = time.monotonic()
        found = store.measure(
            host, server, binary, path, 4096, objects, reads, validate=validate, writer=writer, keep=False,
            max_seconds=3000, lease_s=60,
        )  # fmt: skip
    print(
        f"{path}, validation {'on' if validate else 'off'}: {found['right']:,} right, {found['torn']:,} torn, "
        f"{found['stale']:,} stale; {found['server_writes']:,} writes meanwhile; tried again {found['changed']:,} times, "
        f"followed {found['moved']:,}; {time.monotonic() - began:.0f} s", flush=True,
    )  # fmt: skip


def main():
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--reads", type=float, default=1e8)
    asked.add_argument("--objects", type=int, default=64)
    asked.add_argument("--writer", default="same-size", choices=["same-size", "resize"])
    asked.add_argument("--path", default="cached", choices=["cached", "lookup", "message"])
    options = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        host = LocalHost(folder=folder)
        binary = store.build(Path(folder) / "store")
        for reads, validate in (
            (int(options.reads), True),
            (max(1, int(options.reads / 100)), False),
        ):
            soak(host, binary, options.path, reads, options.objects, options.writer, validate)


if __name__ == "__main__":
    main()
