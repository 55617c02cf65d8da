"""Polars, which works on whole columns. Its rate is a batch rate, not a rate of single events."""

# The metric lines_of_code counts the lines of this file, so the formatter must not change them.
# fmt: off
# ruff: noqa: E501

import time

import numpy as np
import polars


def run(job):
    job.begin = time.perf_counter()
    job.read = [job.begin] * job.windows  # reads all windows at once
    events = np.frombuffer(job.events, dtype=np.int64)
    frame = polars.DataFrame({"window": np.arange(len(events)) // job.length, "key": events & 255, "value": events >> 8})
    totals = frame.group_by("window", "key").agg(polars.len().alias("count"), polars.col("value").sum())
    for window, rows in totals.partition_by("window", as_dict=True).items():
        job.take(window[0], {key: (count, total) for _, key, count, total in rows.iter_rows()})
