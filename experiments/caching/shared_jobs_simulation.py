"""Simulate jobs that share a data set: `python -m experiments.caching.shared_jobs_simulation JSON`.

JSON is {"items", "jobs", "lag", "share", "epochs", "warm_epochs", "seed"}; epochs are those of each
job. The program prints one JSON object: the requests that count, and the hits of each policy.
"""

import json
import sys
from collections.abc import Callable

from experiments.caching import access_traces, eviction, plain_caches, theory

Policy = Callable[[list[int], int], list[bool]]


def policies(jobs: int, lag: float, share: float, items: int) -> dict[str, Policy]:
    """Return {name: policy}, with our own set for these jobs."""
    kept = round(theory.kept_for_good(share, jobs, lag, items) * items)
    return {
        "min": plain_caches.belady_min,
        "fifo": plain_caches.fifo,
        "lru": plain_caches.lru,
        "never_replace": lambda ids, size: eviction.never_replace(ids, size, 0),
        "keep_and_pass": lambda ids, size: plain_caches.keep_and_pass(ids, size, kept, jobs),
    }


def simulate(plan: dict) -> dict:
    """Return {"requests": those that count, "hits": {policy: hits among them}}."""
    items, jobs, lag, share = (plan[name] for name in ("items", "jobs", "lag", "share"))
    of_all = items * jobs
    trace = access_traces.make(
        "jobs",
        items,
        plan["epochs"] * of_all,
        plan["seed"],
        warm=plan["warm_epochs"] * of_all,
        count=jobs,
        lag=lag,
    )
    ids, size = trace.ids.tolist(), round(share * items)
    hits = {
        name: sum(policy(ids, size)[trace.warm :])
        for name, policy in policies(jobs, lag, share, items).items()
    }
    return {"requests": len(ids) - trace.warm, "hits": hits}


if __name__ == "__main__":
    print(json.dumps(simulate(json.loads(sys.argv[1]))))
