"""The pipeline as a plain loop in Python, from a broker that speaks Kafka's protocol."""

from confluent_kafka import Consumer, TopicPartition

from experiments.streaming.from_topic import Job, Windows, received

BATCH, WAIT_S = 2000, 0.1


def run(job: Job) -> None:
    settings = {"bootstrap.servers": job.servers, "group.id": job.group, "log_level": 0}
    consumer = Consumer({**settings, "enable.auto.commit": False, "auto.offset.reset": "earliest"})
    # With a single reader, no consumer group needs to divide the partitions.
    consumer.assign([TopicPartition(job.topic, place, 0) for place in range(len(job.stops))])
    windows = [Windows(job) for _ in job.stops]
    open_ = {place for place, stop in enumerate(job.stops) if stop}
    while open_:
        for message in consumer.consume(BATCH, WAIT_S):
            place, offset, value = received(message)
            closed = windows[place].add(offset, job.parse(value))
            if offset + 1 == job.stops[place]:
                open_.remove(place)
                closed += windows[place].finish(offset + 1)
            for window, rows, resume in closed:
                job.put(f"{place}/{window:020d}.parquet", rows)
                offsets = [TopicPartition(job.topic, place, resume)]
                consumer.commit(offsets=offsets, asynchronous=False)
    job.end()
    consumer.close()
