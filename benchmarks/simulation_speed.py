"""Compare the speed of the simulation sweep with the simulator's own native loop.

Both read the same oracleGeneral file, in turns. The best of several rounds counts. The sum over all
policies is the time of a sweep; the sweep must reach 0.95 of the native loop's speed.
"""

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from experiments.caching import access_traces, simulation, trace_files

ITEMS, REQUESTS, ROUNDS, LIMIT = 20_000, 2_000_000, 7, 0.95
POLICIES = ("lru", "fifo", "sieve", "arc", "w_tinylfu", "belady")


def native(policy: str, path: Path, size: int) -> float:
    """Return the seconds of the simulator's own loop over the whole file, with the same cache."""
    held, requests = simulation.cache(policy, size), simulation.reader(path)
    started = time.perf_counter()
    held.process_trace(requests)
    return time.perf_counter() - started


def ours(policy: str, path: Path, trace: access_traces.Trace, size: int) -> float:
    """Return the seconds of one simulation of the sweep on the same file."""
    started = time.perf_counter()
    simulation.simulate(policy, path, len(trace.ids), trace.warm, trace.epoch, size, 1)
    return time.perf_counter() - started


def main() -> bool:
    """Print the speeds. Return True if the sweep misses its limit."""
    with tempfile.TemporaryDirectory() as folder:
        path, trace = Path(folder) / "trace", access_traces.make("uniform", ITEMS, REQUESTS, 1)
        trace_files.write(path, trace.ids)
        total = [0.0, 0.0]
        for policy in POLICIES:
            pairs = [
                (native(policy, path, ITEMS // 2), ours(policy, path, trace, ITEMS // 2))
                for _ in range(ROUNDS)
            ]
            fastest = [min(times) for times in zip(*pairs, strict=True)]
            ratio = fastest[0] / fastest[1]
            total = [so_far + seconds for so_far, seconds in zip(total, fastest, strict=True)]
            rates = [REQUESTS / seconds / 1e6 for seconds in fastest]
            print(
                f"{policy:10} native {rates[0]:5.1f} M requests/s, sweep {rates[1]:5.1f}, "
                f"ratio {ratio:.3f}"
            )
    print(f"together {total[0] / total[1]:.3f}, limit {LIMIT}")
    return total[0] / total[1] < LIMIT


if __name__ == "__main__":
    sys.exit(main())
