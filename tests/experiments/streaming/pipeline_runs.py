"""What the tests of the pipelines share."""

from benchpaper.design.spec import make_cell

COUNTS = dict(warmup=0.02, seconds=0.02, events=25_000)
BROKERS = ["kafka", "nats"]


def held(strategy, buffer, between, input_buffer):
    return make_cell(
        dict(strategy=strategy, buffer=buffer, boundaries=between, input_buffer=input_buffer)
    )
