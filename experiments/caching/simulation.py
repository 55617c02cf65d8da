"""Simulate eviction policies on one trace: `python -m experiments.caching.simulation JSON`.

This program runs on the host. It writes the trace to a file and runs libCacheSim's own loop over
it, two policies at a time. Each simulation has its own process, so that memory does not grow with
the number of simulations. Hits count after the warm-up alone. A policy that needs more requests to
learn than its warm-up has is left out. The program prints one JSON object.
"""

import json
import math
import multiprocessing
import resource
import sys
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from experiments.caching import access_traces, eviction, trace_files

PROCESSES = 2


@dataclass(frozen=True)
class TraceFile:
    """A trace on disk: `count` requests, of which the first `warm` do not count.

    `seen` is the number of different objects in the warm-up, and `items` in the trace; `epoch` as
    in `access_traces.Trace`.
    """

    path: str
    count: int
    warm: int
    epoch: int
    seen: int
    items: int


def main(argument):
    plan = json.loads(argument)
    print(json.dumps(simulate_all(jobs(plan))))


def jobs(plan):
    """Write the traces of a plan, and return the simulations as (policy, trace, size, seed).

    A plan is {"trace", "items", "requests", "warm": {policy: requests}, "share", "seed", "folder"},
    and optionally the "path" of the user's trace, and "options" of the generator. Policies with the
    same warm-up share a trace file.
    """
    groups: dict[int, list[str]] = {}
    for policy, warm in plan["warm"].items():
        groups.setdefault(warm, []).append(policy)
    listed = []
    for warm, policies in groups.items():
        trace = access_traces.make(
            plan["trace"],
            plan["items"],
            plan["requests"],
            plan["seed"],
            path=plan.get("path"),
            warm=warm,
            **plan.get("options", {}),
        )
        file = write(trace, Path(plan["folder"]) / f"{warm}.oracleGeneral")
        size = max(1, round(plan["share"] * trace.items))
        listed += [
            (policy, file, size, plan["seed"])
            for policy in policies
            if eviction.learns_after(policy) <= trace.warm
        ]
    return listed


def write(trace, path):
    """Write a trace to `path`, and return its `TraceFile`."""
    trace_files.write(path, trace.ids)
    seen = len(np.unique(trace.ids[: trace.warm]))
    items = len(np.unique(trace.ids))
    return TraceFile(str(path), len(trace.ids), trace.warm, trace.epoch, seen, items)


def simulate_all(jobs):
    """Run all jobs, the longest first, two at a time. Return {policy: result of `simulate`}."""
    jobs = sorted(jobs, key=lambda job: (job[0] != "lrb", -job[1].count))
    context = multiprocessing.get_context("fork")
    with context.Pool(PROCESSES, maxtasksperchild=1) as pool:
        return {
            result["policy"]: result for result in pool.imap_unordered(_simulate, jobs, chunksize=1)
        }


def _simulate(job):
    return simulate(*job)


def simulate(policy, trace, size, seed):
    """Run one policy over a `TraceFile` and return its measurements.

    `requests` and `hits` leave out the warm-up, `all_hits` does not. `per_epoch` lists the hits of
    each epoch, for MIN only. `ns` is the time per request, `held` the number of objects at the end.
    Raises `ValueError` if the policy holds far fewer objects than fit.
    """
    held, per_epoch = None, []
    if policy in eviction.OURS:
        hits_from, seconds = _ours(policy, trace, size, seed)
    else:
        hits_from, seconds, per_epoch, held = _native(policy, trace, size)
    return {
        "policy": policy,
        "requests": trace.count - trace.warm,
        "warm": trace.warm,
        "hits": hits_from[trace.warm],
        "all_hits": hits_from[0],
        "ns": 1e9 * seconds / trace.count,
        "per_epoch": per_epoch,
        "size": size,
        "held": held,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def cache(policy, size):
    """Return libCacheSim's cache, with a hash table sized for `size` objects.

    The default table has room for 16 million objects, and then each request waits for memory.
    """
    import libcachesim

    chosen = eviction.POLICIES[policy]
    table = {} if chosen.own_table else {"hashpower": max(12, math.ceil(math.log2(size)) + 2)}
    return getattr(libcachesim, chosen.cls)(size, **table, **chosen.options)


def reader(path):
    """Return libCacheSim's reader of an oracleGeneral file."""
    import libcachesim

    options = libcachesim.ReaderInitParam(ignore_obj_size=True)
    return libcachesim.TraceReader(str(path), libcachesim.TraceType.ORACLE_GENERAL_TRACE, options)


def _native(policy, trace, size):
    """Return ({begin: hits from there on}, seconds, hits of each epoch for MIN, objects held)."""
    run, requests = cache(policy, size), reader(trace.path)
    by_epoch = policy == "belady" and trace.epoch
    bounds = range(0, trace.count + 1, trace.epoch) if by_epoch else [0, trace.warm, trace.count]
    seconds, hits, held = 0.0, {}, {}
    for begin, end in pairwise(dict.fromkeys(bounds)):
        started = time.perf_counter()
        missed, _ = run.process_trace(requests, start_req=begin, max_req=end - begin)
        seconds += time.perf_counter() - started
        hits[begin], held[end] = round((1 - missed) * (end - begin)), run.get_n_obj()
    now, objects = trace.count, trace.items
    if eviction.POLICIES[policy].sees_future:  # at the end it lets go of what nobody reads again
        now, objects = trace.warm, trace.seen
    eviction.check_held(policy, held[now], min(size, objects))
    hits_from = {first: sum(n for begin, n in hits.items() if begin >= first) for first in hits}
    return hits_from, seconds, list(hits.values()) if by_epoch else [], held[now]


def _ours(policy, trace, size, seed):
    ids = trace_files.read(trace.path)["id"].tolist()
    started = time.perf_counter()
    hits = eviction.OURS[policy](ids, size, seed)
    seconds = time.perf_counter() - started
    return {begin: sum(hits[begin:]) for begin in (0, trace.warm)}, seconds


if __name__ == "__main__":
    main(sys.argv[1])
