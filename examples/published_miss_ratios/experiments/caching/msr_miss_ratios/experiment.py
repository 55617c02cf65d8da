"""How often do cache replacement algorithms miss on block traces? Others measured it."""

from benchpaper import Experiment, Factor, Metric

experiment = Experiment(
    title="Miss ratios on the MSR traces",
    question="How often do cache replacement algorithms miss on block traces?",
    factors=[
        Factor("algorithm", ["FIFO", "LRU", "ARC", "S3FIFO"], meaning="as the artifact names them"),
        Factor(
            "cache_share", [0.001, 0.1], unit="1", meaning="cache size as a share of all objects"
        ),
    ],
    metrics=[
        Metric(
            "miss_ratio",
            unit="1",
            better="lower",
            minimum=0,
            meaning="share of the requests of a trace that the simulated cache missed",
        ),
    ],
)
