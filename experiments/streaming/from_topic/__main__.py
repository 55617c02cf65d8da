"""Run one engine from a topic to Parquet."""

import importlib
import sys

from experiments.streaming.from_topic import Job


def main(engine: str, *words: str) -> None:
    importlib.import_module(f"experiments.streaming.from_topic.{engine}").run(Job(list(words)))


if __name__ == "__main__":
    main(*sys.argv[1:])
