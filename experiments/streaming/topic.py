"""Runs a pipeline from a topic of Apache Kafka to Parquet on S3, and reads what it wrote.

streaming/pipeline measures it, and streaming/delivery breaks it.
"""

import io
import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchpaper import HostError, Process
from experiments.streaming import in_python, pipelines
from experiments.streaming.workload import Workload
from experiments.systems import asking, kafka, s3, seaweedfs

if TYPE_CHECKING:
    import pandas as pd

ENGINES = {  # level: (program, class path)
    "loop": ("LoopPipeline", "pekko"),
    "rxjava": ("RxPipeline", "pekko"),
    "reactor": ("ReactorPipeline", "pekko"),
    "pekko": ("StreamPipeline", "pekko"),
    "akka": ("StreamPipeline", "akka"),
    "flink": ("FlinkPipeline", "flink"),
}
STRICT = (*(name for name in ENGINES if name != "flink"), "python", "jetstream")  # see Watermark
NEEDS = ["loopback", *pipelines.NEEDS, *kafka.NEEDS, *seaweedfs.NEEDS]
CHECKPOINT_MS = 500
HEAP_MB = 512
COLUMNS = ["window", "key", "count", "sum", "newest", "late"]


@contextmanager
def servers(site) -> Iterator[tuple[kafka.Broker, seaweedfs.SeaweedFS]]:
    """Run a broker and an S3 server on the host with the role server."""
    java, classpath = pipelines.runtime(site.server, site.programs, "kafka")
    with (
        kafka.Broker(site.server, java, classpath) as broker,
        seaweedfs.SeaweedFS(site.server) as store,
    ):
        yield broker, store


@dataclass(frozen=True)
class Topic:
    """A topic with a workload, sent or to be sent; `base` is the time of its first event in ms."""

    site: Any
    broker: kafka.Broker
    name: str
    load: Workload

    @classmethod
    def create(cls, site, broker: kafka.Broker, load: Workload) -> "Topic":
        """Make an empty topic with a name of its own."""
        name = f"events-{uuid.uuid4().hex}"
        asking.ask(site.server, _create, broker.endpoint, name, load.partitions)
        return cls(site, broker, name, load)

    def sending(
        self, base: int = -1, *, pace: bool = False, first: int = 0, events: int | None = None
    ) -> Process:
        """Start the producer; its first line has the base (-1: now), and its last line its rate.

        It sends `events` events from number `first` on, by default all that remain.
        """
        words = dict(
            servers=self.broker.endpoint,
            topic=self.name,
            base=base,
            first=first,
            pace=str(pace).lower(),
            **{**self.load.words(), "events": events or self.load.events - first},
        )
        command = pipelines.command(
            self.site.client, self.site.programs, "Produce", words, heap_mb=128
        )
        return self.site.client.start(command)

    def send(self, base: int, timeout: float = 120) -> float:
        """Send all events as fast as the broker takes them; return events per second."""
        with self.sending(base) as producer:
            finished(producer, "Produce", timeout)
            last = json.loads(producer.stdout_text().splitlines()[-1])
        return last["sent"] / last["seconds"]


