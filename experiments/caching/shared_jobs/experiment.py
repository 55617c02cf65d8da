"""When jobs share a data set and a cache, what should the cache evict?"""

import json

from benchpaper import Block, Evidence, Experiment, Factor, Metric, Scale

# The host runs the simulation. Importing it includes it in the experiment's digest.
from experiments.caching import shared_jobs_simulation, theory  # noqa: F401 - see above

POLICIES = {
    "min": "Belady's MIN",
    "fifo": "FIFO",
    "lru": "LRU",
    "never_replace": "a cache that never replaces",
    "keep_and_pass": "our own: some items for good, the others in a FIFO from first to last job",
}

experiment = Experiment(
    title="Jobs that share a data set",
    question="When jobs share a data set and a cache, what should the cache evict?",
    factors=[
        Factor("jobs", [2, 4, 8], meaning="jobs that read the same shuffles, in turn"),
        Factor(
            "lag",
            [1 / 64, 1 / 32, 1 / 16, 1 / 8],
            meaning="how far each job is behind the one before it, as a share of an epoch",
        ),
        Factor(
            "share",
            [0.1, 0.25, 0.5, 0.75],
            meaning="c: the cache's size as a share of the items",
        ),
    ],
    metrics=[
        *(
            Metric(
                f"hits_{name}",
                unit="1",
                better="higher",
                meaning=f"hit ratio of all jobs together after the warm-up, of {meaning}",
            )
            for name, meaning in POLICIES.items()
        ),
        Metric(
            "fifo_over_never",
            unit="1",
            better="neither",
            meaning="hit ratio of FIFO over that of a cache that never replaces",
        ),
        Metric(
            "kept_over_min",
            unit="1",
            better="higher",
            meaning="hit ratio of our own policy over MIN's",
        ),
        Metric(
            "lru_off_points",
            unit="1",
            better="neither",
            optional=True,
            minimum=-100,
            meaning="hit ratio of LRU minus its closed form, in percentage points; where all jobs "
            "together span less than the cache",
        ),
        Metric(
            "kept_off_points",
            unit="1",
            better="neither",
            minimum=-100,
            meaning="hit ratio of our own policy minus its formula, in percentage points",
        ),
    ],
    evidence=[Evidence("simulated", "requests that count, after the warm-up")],
    packages=("numpy",),
    twin=dict(jobs=4, lag=1 / 8, share=0.5),
    block=Block(over="seed", levels=range(1, 9), meaning="seed of the shuffles"),
    timeout_s=60,
    scales=dict(
        smoke=Scale(
            blocks=2,
            trial_seconds=0.5,
            disk_mb=1,
            jobs=[4],
            lag=[1 / 16, 1 / 8],
            share=[0.25, 0.5],
            counts=dict(items=1_000, epochs=4, warm_epochs=2),
        ),
        quick=Scale(
            blocks=5,
            trial_seconds=0.8,
            disk_mb=1,
            jobs=[4],
            lag=[1 / 16, 1 / 8],
            share=[0.25, 0.5],
            counts=dict(items=2_000, epochs=6, warm_epochs=2),
        ),
        full=Scale(
            trial_seconds=1.5, disk_mb=1, counts=dict(items=8_000, epochs=10, warm_epochs=2)
        ),
    ),
)


@experiment.trial
def trial(cell, site):
    counts = site.counts
    plan = {
        "items": counts.items,
        "epochs": counts.epochs,
        "warm_epochs": counts.warm_epochs,
        "seed": site.block.seed % 2**32,
        "jobs": cell.jobs,
        "lag": cell.lag,
        "share": cell.share,
    }
    program = [site.client.python, "-m", "experiments.caching.shared_jobs_simulation"]
    result = json.loads(site.client.run([*program, json.dumps(plan)]).stdout)
    yield observation(cell, result, counts)


def observation(cell, result, counts):
    """Return one row. Raises `ValueError` if FIFO hits less than is proved that it must."""
    ratios = {name: hits / result["requests"] for name, hits in result["hits"].items()}
    least = theory.fifo_shared_least(cell.share, cell.jobs, cell.lag, counts.epochs)
    if ratios["fifo"] < least:
        raise ValueError(f"{cell.id}: FIFO hits {ratios['fifo']:.4f}, at least {least:.4f} proved")
    row = {f"hits_{name}": ratio for name, ratio in ratios.items()}
    row["fifo_over_never"] = ratios["fifo"] / ratios["never_replace"]
    row["kept_over_min"] = ratios["keep_and_pass"] / ratios["min"]
    formula = theory.keep_and_pass(cell.share, cell.jobs, cell.lag, counts.items)
    row["kept_off_points"] = 100 * (ratios["keep_and_pass"] - formula)
    if cell.jobs * cell.lag < cell.share:
        form = theory.lru_shared(cell.share, cell.jobs, cell.lag)
        row["lru_off_points"] = 100 * (ratios["lru"] - form)
    return {**row, "simulated": str(result["requests"])}
