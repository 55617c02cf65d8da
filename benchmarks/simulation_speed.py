"""Compare the simulation sweep with the simulator's own native loop, on one core and on all.

Both read the same oracleGeneral file, in turns. The best of several rounds counts. One simulation
must reach 0.95 of the native loop's speed, summed over all policies. A sweep runs several at a
time, and must reach 0.95 of that speed times the cores that it uses.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from experiments.caching import access_traces, simulation

ITEMS, REQUESTS, ROUNDS, SEEDS, LIMIT = 20_000, 2_000_000, 7, 4, 0.95
POLICIES = ("lru", "fifo", "sieve", "arc", "w_tinylfu", "belady")


def native(policy: str, path: Path, size: int) -> float:
    """Return the seconds of the simulator's own loop over the whole file, with the same cache."""
    held, requests = simulation.cache(policy, size), simulation.reader(path)
    started = time.perf_counter()
    held.process_trace(requests)
    return time.perf_counter() - started


def ours(policy: str, trace: simulation.TraceFile, size: int) -> float:
    """Return the seconds of one simulation of the sweep on the same file."""
    started = time.perf_counter()
    simulation.simulate(policy, trace, size, 1)
    return time.perf_counter() - started


def sweep(trace: simulation.TraceFile, size: int) -> float:
    """Return the seconds of a sweep, per simulation of all policies; several run at a time.

    It is as long as a real one, with its seeds and sizes, so that no core waits long at its end.
    """
    jobs = [(policy, trace, size, seed) for seed in range(SEEDS) for policy in POLICIES]
    started = time.perf_counter()
    simulation.simulate_all(jobs)
    return (time.perf_counter() - started) / SEEDS


def main(requests: int = REQUESTS, rounds: int = ROUNDS) -> bool:
    """Print the speeds. Return True if the sweep misses its limit."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace"
        trace = simulation.write(access_traces.make("uniform", ITEMS, requests, 1), path)
        total = [0.0, 0.0]
        for policy in POLICIES:
            pairs = [
                (native(policy, path, ITEMS // 2), ours(policy, trace, ITEMS // 2))
                for _ in range(rounds)
            ]
            fastest = [min(times) for times in zip(*pairs, strict=True)]
            ratio = fastest[0] / fastest[1]
            total = [so_far + seconds for so_far, seconds in zip(total, fastest, strict=True)]
            rates = [trace.count / seconds / 1e6 for seconds in fastest]
            print(
                f"{policy:10} native {rates[0]:5.1f} M requests/s, sweep {rates[1]:5.1f}, "
                f"ratio {ratio:.3f}"
            )
        cores = min(simulation.PROCESSES, len(os.sched_getaffinity(0)))
        swept = min(sweep(trace, ITEMS // 2) for _ in range(2))
    one, all_cores = total[0] / total[1], total[0] / swept / cores
    print(f"one at a time {one:.3f}, limit {LIMIT}")
    print(f"sweep on {cores} cores {all_cores:.3f} of {cores} native loops, limit {LIMIT}")
    return min(one, all_cores) < LIMIT


if __name__ == "__main__":
    sys.exit(main())
