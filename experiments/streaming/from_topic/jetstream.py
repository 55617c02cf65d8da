"""The pipeline as a plain loop in Python, from a stream of NATS JetStream.

A stream has no partitions: each has a subject and a consumer of its own. Messages are acknowledged
after the write.
"""

import asyncio
import struct
import sys
import time
from pathlib import Path

import nats
from nats.errors import TimeoutError as NothingCame
from nats.js.api import AckPolicy, ConsumerConfig, StreamConfig

from experiments.streaming.from_topic import BINARY, Job, Windows, say

BATCH, WAIT_S, AHEAD = 500, 0.1, 10_000
PATIENCE_S = 60  # the server stores messages after it has taken them
PLACE = struct.Struct(">i")  # a file of messages has all places first, then all values
RECORD = PLACE.size + BINARY.size


def run(job: Job) -> None:
    asyncio.run(_run(job))


async def _run(job: Job) -> None:
    client = await nats.connect(f"nats://{job.servers}", allow_reconnect=False)
    stream = client.jetstream()
    await asyncio.gather(*[_partition(job, stream, place) for place in range(len(job.stops))])
    job.end()
    await client.close()


async def _partition(job: Job, stream, place: int) -> None:
    stop, windows, number = job.stops[place], Windows(job), 0
    settings = ConsumerConfig(ack_policy=AckPolicy.EXPLICIT, max_ack_pending=-1, ack_wait=600)
    subject, name = f"{job.topic}.{place}", f"{job.group}-{place}"
    messages = await stream.pull_subscribe(subject, name, stream=job.topic, config=settings)
    waiting: list = []  # messages that are not acknowledged yet, the first of them `acked`
    acked = 0
    while number < stop:
        try:
            batch = await messages.fetch(min(BATCH, stop - number), timeout=WAIT_S)
        except NothingCame:
            continue
        for message in batch:
            waiting.append(message)
            closed = windows.add(number, job.parse(message.data))
            number += 1
            if number == stop:
                closed += windows.finish(number)
            for window, rows, resume in closed:
                job.put(f"{place}/{window:020d}.parquet", rows)
                for written in waiting[: resume - acked]:
                    await written.ack()
                waiting, acked = waiting[resume - acked :], resume


async def publish(endpoint: str, topic: str, path: str) -> None:
    """Publish a file of messages as fast as the server takes them, and say how fast.

    Messages are not acknowledged one by one; at the end the server must have all of them.
    """
    data = Path(path).read_bytes()
    places = [place for (place,) in PLACE.iter_unpack(data[: len(data) // RECORD * PLACE.size])]
    values = data[len(places) * PLACE.size :]
    client = await nats.connect(f"nats://{endpoint}", allow_reconnect=False)
    stream = client.jetstream()
    await stream.add_stream(StreamConfig(name=topic, subjects=[f"{topic}.*"]))
    begin = time.perf_counter()
    for number, place in enumerate(places):
        value = values[number * BINARY.size : (number + 1) * BINARY.size]
        await client.publish(f"{topic}.{place}", value)
        if number % AHEAD == 0:
            await client.flush()
    await client.flush()
    end = time.perf_counter() + PATIENCE_S
    while (stored := (await stream.stream_info(topic)).state.messages) != len(places):
        if time.perf_counter() > end:
            raise RuntimeError(f"JetStream has {stored} of {len(places)} messages")
        await asyncio.sleep(WAIT_S / 10)
    say(sent=len(places), seconds=time.perf_counter() - begin)
    await client.close()


if __name__ == "__main__":
    asyncio.run(publish(*sys.argv[1:]))
