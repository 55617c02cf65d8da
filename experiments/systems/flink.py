"""A standalone cluster of Apache Flink: a JobManager, and TaskManagers on any hosts.

Its jars come from the build of experiments/streaming/pipelines. Each TaskManager has one slot, so a
job of parallelism 2 runs in two of them. Checkpoints go to a folder that all hosts must share.
"""

import json
import urllib.request
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from benchpaper import Host, Process
from experiments.systems import asking, server

MANAGER = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
WORKER = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"
PATIENCE_S = 240.0  # five runtimes start at once, each with several seconds of CPU time
HEAP_MB = {MANAGER: 256, WORKER: 192}
OPTIONS = [
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",  # a short life; the second compiler would take the job's CPU
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:+PerfDisableSharedMem",  # no file in the temporary folder
]
# Flink's own start scripts derive these from one number; started without them, it asks for each.
MEMORY = {
    "taskmanager.cpu.cores": 1.0,
    "taskmanager.memory.framework.heap.size": "64m",
    "taskmanager.memory.task.heap.size": "128m",
    "taskmanager.memory.framework.off-heap.size": "32m",
    "taskmanager.memory.task.off-heap.size": "0m",
    "taskmanager.memory.network.min": "16m",
    "taskmanager.memory.network.max": "16m",
    "taskmanager.memory.managed.size": "16m",
    "taskmanager.memory.jvm-metaspace.size": "96m",
    "taskmanager.memory.jvm-overhead.min": "64m",
    "taskmanager.memory.jvm-overhead.max": "64m",
}
# Hadoop is on the class path for Parquet only, and its logins do not work on this Java.
LOGINS = {
    "security.delegation.tokens.enabled": "false",
    "security.module.factory.classes": "org.apache.flink.runtime.security.modules."
    "JaasModuleFactory",
}
# Two calls that fail, a heartbeat each, tell of a worker that was killed: 1 s instead of 20 s. One
# that only answers late on a busy machine is not lost.
HEARTBEATS = {
    "heartbeat.interval": "500 ms",
    "heartbeat.timeout": "60 s",
    "pekko.ask.timeout": "60 s",
}


class Cluster:
    """A cluster as a context manager; `endpoint` is host:port of its REST server.

    `runtimes` are (host, Java program, class path): the first runs the JobManager, and the others a
    TaskManager each.
    """

    endpoint: str

    def __init__(self, runtimes: Sequence[tuple[Host, Any, str]]):
        self._manager, *self._places = runtimes
        self.workers: list[Process] = []
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            host = self._manager[0]
            process, (self._rpc, rest) = server.start(
                host,
                "Flink's JobManager",
                self._starting,
                self._answers,
                ports=2,
                timeout=PATIENCE_S,
            )
            stack.callback(process.stop)
            self.endpoint = f"{host.address}:{rest}"
            for number in range(len(self._places)):
                self.workers.append(self._worker(number))
                stack.callback(self._stop, number)
            self.wait_for_workers()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _stop(self, number: int) -> None:
        self.workers[number].stop()

    def lose_worker(self, number: int) -> None:
        """End a TaskManager at once, by SIGKILL."""
        host = self._places[number][0]
        host.run(["kill", "-9", self.workers[number].pid])
        self.workers[number].wait(20)

    def replace_worker(self, number: int) -> None:
        """Start a TaskManager in the place of one that was lost; do not wait for it."""
        self.workers[number] = self._worker(number)

    def wait_for_workers(self) -> None:
        """Return once each place has a TaskManager. Raises `HostError` if one has ended."""
        host, due = self._manager[0], len(self._places)
        for number, process in enumerate(self.workers, 1):
            server.wait(
                f"Flink's TaskManager {number} of {due}",
                process,
                lambda: asking.ask(host, has_workers, self.endpoint, due),
                PATIENCE_S,
            )

    def _starting(self, rpc: int, rest: int) -> Sequence[Any]:
        host = self._manager[0]
        return self._command(self._manager, MANAGER, rpc) + _settings({
            "jobmanager.bind-host": host.address,
            "rest.address": host.address,
            "rest.bind-address": host.address,
            "rest.port": rest,
            "rest.bind-port": rest,
        })  # fmt: skip

    def _answers(self, _: int, rest: int) -> None:
        asking.ask(self._manager[0], has_workers, f"{self._manager[0].address}:{rest}", 0)

    def _worker(self, number: int) -> Process:
        place = self._places[number]
        host = place[0]
        return host.start(self._command(place, WORKER, self._rpc) + _settings({
            "taskmanager.host": host.address,
            "taskmanager.bind-host": host.address,
            "taskmanager.numberOfTaskSlots": 1,
            **MEMORY,
        }))  # fmt: skip

    def _command(self, place: tuple[Host, Any, str], main: str, rpc: int) -> list[Any]:
        """Return a command line whose folder of settings is empty: the words have them all."""
        host, java, classpath = place
        folder = Path(host.scratch())
        server.write(host, folder / "config.yaml", "")
        heap = f"-Xmx{HEAP_MB[main]}m"
        options = [heap, f"-Djava.io.tmpdir={folder}", *OPTIONS]
        common = {
            "jobmanager.rpc.address": self._manager[0].address,
            "jobmanager.rpc.port": rpc,
            "io.tmp.dirs": folder,
            **LOGINS,
            **HEARTBEATS,
        }
        words = ["-cp", classpath, main, "--configDir", folder]
        return [java, *options, *words, *_settings(common)]


def has_workers(endpoint: str, due: int) -> None:
    """Raise unless the cluster answers and at least `due` TaskManagers have registered."""
    with urllib.request.urlopen(f"http://{endpoint}/overview", timeout=5) as answer:
        registered = json.load(answer)["taskmanagers"]
    if registered < due:
        raise RuntimeError(f"{registered} of {due} TaskManagers have registered")


def _settings(values: dict[str, Any]) -> list[Any]:
    return [word for key, value in values.items() for word in ("-D", f"{key}={value}")]
