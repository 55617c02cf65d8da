"""Aggregation through a broker of the Kafka protocol.

A producer sends every event as a message. In between, a consumer aggregates the events that have
arrived.
"""

# The metric lines_of_code counts the lines of this file, so the formatter must not change them.
# fmt: off
# ruff: noqa: E501

import uuid

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from experiments.streaming.aggregation import add

WAIT_S = 20
CONNECT_S = 5
AHEAD = 20_000  # limit of events in flight to the broker
TURN = 1000  # events that producer and consumer handle before they take turns


def run(job):
    topic = f"events-{uuid.uuid4().hex}"
    servers = {"bootstrap.servers": job.endpoint, "log_level": 0}
    admin = AdminClient(servers)
    try:
        admin.create_topics([NewTopic(topic, 1, 1)], request_timeout=CONNECT_S)[topic].result(WAIT_S)
    except KafkaException as error:
        raise SystemExit(f"the broker at {job.endpoint} refuses: {error.args[0].str()}") from None
    consumer = Consumer({**servers, "group.id": topic, "auto.offset.reset": "earliest", "enable.auto.commit": False})
    # With a single reader, no consumer group needs to divide the partitions.
    consumer.assign([TopicPartition(topic, 0, 0)])
    try:
        through(job, topic, Producer({**servers, "acks": "all", "linger.ms": 5}), consumer)
    finally:
        consumer.close()


def through(job, topic, producer, consumer):
    aggregate = Aggregate(job)
    for number, event in job.source():
        producer.produce(topic, event.to_bytes(8, "little", signed=True))
        if (number + 1) % TURN == 0:
            producer.poll(0)
            aggregate.take(consumer.consume(TURN, 0))
            while len(producer) > AHEAD:  # the broker is behind
                producer.poll(0.01)
    if left := producer.flush(WAIT_S):
        raise TimeoutError(f"the broker did not take {left} of {len(job.events)} events within {WAIT_S} s")
    while aggregate.number < len(job.events):
        messages = consumer.consume(TURN, WAIT_S)
        if not messages:
            raise TimeoutError(f"the broker sent {aggregate.number} of {len(job.events)} events, then nothing for {WAIT_S} s")
        aggregate.take(messages)


class Aggregate:
    """Counts and sums the messages in order."""

    def __init__(self, job):
        self.job, self.number, self.totals, self.current = job, 0, {}, 0

    def take(self, messages):
        for message in messages:
            if message.error():
                raise KafkaException(message.error())
            add(self.totals, int.from_bytes(message.value(), "little", signed=True))
            self.number += 1
            if self.number % self.job.length == 0 or self.number == len(self.job.events):
                self.job.take(self.current, self.totals)
                self.totals, self.current = {}, self.current + 1
