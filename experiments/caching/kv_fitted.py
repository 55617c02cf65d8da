"""Requests for KV-cache blocks, generated from numbers that are fitted to Mooncake's trace.

    python -m experiments.caching.kv_fitted TRACE     # fit, and compare hit-ratio curves
    python -m experiments.caching.kv_fitted JSON      # simulate a plan; see `simulate`

A request lists the blocks of its prompt. All begin with one block that they share. A conversation
goes on after each of its requests with a chance that grows from turn to turn, as it does if each
conversation has a chance of its own, drawn from a beta distribution. The next turn comes some
requests later, and repeats the prompt before it but for the last block, which was not full; a few
turns repeat only its beginning, of two blocks at least. Both add new blocks. Nothing of the trace
itself is in here.
"""

import heapq
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from experiments.caching import simulation
from experiments.caching.access_traces import Trace

PROMPTS = 12_031  # as many as the trace has
SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
POLICIES = ("belady", "lru", "fifo", "sieve", "s3_fifo", "arc", "w_tinylfu")


@dataclass(frozen=True)
class Fit:
    """The numbers of the generator. Means and deviations are those of natural logarithms.

    `alpha` and `beta` shape the chance that a conversation goes on; `lag` counts requests until it
    does. `first` and `more` count the new blocks of a first and of a later turn. A share `forks` of
    the later turns keeps only `kept` of the prompt before. A prompt has at most `longest` blocks.
    """

    alpha: float
    beta: float
    lag_mean: float
    lag_sd: float
    first_mean: float
    first_sd: float
    more_mean: float
    more_sd: float
    forks: float
    kept: float
    longest: int


# By `fit`, of Mooncake's conversation trace (FAST '25) with the digest `kv_trace.SHA256`.
FITTED = Fit(1.6, 3.6, 6.11, 0.98, 2.12, 1.43, 1.16, 1.11, 0.13, 0.26, 247)


def prompts(fit: Fit, count: int, seed: int) -> list[list[int]]:
    """Return the blocks of `count` requests, ids from 1 on; block 1 begins all of them."""
    rng = np.random.default_rng(seed)
    made: list[list[int]] = []
    due: list[tuple[float, int, float]] = []  # when, of which request, its conversation's chance
    fresh = 2

    def drawn(mean: float, sd: float) -> int:
        return max(1, round(float(rng.lognormal(mean, sd))))

    for now in range(count):
        if due and due[0][0] <= now:
            _, before, chance = heapq.heappop(due)
            whole = made[before]
            kept = fit.kept * len(whole) if rng.random() < fit.forks else len(whole) - 1
            prompt, new = whole[: max(2, int(kept))], drawn(fit.more_mean, fit.more_sd)
        else:
            chance = float(rng.beta(fit.alpha, fit.beta))
            prompt, new = [1], drawn(fit.first_mean, fit.first_sd)
        new = max(0, min(new, fit.longest - len(prompt)))
        made.append([*prompt, *range(fresh, fresh + new)])
        fresh += new
        if rng.random() < chance:
            when = now + float(rng.lognormal(fit.lag_mean, fit.lag_sd))
            heapq.heappush(due, (when, now, chance))
    return made


def as_trace(listed: Sequence[Sequence[int]]) -> Trace:
    """Return the `Trace` of the blocks of all prompts in order; half of it is warm-up."""
    ids = np.concatenate([np.asarray(prompt, np.int64) for prompt in listed])
    ids = np.unique(ids, return_inverse=True)[1].astype(np.int64) + 1
    return Trace(ids, int(ids.max()), len(ids) // 2)


def read(path: Path | str) -> list[list[int]]:
    """Return the prompts of a trace in Mooncake's format."""
    with open(path) as lines:
        return [json.loads(line)["hash_ids"] for line in lines]


def fit(listed: Sequence[Sequence[int]]) -> Fit:
    """Return the `Fit` of these prompts, by moments. Raises `ValueError` if none are repeated.

    A prompt is a later turn if it repeats at least two blocks of an earlier one. The chances to go
    on after the first and after the second turn give `alpha` and `beta`.
    """
    owner: dict[int, int] = {}
    turn, lags, first, more, kept = [0] * len(listed), [], [], [], []
    for now, prompt in enumerate(listed):
        same = next((n for n, block in enumerate(prompt) if block not in owner), len(prompt))
        new = len(prompt) - same
        if same > 1:
            before = owner[prompt[same - 1]]
            turn[now] = turn[before] + 1
            lags.append(now - before)
            more.append(max(1, new))
            kept.append((same, len(listed[before])))
        else:
            first.append(max(1, new))
        owner.update(dict.fromkeys(prompt, now))
    turns = np.bincount(turn, minlength=3)
    if not all(turns[:3]):
        raise ValueError("fewer than three turns of a conversation: nothing to fit")
    once, twice = turns[1] / turns[0], turns[2] / turns[1]
    total = (1 - twice) / (twice - once)  # alpha + beta, from the means of the beta distribution
    forked = [same / whole for same, whole in kept if whole - same > 2]
    return Fit(
        once * total,
        (1 - once) * total,
        *_log_moments(lags),
        *_log_moments(first),
        *_log_moments(more),
        len(forked) / len(kept),
        float(np.mean(forked)) if forked else 0.0,
        max(len(prompt) for prompt in listed),
    )


def _log_moments(counts: Sequence[int]) -> tuple[float, float]:
    logs = np.log(counts)
    return float(logs.mean()), float(logs.std())


def simulate(plan: dict) -> dict:
    """Simulate each policy, in a cache for a share of the blocks.

    A plan is {"share", "prompts", "seed", "folder"}, and "path" for the user's trace. Returns
    {"requests": those that count, "warm", "hits": {policy: hits among them}, "all_hits"}.
    """
    prompts_of = (
        read(plan["path"]) if "path" in plan else prompts(FITTED, plan["prompts"], plan["seed"])
    )
    of = as_trace(prompts_of[: plan["prompts"]])
    file = simulation.write(of, Path(plan["folder"]) / "kv.oracleGeneral")
    size = max(1, round(plan["share"] * of.items))
    done = simulation.simulate_all([(policy, file, size, plan["seed"]) for policy in POLICIES])
    return {
        "requests": len(of.ids) - of.warm,
        "warm": of.warm,
        **{of_: {policy: done[policy][of_] for policy in POLICIES} for of_ in ("hits", "all_hits")},
    }


def compare(path: Path, count: int = PROMPTS) -> float:
    """Print what `fit` finds, and the hit-ratio curves; return the largest gap, in points."""
    print(f"fitted now:  {fit(read(path))}\nwritten here: {FITTED}")
    worst = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for share in SHARES:
            plan = {"share": share, "prompts": count, "seed": 1, "folder": folder}
            pair = [simulate({**plan, "path": path}), simulate(plan)]
            for policy in POLICIES:
                real, made = (run["hits"][policy] / run["requests"] for run in pair)
                worst = max(worst, 100 * abs(made - real))
                print(f"c = {share:4} {policy:10} trace {real:.3f}, generated {made:.3f}")
    print(
        f"at most {worst:.1f} percentage points apart, after {pair[0]['warm']} requests of warm-up"
    )
    return worst


if __name__ == "__main__":
    if sys.argv[1].startswith("{"):
        print(json.dumps(simulate(json.loads(sys.argv[1]))))
    else:
        compare(Path(sys.argv[1]))
