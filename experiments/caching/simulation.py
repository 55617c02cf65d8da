"""Simulates eviction policies on one trace, as a program on the host: `python -m experiments.caching.simulation JSON`.

It generates the trace, writes it to a file, and runs libCacheSim's own loop over it, one policy after the other on each
of two processes. Each simulation has a process of its own, so that memory does not grow with their number. The file
gives way to a shorter one for policies that get fewer requests. Prints one JSON object.
"""

import json
import math
import multiprocessing
import resource
import sys
import time
from pathlib import Path

from experiments.caching import access_traces, plain_caches, trace_files

# How libCacheSim 0.3.5 calls them, by our name: everything that it offers but Python plug-ins.
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
    asked = json.loads(argument)
    folder, jobs, lengths = Path(asked["folder"]), [], {}
    for policy, requests in sorted(asked["requests"].items(), key=lambda pair: pair[1]):
        if requests not in lengths:
            trace = access_traces.make(
                asked["trace"], asked["items"], requests, asked["seed"], asked.get("path")
            )
            path = folder / f"{requests}.oracleGeneral"
            trace_files.write(path, trace.ids)
            size = max(1, round(asked["share"] * trace.items))
            lengths[requests] = (str(path), len(trace.ids), trace.warm, trace.epoch, size)
            del trace
        jobs.append((policy, *lengths[requests], asked["seed"]))
    print(json.dumps(simulate_all(jobs)))


def simulate_all(jobs):
    """Return {policy: what `simulate` found} of jobs, the longest first, on both cores."""
    jobs = sorted(jobs, key=lambda job: -job[2])
    context = multiprocessing.get_context("fork")
    with context.Pool(PROCESSES, maxtasksperchild=1) as pool:
        return {
            found["policy"]: found for found in pool.imap_unordered(_simulate, jobs, chunksize=1)
        }


def _simulate(job):
    return simulate(*job)


def simulate(policy, path, count, warm, epoch, size, seed):
    """Return requests and hits after the first `warm` requests, hits per epoch of MIN, and ns per request."""
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
    """Return libCacheSim's cache. Its hash table is sized for `size` objects (the default is for 16 million, and then
    each request waits for memory), except for the two policies whose hit ratio depends on the table's size."""
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
