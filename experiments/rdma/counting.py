"""What a trial on the object store counts, without a clock.

Soft-RoCE devices count their packets, and an emulated machine counts as well as a real one. These
metrics are therefore results there, and its times are not.
"""

from collections.abc import Sequence
from typing import Any, Self

from benchpaper import Metric
from experiments.systems import soft_roce, ucx

GETS = 100  # of a trial over soft-RoCE: counts need no more, and an emulated machine is slow
OBJECTS = 256  # that its store holds
LOSS = "1%"  # of the frames that each side sends, where the level says that the link loses some

RIGHT = Metric(
    "right_reads",
    unit="count",
    better="higher",
    optional=True,
    emulation=True,
    meaning="GETs whose every byte was that of one version of the requested object",
)
OF_DEVICE = (
    Metric(
        "packets_per_get",
        unit="1",
        better="lower",
        optional=True,
        emulation=True,
        meaning="packets that the reader's soft-RoCE device sent or received while measuring",
    ),
    Metric(
        "wire_bytes_per_get",
        unit="B",
        better="lower",
        optional=True,
        emulation=True,
        meaning="bytes that its interface sent or received meanwhile, headers included",
    ),
    Metric(
        "repeated_requests",
        unit="count",
        better="lower",
        optional=True,
        emulation=True,
        meaning="requests that a soft-RoCE device received again, from start to end",
    ),
    Metric(
        "requests_to_server",
        unit="count",
        better="lower",
        optional=True,
        emulation=True,
        meaning="messages that the server's program answered while measuring; "
        "a one-sided read needs none",
    ),
)
METRICS = (RIGHT, *OF_DEVICE)


class Counted:
    """The counts of one trial: a context manager around its server and its readers.

    Over soft-RoCE it makes the devices of both sides, and lets their links lose frames where
    `fabric` says so. `folders` are those whose counters the reader reads while it measures.
    """

    def __init__(self, site: Any, fabric: str):
        self._hosts, self._soft = (site.server, site.client), fabric in ucx.SOFT_ROCE
        self._client, self._lossy = site.client, fabric == ucx.LOSSY
        self.folders = ""

    def __enter__(self) -> Self:
        if self._soft:
            self._before = self._repeated()
            self.folders = soft_roce.counter_folders(self._client)
            self._lose(LOSS)
        return self

    def __exit__(self, *_: object) -> None:
        if self._soft:
            self._lose()

    def _lose(self, *share: str) -> None:
        for host in self._hosts if self._lossy else ():
            host.netem(*(("loss", *share) if share else ()))

    def _repeated(self) -> int:
        for host in self._hosts:
            soft_roce.device(host)
        return sum(soft_roce.counters(host)[soft_roce.REPEATED] for host in self._hosts)

    def metrics(self, results: Sequence[dict[str, Any]]) -> dict[str, float]:
        """Return the counts of a trial from the results of its readers."""
        right = {RIGHT.name: sum(result["right"] for result in results)}
        if not self._soft:
            return right
        gets = sum(result["iterations_done"] * result["batch"] for result in results)
        devices = [result["device"] for result in results]

        def counted(*names: str) -> int:
            return sum(device[name] for device in devices for name in names)

        return {
            **right,
            "packets_per_get": counted(soft_roce.SENT, soft_roce.RECEIVED) / gets,
            "wire_bytes_per_get": counted(soft_roce.BYTES_SENT, soft_roce.BYTES_RECEIVED) / gets,
            "repeated_requests": self._repeated() - self._before,
            "requests_to_server": max(result["server_requests"] for result in results),
        }
