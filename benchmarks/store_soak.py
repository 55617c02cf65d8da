"""Check every byte of many reads while the server writes at full speed.

    .venv/bin/python benchmarks/store_soak.py [--reads 1e8] [--most-minutes 30]
        [--writer same-size|resize] [--objects 64] [--path cached|lookup|message]

No read may return a torn, stale, or wrong object: the first one ends it with status 1. As a
control, a hundredth as many reads without validation follow; these do return torn objects. It says
every ten seconds how far it is, and ends after `--most-minutes`, and a minute for the control, at
the latest. The last line says how many reads are left, if any are. 10^8 reads take a few minutes on
two CPUs that nothing else uses.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchpaper.hosts.local import LocalHost
from experiments.rdma import store

SLICE_S = 10.0  # between two lines
SLICE_READS = 10**8
COUNTS = ("right", "torn", "stale", "server_writes", "changed", "moved")


class Soak:
    """Reads of objects that a server writes meanwhile, in slices of `SLICE_S`."""

    def __init__(self, host: LocalHost, binary: Path, options: argparse.Namespace):
        self._host, self._binary, self._options = host, binary, options

    def run(self, reads: int, until: float, validate: bool = True) -> int:
        """Read `reads` times, or until the monotonic clock shows `until`; return what is left."""
        size, objects, left = 4096, self._options.objects, reads
        total, began = dict.fromkeys(COUNTS, 0), time.monotonic()
        with store.Server(
            self._host, self._binary, "posix", size, preload=objects, heap_mib=256
        ) as server:
            while left and time.monotonic() < until:
                counts = store.measure(
                    self._host,
                    server,
                    self._binary,
                    self._options.path,
                    size,
                    objects,
                    min(left, SLICE_READS),
                    validate=validate,
                    writer=self._options.writer,
                    keep=False,
                    max_seconds=SLICE_S,
                    lease_s=60,
                    seed=1 + left % 2**31,  # other objects in each slice
                )
                left -= counts["iterations_done"]
                total = {name: total[name] + counts[name] for name in COUNTS}
                self._tell(total, reads, left, validate, time.monotonic() - began)
        return left

    def _tell(
        self, total: dict[str, Any], reads: int, left: int, validate: bool, took_s: float
    ) -> None:
        more = left * took_s / max(1, reads - left)
        print(
            f"{self._options.path}, validation {'on' if validate else 'off'}: "
            f"{total['right']:,} right, {total['torn']:,} torn, {total['stale']:,} stale; "
            f"{total['server_writes']:,} writes meanwhile; tried again {total['changed']:,} times, "
            f"followed {total['moved']:,}; {took_s:.0f} s, about {more:.0f} s left",
            flush=True,
        )


def main(arguments: list[str] | None = None) -> int:
    """Soak the store with validation, and then briefly without; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--reads", type=float, default=1e8)
    parser.add_argument("--most-minutes", type=float, default=30)
    parser.add_argument("--objects", type=int, default=64)
    parser.add_argument("--writer", default="same-size", choices=["same-size", "resize"])
    parser.add_argument("--path", default="cached", choices=["cached", "lookup", "message"])
    options = parser.parse_args(arguments)
    until = time.monotonic() + 60 * options.most_minutes
    with tempfile.TemporaryDirectory() as folder:
        host = LocalHost(folder=folder)
        soak = Soak(host, store.build(Path(folder) / "store"), options)
        reads = int(options.reads)
        try:
            left = soak.run(reads, until)
        except store.WrongObjects as error:
            print(f"FAILED: {error}", flush=True)
            return 1
        soak.run(max(1, (reads - left) // 100), time.monotonic() + 6 * SLICE_S, validate=False)
    print(f"{reads - left:,} of {reads:,} validated reads, all right")
    if left:
        print(f"time is up; the rest is as good as any other: run it with --reads {left}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
