"""A loop over a generator, which shows the cost of Python without an engine."""

# The metric lines_of_code counts the lines of this file, so the formatter must not change them.
# fmt: off

from experiments.streaming.aggregation import add


def run(job):
    totals, current = dict[int, tuple[int, int]](), 0
    for number, event in job.source():
        if number // job.length != current:
            job.take(current, totals)
            totals, current = {}, number // job.length
        add(totals, event)
    job.take(current, totals)
