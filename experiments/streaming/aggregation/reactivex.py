"""ReactiveX for Python."""

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
        operators.flat_map(lambda window: window.pipe(operators.reduce(grown, seed=None))),
        operators.filter(
            lambda totals: totals is not None
        ),  # a window is opened after the last event, too
        operators.map_indexed(lambda totals, window: (window, totals)),
    )
    windows.subscribe(lambda closed: job.take(*closed), on_error=_raise)


def _raise(error):
    raise error
