"""Bytewax with its own windows, late events, and recovery, in one worker.

Each key has a watermark of its own. The system's clock would move it as well, and after a stall
call events late that are in time; so it stands still here. The place in a partition is part of the
recovery's state, which is stored once a whole epoch is written.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import bytewax.operators as op
import bytewax.operators.windowing as windowing
from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.testing import cluster_main
from confluent_kafka import Consumer, TopicPartition

from experiments.streaming.from_topic import Event, Job, count, received

BATCH, WAIT_S = 1000, 0.005
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
GATHER = timedelta(milliseconds=50)  # how long rows of a window wait for others
MS = timedelta(milliseconds=1)


class Partition(StatefulSourcePartition):
    def __init__(self, job: Job, place: int, resume: int):
        self._job, self._stop, self._next = job, job.stops[place], resume
        settings = {"bootstrap.servers": job.servers, "group.id": job.group, "log_level": 0}
        self._consumer = Consumer({**settings, "enable.auto.commit": False})
        self._consumer.assign([TopicPartition(job.topic, place, resume)])

    def next_batch(self):
        if self._next >= self._stop:
            raise StopIteration
        events = []
        for message in self._consumer.consume(BATCH, WAIT_S):
            _, offset, value = received(message)
            if offset < self._stop:
                events.append(self._job.parse(value))
                self._next = offset + 1
        return events

    def snapshot(self):
        return self._next

    def close(self):
        self._consumer.close()


class Topic(FixedPartitionedSource):
    def __init__(self, job: Job):
        self._job = job

    def list_parts(self):
        return [str(place) for place in range(len(self._job.stops))]

    def build_part(self, step_id, for_part, resume_state):
        return Partition(self._job, int(for_part), resume_state or 0)


class Write(StatelessSinkPartition):
    def __init__(self, job: Job):
        self._job = job

    def write_batch(self, items):
        for _, rows in items:
            self._job.put(self._job.unique(), rows)


class Lake(DynamicSink):
    def __init__(self, job: Job):
        self._job = job

    def build(self, step_id, worker_index, worker_count):
        return Write(self._job)


def run(job: Job) -> None:
    length = timedelta(milliseconds=job.window)

    def time_of(event: Event) -> datetime:
        return EPOCH + event[1] * MS

    def summed(item):
        key, (window, (n, total, newest)) = item
        return str(window), (window * job.window, int(key), n, total, newest, False)

    def late(item):
        _, (window, (key, at, value)) = item
        return str(window), (window * job.window, key, 1, value, at, True)

    flow = Dataflow("pipeline")
    events = op.key_on("key", op.input("topic", flow, Topic(job)), lambda event: str(event[0]))
    clock = windowing.EventClock(time_of, job.delay * MS, now_getter=lambda: EPOCH)
    windower = windowing.TumblingWindower(length, align_to=EPOCH)
    out = windowing.fold_window(
        "windows", events, clock, windower, lambda: [0, 0, 0], count, _merged, ordered=False
    )
    rows = op.merge("rows", op.map("sums", out.down, summed), op.map("late", out.late, late))
    op.output("lake", op.collect("gather", rows, GATHER, 64), Lake(job))
    folder = Path(job.folder) / "bytewax"
    folder.mkdir()
    init_db_dir(folder, 1)
    epoch = timedelta(milliseconds=job.checkpoint_ms)
    recovery = RecoveryConfig(folder)
    cluster_main(flow, [], 0, epoch_interval=epoch, recovery_config=recovery)
    job.end()


def _merged(a: list[int], b: list[int]) -> list[int]:
    return [a[0] + b[0], a[1] + b[1], max(a[2], b[2])]
