"""ReactiveX for Python."""

# The metric lines_of_code counts the lines of this file, so the formatter must not change them.
# fmt: off

import reactivex
from reactivex import operators

from experiments.streaming.aggregation import add


def grown(totals, numbered):
    totals = {} if totals is None else totals
    add(totals, numbered[1])
    return totals


def run(job):
    windows = reactivex.from_iterable(job.source()).pipe(
        operators.window_with_count(job.length),
        operators.flat_map(operators.reduce(grown, seed=None)),
        # ReactiveX opens another window after the last event.
        operators.filter(lambda totals: totals is not None),
        operators.map_indexed(lambda totals, window: (window, totals)),
    )
    windows.subscribe(lambda closed: job.take(*closed), on_error=_raise)


def _raise(error):
    raise error
