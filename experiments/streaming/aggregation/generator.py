"""A loop over a generator: what Python costs without an engine."""

from experiments.streaming.aggregation import add


def run(job):
    totals, current = {}, 0
    for number, event in job.source():
        if number // job.length != current:
            job.take(current, totals)
            totals, current = {}, number // job.length
        add(totals, event)
    job.take(current, totals)
