"""Bytewax in one worker. Its sources deliver events in batches; its operators see single events."""

# The metric lines_of_code counts the lines of this file, so the formatter must not change them.
# fmt: off

from itertools import islice

import bytewax.operators as op
from bytewax.dataflow import Dataflow
from bytewax.inputs import DynamicSource, StatelessSourcePartition
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.testing import run_main

from experiments.streaming.aggregation import add

BATCH = 1000
END = None


class Events(StatelessSourcePartition):
    def __init__(self, job):
        self._events, self._ended = job.source(), False

    def next_batch(self):
        batch = list(islice(self._events, BATCH))
        if not batch and self._ended:
            raise StopIteration
        self._ended = not batch
        return batch or [END]


class Results(StatelessSinkPartition):
    def __init__(self, job):
        self._job = job

    def write_batch(self, items):
        for _, (window, totals) in items:
            self._job.take(window, totals)


class Source(DynamicSource):
    def __init__(self, job):
        self._job = job

    def build(self, step_id, worker_index, worker_count):
        return Events(self._job)


class Sink(DynamicSink):
    def __init__(self, job):
        self._job = job

    def build(self, step_id, worker_index, worker_count):
        return Results(self._job)


def run(job):
    def windowed(state, numbered):
        current, totals = state or (0, {})
        if numbered is END:
            return state, [(current, totals)]
        number, event = numbered
        closed: list[tuple] = []
        if number // job.length != current:
            closed, current, totals = [(current, totals)], number // job.length, {}
        add(totals, event)
        return (current, totals), closed

    flow = Dataflow("aggregate")
    events = op.key_on("all", op.input("events", flow, Source(job)), lambda numbered: "all")
    op.output("results", op.stateful_flat_map("window", events, windowed), Sink(job))
    run_main(flow)
