"""Compare the speed of the simulation sweep with the simulator's own native loop.

Both read the same oracleGeneral file, in turns. The best of several rounds counts, in CPU time,
so that other processes matter little. The sum over all policies is the time of a sweep; the sweep
must reach 0.95 of the native loop's speed.
"""

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from experiments.caching import access_traces, simulation

ITEMS, REQUESTS, ROUNDS, LIMIT = 20_000, 2_000_000, 7, 0.95
POLICIES = ("lru", "fifo", "sieve", "arc", "w_tinylfu", "belady")


def native(policy: str, path: str, size: int) -> float:
    """Return the CPU seconds of the simulator's own loop over the file, with the same cache."""
    held, requests = simulation.cache(policy, size), simulation.reader(path)
    started = time.process_time()
    held.process_trace(requests)
    return time.process_time() - started


def ours(policy: str, file: simulation.TraceFile, size: int) -> float:
    """Return the CPU seconds of one simulation of the sweep on the same file."""
    started = time.process_time()
    simulation.simulate(policy, file, size, 1)
    return time.process_time() - started


def main(requests: int = REQUESTS, rounds: int = ROUNDS) -> bool:
    """Print the speeds. Return True if the sweep misses its limit."""
    with tempfile.TemporaryDirectory() as folder:
        trace = access_traces.make("uniform", ITEMS, requests, 1)
        file = simulation.write(trace, Path(folder) / "trace")
        total = [0.0, 0.0]
        for policy in POLICIES:
            pairs = [
                (native(policy, file.path, ITEMS // 2), ours(policy, file, ITEMS // 2))
                for _ in range(rounds)
            ]
            fastest = [min(times) for times in zip(*pairs, strict=True)]
            ratio = fastest[0] / fastest[1]
            total = [so_far + seconds for so_far, seconds in zip(total, fastest, strict=True)]
            rates = [file.count / seconds / 1e6 for seconds in fastest]
            print(
                f"{policy:10} native {rates[0]:5.1f} M requests/s, sweep {rates[1]:5.1f}, "
                f"ratio {ratio:.3f}"
            )
    print(f"together {total[0] / total[1]:.3f}, limit {LIMIT}")
    return total[0] / total[1] < LIMIT


if __name__ == "__main__":
    sys.exit(main())
