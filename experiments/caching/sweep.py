"""A long, resumable sweep of eviction policies, with 10^8 requests per trace.

    python -m experiments.caching.sweep FOLDER          # print the plan: time, memory, and disk
    python -m experiments.caching.sweep FOLDER --run    # run it, or resume it after an interruption

Each finished simulation is one line of FOLDER/done.jsonl, written whole. The paper shows
`caching/policies` at scale full; this sweep repeats it with more requests.
"""

import argparse
import json
import os
import time
from pathlib import Path

from experiments.caching import access_traces, eviction, simulation, trace_files

REQUESTS, ITEMS, SHARES, SEED = 10**8, 100_000, (0.1, 0.5), 1
WARM_SHARE = 0.2  # of the requests; a policy that needs more to learn is left out
PRICED_REQUESTS, PRICED_ITEMS = 400_000, 20_000
BYTES_PER_REQUEST_IN_MEMORY = 40  # ids, their order, and next accesses while a trace is written
TRACES = [name for name in access_traces.GENERATORS if name != "kv"]
# Policies in pure Python and policies that learn take 0.3 to 80 µs per request, so they get a
# hundredth of the requests.
FEW = ("lrb", "belady_size", "hyperbolic", "cacheus", "three_l_cache", *eviction.OURS)


def warm_up(requests):
    """Return how many of the requests do not count."""
    return max(ITEMS, round(WARM_SHARE * requests))


def jobs(requests):
    """Return all simulations as (trace, requests, share, policy), grouped by trace file."""
    return [
        (trace, count, share, policy)
        for trace in TRACES
        for count, policies in (
            (requests // 100, FEW),
            (requests, set(eviction.NAMES) - set(FEW)),
        )
        for share in SHARES
        for policy in sorted(policies)
        if policy in eviction.NAMES and eviction.learns_after(policy) <= warm_up(count)
    ]


def done(folder):
    """Return the finished simulations, and remove a last line that an interruption cut short."""
    path, finished, whole = folder / "done.jsonl", set(), 0
    for line in path.read_bytes().splitlines(keepends=True) if path.exists() else ():
        if not line.endswith(b"\n"):
            os.truncate(path, whole)
            break
        job, whole = json.loads(line), whole + len(line)
        finished.add((job["trace"], job["asked"], job["share"], job["policy"]))
    return finished


def prices(folder):
    """Return {policy: seconds per request} from a short run of each on this machine."""
    trace = access_traces.make("uniform", PRICED_ITEMS, PRICED_REQUESTS, SEED)
    path = folder / "priced.oracleGeneral"
    file, size = simulation.write(trace, path), PRICED_ITEMS // 2
    seconds_of = {
        policy: simulation.simulate_all([(policy, file, size, SEED)])[policy]["ns"] / 1e9
        for policy in eviction.NAMES
    }
    path.unlink()
    return seconds_of


def plan(folder, requests):
    """Print the simulations that are left, with their time, memory, and disk space."""
    finished, price = done(folder), prices(folder)
    left = [job for job in jobs(requests) if job not in finished]
    seconds = sum(count * price[policy] for _, count, _, policy in left) / simulation.PROCESSES
    print(
        f"{len(left)} of {len(jobs(requests))} simulations left, "
        f"{sum(job[1] for job in left):.3g} requests"
    )
    print(
        f"about {seconds / 3600:.1f} h on {simulation.PROCESSES} cores, "
        f"{requests * trace_files.RECORD.itemsize / 1e9:.1f} GB"
    )
    print(
        f"of disk for one trace at a time, {requests * BYTES_PER_REQUEST_IN_MEMORY / 1e9:.1f} GB "
        "of memory while it is written"
    )


def run(folder, requests):
    """Run the simulations that are left, one trace file at a time."""
    finished, path = done(folder), folder / "trace.oracleGeneral"
    groups: dict[tuple, list[tuple]] = {}
    for job in jobs(requests):
        if job not in finished:
            groups.setdefault(job[:2], []).append(job)
    for (trace_name, count), group in groups.items():
        warm = warm_up(count)
        trace = access_traces.make(trace_name, ITEMS, count - warm, SEED, warm=warm)
        written, items = simulation.write(trace, path), trace.items
        del trace
        for begin in range(0, len(group), simulation.PROCESSES):
            pair = group[begin : begin + simulation.PROCESSES]
            result_of = simulation.simulate_all(
                [
                    (policy, written, max(1, round(share * items)), SEED)
                    for _, _, share, policy in pair
                ]
            )
            with open(folder / "done.jsonl", "a") as file:
                for _, length_asked, share, policy in pair:
                    line = {
                        "trace": trace_name,
                        "asked": length_asked,
                        "share": share,
                        **result_of[policy],
                    }
                    file.write(json.dumps(line) + "\n")
                file.flush()
                os.fsync(file.fileno())
            print(
                f"{time.strftime('%H:%M:%S')} {trace_name}: {', '.join(job[3] for job in pair)}",
                flush=True,
            )
    path.unlink(missing_ok=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--run", action="store_true")
    parser.add_argument("--requests", type=int, default=REQUESTS)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    (run if given.run else plan)(given.folder, given.requests)


if __name__ == "__main__":
    main()
