"""Through a broker of the Kafka protocol: a producer sends every event as a message, a consumer aggregates them."""

import uuid

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from experiments.workloads.aggregation import add

WAIT_S = 20
CONNECT_S = 5


def run(job):
    topic = f"events-{uuid.uuid4().hex}"
    servers = {"bootstrap.servers": job.endpoint, "log_level": 0}
    admin = AdminClient(servers)
    try:
        admin.create_topics([NewTopic(topic, 1, 1)], request_timeout=CONNECT_S)[topic].result(WAIT_S)
    except KafkaException as error:
        raise SystemExit(f"the broker at {job.endpoint} refuses: {error.args[0].str()}") from None
    produce(job, topic, servers)
    consume(job, topic, servers)


def produce(job, topic, servers):
    producer = Producer({**servers, "acks": "all", "linger.ms": 5, "queue.buffering.max.messages": 100_000})
    for _, event in job.source():
        while True:
            try:
                producer.produce(topic, event.to_bytes(8, "little", signed=True))
                break
            except BufferError:  # the client's queue is full: wait for the broker
                producer.poll(0.01)
    if left := producer.flush(WAIT_S):
        raise TimeoutError(f"the broker did not take {left} of {len(job.events)} events within {WAIT_S} s")


def consume(job, topic, servers):
    consumer = Consumer({**servers, "group.id": topic, "auto.offset.reset": "earliest", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, 0, 0)])  # there is one reader: no group has to agree on who reads what
    number, totals, current = 0, {}, 0
    try:
        while number < len(job.events):
            messages = consumer.consume(1000, WAIT_S)
            if not messages:
                raise TimeoutError(f"the broker sent {number} of {len(job.events)} events, then nothing for {WAIT_S} s")
            for message in messages:
                if message.error():
                    raise KafkaException(message.error())
                if number // job.length != current:
                    job.take(current, totals)
                    totals, current = {}, number // job.length
                add(totals, int.from_bytes(message.value(), "little", signed=True))
                number += 1
        job.take(current, totals)
    finally:
        consumer.close()