@dataclass(frozen=True)
class Run:
    """What a pipeline reads and where it writes; each process of one run has the same group."""

    topic: Topic
    endpoint: s3.Endpoint
    engine: str
    delivery: str
    folder: Path  # of checkpoints, on the client
    prefix: str
    parallelism: int = 2
    restarts: str = "none"
    cluster: str = ""  # host:port of a standalone cluster of Flink
    stage: int = -1  # of Flink: steps of work for each event; 0: a request; -1: no such stage

    @classmethod
    def new(
        cls, topic: Topic, endpoint: s3.Endpoint, engine: str, delivery: str = "exactly", **settings
    ) -> "Run":
        folder = topic.site.client.scratch()
        return cls(topic, endpoint, engine, delivery, folder, f"run-{uuid.uuid4().hex}", **settings)

    def start(self, options: Sequence[str] = ()) -> Process:
        """Start the pipeline, from where an earlier process of the run has left it."""
        topic, load, site = self.topic, self.topic.load, self.topic.site
        words = dict(
            servers=topic.broker.endpoint,
            topic=topic.name,
            group=self.prefix,
            stop=",".join(map(str, load.stops())),
            format=load.format,
            window_ms=load.window_ms,
            delay_ms=load.delay_ms,
            delivery=self.delivery,
            url=self.endpoint.url,
            bucket=self.endpoint.bucket,
            access=self.endpoint.access_key,
            secret=self.endpoint.secret_key,
            prefix=self.prefix,
            cluster=self.cluster,
            stage=self.stage,
            checkpoints=self.folder,
            checkpoint_ms=CHECKPOINT_MS,
            parallelism=self.parallelism,
            restarts=self.restarts,
            restore=self._last_checkpoint(),
        )
        if self.engine in in_python.ENGINES:
            line = in_python.command(site.client, self.engine, words, load.events)
            return site.client.start(line)
        program, engine = ENGINES[self.engine]
        command = pipelines.command(
            site.client,
            site.programs,
            program,
            words,
            engine=engine,
            heap_mb=HEAP_MB,
            threads=2,
            options=[f"-Djava.io.tmpdir={self.folder}", *options],
        )
        return site.client.start(command)

    def _last_checkpoint(self) -> str:
        """Return the newest whole checkpoint of Flink, or an empty string."""
        script = 'ls -1t "$0"/*/chk-*/_metadata 2>/dev/null | head -1'
        path = self.topic.site.client.run(["sh", "-c", script, self.folder]).stdout.strip()
        return str(Path(path).parent) if path else ""

    def stored_bytes(self) -> int:
        """Return the size of all objects that were written."""
        store = self.endpoint.obstore(retries=3)
        return sum(entry["size"] for page in store.list(f"{self.prefix}/") for entry in page)

    def rows(self) -> "pd.DataFrame":
        """Return all rows that were written, with the columns `COLUMNS`, in the order of names."""
        import pandas as pd
        import pyarrow.parquet as pq

        store = self.endpoint.obstore(retries=3)
        names = [entry["path"] for page in store.list(f"{self.prefix}/") for entry in page]
        tables = [
            pq.read_table(io.BytesIO(bytes(store.get(name).bytes()))).to_pandas()
            for name in sorted(names)
        ]
        return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=COLUMNS)


def lines(process: Process) -> list[Mapping[str, Any]]:
    """Return what a program has said so far; a line that is not whole yet does not count."""
    said = []
    for line in process.stdout_text().splitlines():
        if line.startswith("{") and line.endswith("}"):
            said.append(json.loads(line))
    return said


def wait_for(
    process: Process, program: str, what: str, seen: Callable[[], object], patience_s: float = 100
) -> None:
    """Return once `seen()` is true. Raises `CommandFailed` if the program ended before that."""
    end = time.monotonic() + patience_s
    while not seen():
        if process.poll() is not None:
            finished(process, program, 1)
            raise HostError(f"{program} ended before it had a {what}")
        if time.monotonic() > end:
            raise HostError(f"{program} had no {what} within {patience_s:g} s")
        time.sleep(0.1)


def finished(process: Process, program: str, timeout: float) -> list[Mapping[str, Any]]:
    """Wait for a program's end, and return what it said. Raises `CommandFailed` if it failed."""
    status = process.wait(timeout)
    pipelines.check_status(program, status, process.stdout_text(), process.stderr_text())
    return lines(process)


def _create(endpoint: str, name: str, partitions: int) -> None:
    from confluent_kafka.admin import AdminClient, NewTopic

    admin = AdminClient({"bootstrap.servers": endpoint, "log_level": 0})
    if name not in admin.list_topics(timeout=10).topics:
        admin.create_topics([NewTopic(name, partitions, 1)])[name].result(20)
