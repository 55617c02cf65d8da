"""How to start the pipelines of `from_topic`, which are used from Python, on a host."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchpaper import Host
from experiments.systems import packages, spark

ENGINES: dict[str, list[str]] = {  # level: the capabilities that it needs
    "python": [packages.package("confluent-kafka")],
    "jetstream": [packages.package("nats-py")],
    "bytewax": [packages.package("bytewax"), packages.package("confluent-kafka")],
    "spark": ["spark"],
}
SHARE = 10  # of the events of an engine on the JVM, one in so many: Python takes as much longer
SPARK_BATCHES = 4  # in a topic that is full before, so that its watermark moves
ROOT = Path(__file__).parents[2]


def command(host: Host, engine: str, words: Mapping[str, Any], events: int) -> list[Any]:
    """Return the command line of a pipeline from a topic of so many events."""
    python: Any = host.python
    extra: dict[str, Any] = {}
    before: list[Any] = []
    if engine == "spark":
        home = spark.prefix()
        if home is None:
            raise RuntimeError("BENCHPAPER_SPARK is not set; see experiments/systems/spark.py")
        python = home / "bin" / "python"
        before = ["env", f"PYTHONPATH={ROOT}", f"PYSPARK_PYTHON={python}"]
        extra = dict(
            jars=",".join(map(str, spark.jars())),
            per_batch=max(1, events // SPARK_BATCHES),
        )
    program = [python, "-m", "experiments.streaming.from_topic", engine]
    return [*before, *program, *(f"{key}={value}" for key, value in {**words, **extra}.items())]
