"""Check every byte of many reads while the server writes at full speed.

    .venv/bin/python benchmarks/store_soak.py [--reads 1e8] [--writer same-size|resize]
        [--objects 64] [--path cached|lookup|message]

No read may return a torn, stale, or wrong object. As a control, a hundredth as many reads without
validation follow; these do return torn objects. 10^8 reads take about 100 s on two CPUs.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchpaper.hosts.local import LocalHost
from experiments.rdma import store


def soak(
    host: LocalHost,
    binary: Path,
    path: str,
    reads: int,
    objects: int,
    writer: str,
    validate: bool,
) -> None:
    """Read `reads` objects by `path` while the server writes, and print the counts."""
    with store.Server(host, binary, "posix", 4096, preload=objects, heap_mib=256) as server:
        start = time.monotonic()
        counts = store.measure(
            host,
            server,
            binary,
            path,
            4096,
            objects,
            reads,
            validate=validate,
            writer=writer,
            keep=False,
            max_seconds=3000,
            lease_s=60,
        )
    print(
        f"{path}, validation {'on' if validate else 'off'}: {counts['right']:,} right, "
        f"{counts['torn']:,} torn, {counts['stale']:,} stale; "
        f"{counts['server_writes']:,} writes meanwhile; tried again {counts['changed']:,} times, "
        f"followed {counts['moved']:,}; {time.monotonic() - start:.0f} s",
        flush=True,
    )


def main() -> None:
    """Soak the store with validation, and then briefly without."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--reads", type=float, default=1e8)
    parser.add_argument("--objects", type=int, default=64)
    parser.add_argument("--writer", default="same-size", choices=["same-size", "resize"])
    parser.add_argument("--path", default="cached", choices=["cached", "lookup", "message"])
    options = parser.parse_args()
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
