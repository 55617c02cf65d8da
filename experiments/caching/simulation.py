"""Simulate eviction policies on one trace: `python -m experiments.caching.simulation JSON`.

This program runs on the host. It writes the trace to a file and runs libCacheSim's own loop over
it, two policies at a time. Each simulation has its own process, so that memory does not grow with
the number of simulations. Policies with fewer requests read a shorter file. The program prints one
JSON object.
"""

import json
import math
import multiprocessing
import resource
import sys
import time
from pathlib import Path

from experiments.caching import access_traces, plain_caches, trace_files

# Our name to libCacheSim 0.3.5's name: everything that it offers, except Python plug-ins.
POLICIES = {
    "belady": "Belady",
    "belady_size": "BeladySize",
    "fifo": "FIFO",
    "lru": "LRU",
    "lfu": "LFU",
    "lfu_da": "LFUDA",
    "lru_k": "LRUK",
    "two_q": "TwoQ",
    "slru": "SLRU",
    "mq": "MQ",
    "clock": "Clock",
    "clock_pro": "ClockPro",
    "clock_2q_plus": "Clock2QPlus",
    "sieve": "Sieve",
    "s3_fifo": "S3FIFO",
    "arc": "ARC",
    "lirs": "LIRS",
    "w_tinylfu": "WTinyLFU",
    "random": "Random",
    "lru_prob": "LRUProb",
    "flash_prob": "FlashProb",
    "size": "Size",
    "gdsf": "GDSF",
    "hyperbolic": "Hyperbolic",
    "lhd": "LHD",
    "lecar": "LeCaR",
    "cacheus": "Cacheus",
    "gl_cache": "GLCache",
    "lrb": "LRB",
    "three_l_cache": "ThreeLCache",
}
OURS = "uniform_random"
NAMES = (*POLICIES, OURS)
PROCESSES = 2


def main(argument):
    plan = json.loads(argument)
    folder, jobs, lengths = Path(plan["folder"]), [], {}
    for policy, requests in sorted(plan["requests"].items(), key=lambda pair: pair[1]):
        if requests not in lengths:
            trace = access_traces.make(
                plan["trace"], plan["items"], requests, plan["seed"], plan.get("path")
            )
            path = folder / f"{requests}.oracleGeneral"
            trace_files.write(path, trace.ids)
            size = max(1, round(plan["share"] * trace.items))
            lengths[requests] = (str(path), len(trace.ids), trace.warm, trace.epoch, size)
            del trace
        jobs.append((policy, *lengths[requests], plan["seed"]))
    print(json.dumps(simulate_all(jobs)))


def simulate_all(jobs):
    """Run all jobs, the longest first, two at a time. Return {policy: result of `simulate`}."""
    jobs = sorted(jobs, key=lambda job: -job[2])
    context = multiprocessing.get_context("fork")
    with context.Pool(PROCESSES, maxtasksperchild=1) as pool:
        return {
            result["policy"]: result for result in pool.imap_unordered(_simulate, jobs, chunksize=1)
        }


def _simulate(job):
    return simulate(*job)


def simulate(policy, path, count, warm, epoch, size, seed):
    """Run one policy over the trace file and return its measurements.

    Requests and hits leave out the first `warm` requests. `per_epoch` lists the hits of each epoch,
    for MIN only. `ns` is the time per request.
    """
    if policy == OURS:
        hits, seconds = _ours(path, size, seed, warm)
        per_epoch = []
    else:
        hits, seconds, per_epoch = _native(policy, path, count, warm, epoch, size)
    return {
        "policy": policy,
        "requests": count - warm,
        "hits": hits,
        "ns": 1e9 * seconds / count,
        "per_epoch": per_epoch,
        "size": size,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def cache(policy, size):
    """Return libCacheSim's cache, with a hash table sized for `size` objects.

    The default table has room for 16 million objects, and then each request waits for memory. Two
    policies keep the default, because their hit ratio depends on the table's size.
    """
    import libcachesim

    power = (
        {}
        if policy in ("random", "cacheus")
        else {"hashpower": max(12, math.ceil(math.log2(size)) + 2)}
    )
    return getattr(libcachesim, POLICIES[policy])(size, **power)


def reader(path):
    """Return libCacheSim's reader of an oracleGeneral file."""
    import libcachesim

    options = libcachesim.ReaderInitParam(ignore_obj_size=True)
    return libcachesim.TraceReader(str(path), libcachesim.TraceType.ORACLE_GENERAL_TRACE, options)


def _native(policy, path, count, warm, epoch, size):
    held, requests = cache(policy, size), reader(path)
    slices = [(0, count)]
    if policy == "belady" and epoch:
        slices = [(begin, epoch) for begin in range(0, count, epoch)]
    elif warm:
        slices = [(0, warm), (warm, count - warm)]
    seconds, hits = 0.0, []
    for begin, length in slices:
        started = time.perf_counter()
        missed, _ = held.process_trace(requests, start_req=begin, max_req=length)
        seconds += time.perf_counter() - started
        hits.append(round((1 - missed) * length))
    if policy == "belady" and epoch:
        return sum(hits[1:]), seconds, hits
    return hits[-1], seconds, []


def _ours(path, size, seed, warm):
    ids = trace_files.read(path)["id"].tolist()
    started = time.perf_counter()
    hits = plain_caches.uniform_random(ids, size, seed)
    return sum(hits[warm:]), time.perf_counter() - started


if __name__ == "__main__":
    main(sys.argv[1])
