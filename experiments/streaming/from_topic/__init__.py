"""The pipeline from a topic to Parquet on S3, on engines used from Python.

Each engine is a module with `run(job)`. It imports nothing of the framework, so that it also runs
in an environment of its own, such as Spark's.

    python -m experiments.streaming.from_topic ENGINE KEY=VALUE...
"""

import io
import json
import re
import struct
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

BINARY = struct.Struct(">iqq")  # key, time in ms, value
NEVER = -(1 << 62)
Event = tuple[int, int, int]  # key, time in ms, value
Row = tuple[int, int, int, int, int, bool]  # window, key, count, sum, newest, late
COLUMNS = ("window", "key", "count", "sum", "newest", "late")


class Job:
    """The arguments of a pipeline, and what every engine needs of them."""

    def __init__(self, words: list[str]):
        self.words = dict(word.split("=", 1) for word in words)
        self.servers, self.topic = self.words["servers"], self.words["topic"]
        self.group, self.folder = self.words["group"], self.words["checkpoints"]
        self.stops = [int(stop) for stop in self.words["stop"].split(",")]
        self.json = self.words["format"] == "json"
        self.window, self.delay = int(self.words["window_ms"]), int(self.words["delay_ms"])
        self.checkpoint_ms = int(self.words["checkpoint_ms"])
        self.events, self.first = 0, 0.0
        self._store: Any = None

    def begin(self) -> None:
        """Note when the first message was read."""
        self.first = self.first or time.perf_counter()

    def parse(self, data: bytes) -> Event:
        """Return (key, time, value) of a message, and count it."""
        self.begin()
        self.events += 1
        if self.json:
            message = json.loads(data)
            return message["key"], message["time"], message["value"]
        return BINARY.unpack(data)

    def put(self, name: str, rows: list[Row]) -> None:
        """Write an object of rows, and say so on standard output."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        columns = {
            name: list(values)
            for name, values in zip(COLUMNS, zip(*rows, strict=True), strict=True)
        }
        buffer = io.BytesIO()
        pq.write_table(pa.table(columns), buffer, compression="none")
        self._lake().put(f"{self.words['prefix']}/{name}", buffer.getvalue())
        newest = max((row[4] for row in rows if not row[5]), default=0)
        say(written=name, rows=len(rows), bytes=buffer.tell(), at=_now_ms(), newest=newest)

    def unique(self) -> str:
        """Return a name that no other object has."""
        return f"{uuid.uuid4()}.parquet"

    def end(self, seconds: float | None = None) -> None:
        """Say what the job did. Raises `RuntimeError` if it has not read all messages."""
        if self.events != sum(self.stops):
            raise RuntimeError(f"{self.events} of {sum(self.stops)} messages were read")
        if seconds is None:
            seconds = time.perf_counter() - self.first
        say(
            done=True,
            events=self.events,
            seconds=seconds,
            cpu_s=time.process_time(),
            peak_mib=peak_mib(),
        )

    def _lake(self) -> Any:
        from obstore.store import S3Store

        if self._store is None:
            self._store = S3Store(
                self.words["bucket"],
                endpoint=self.words["url"],
                access_key_id=self.words["access"],
                secret_access_key=self.words["secret"],
                region="us-east-1",
                virtual_hosted_style_request=False,
                client_options={"allow_http": True, "timeout": "60s"},
                retry_config={"max_retries": 8},
            )
        return self._store


class Windows:
    """The event-time windows of one partition. Its watermark is the highest time less the delay.

    An event whose window is closed is late, and is written apart.
    """

    def __init__(self, job: Job):
        self._length, self._delay = job.window, job.delay
        self._open: dict[int, tuple[int, dict[int, list[int]]]] = {}
        self._late: list[Row] = []
        self._closed = self._newest = NEVER

    def add(self, offset: int, event: Event) -> list[tuple[int, list[Row], int]]:
        """Count an event; return (window, rows, offset to resume at) of what its time closes."""
        key, at, value = event
        start = at // self._length * self._length
        if start + self._length <= self._closed:
            self._late.append((start, key, 1, value, at, True))
        else:
            _, totals = self._open.setdefault(start, (offset, {}))
            count(totals.setdefault(key, [0, 0, 0]), event)
        if at <= self._newest:
            return []
        self._newest = at
        ended = (at - self._delay) // self._length * self._length
        if ended <= self._closed:
            return []
        self._closed = ended
        return self._close(lambda window: window + self._length <= ended, offset + 1)

    def finish(self, offset: int) -> list[tuple[int, list[Row], int]]:
        """Close what is open: the partition ends at `offset`."""
        closed = self._close(lambda window: True, offset)
        if self._late:
            closed.append((max(0, self._closed), self._late, offset))
        return closed

    def _close(self, ended: Callable[[int], bool], offset: int) -> list[tuple[int, list[Row], int]]:
        closed: list[tuple[int, list[Row], int]] = []
        for window in sorted(filter(ended, self._open)):
            _, totals = self._open.pop(window)
            rows = [(window, key, n, total, at, False) for key, (n, total, at) in totals.items()]
            resume = min((first for first, _ in self._open.values()), default=offset)
            closed.append((window, self._late + rows, resume))
            self._late = []
        return closed


def count(total: list[int], event: Event) -> list[int]:
    """Add an event to [count, sum, highest time]."""
    _, at, value = event
    total[0] += 1
    total[1] += value
    total[2] = max(total[2], at)
    return total


def received(message: Any) -> tuple[int, int, bytes]:
    """Return (partition, offset, value) of a message of Kafka.

    Raises `RuntimeError` if it tells of an error.
    """
    if error := message.error():
        raise RuntimeError(f"the broker refuses: {error.str()}")
    return message.partition(), message.offset(), message.value()


def say(**values: Any) -> None:
    """Print a line of JSON."""
    print(json.dumps(values), flush=True)


def peak_mib(pid: int | str = "self") -> float:
    """Return the peak resident memory of a process in MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.findall(r"VmHWM:\s*(\d+)", status)[0]) / 1024


def _now_ms() -> int:
    return int(time.time() * 1000)
