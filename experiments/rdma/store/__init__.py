"""Object store that is read one-sidedly, in C over UCX, and what runs it.

`store.c` says how it is called. A `Server` holds objects `object-000000000`, ... whose contents are
a function of key and version. A `Reader` measures GETs of them, and compares every byte with the
expected contents.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from benchpaper import Host
from experiments.rdma import fabric
from experiments.rdma.samples import fetch
from experiments.systems import ucx
from experiments.systems.server import Started, announced

FOLDER = Path(__file__).parent
# What path "bound" measures in turn, in one process.
BOUND_SERIES = ("cached", "get", "checksum", "memcpy")
# Objects that a reader draws, and has to find one by one before it measures; fewer where that is
# slow.
TARGETS = {
    "posix": 1 << 18,
    "sysv": 1 << 18,
    "cma": 1 << 14,
    **dict.fromkeys(ucx.SOFT_ROCE, 1 << 7),
}
FEW_TARGETS = 1 << 11
# What a reader may take beyond its measuring time, to start and to learn where the objects are.
HEADROOM_S = 40


class WrongObjects(RuntimeError):
    """A reader got something other than one whole version of the requested object."""


def build(output, extra_flags=()):
    """Compile the store to one program and return `output`."""
    shared = Path(fabric.__file__).parent
    return ucx.build(FOLDER, output, ["-I", str(shared), str(shared / "clock.c"), *extra_flags])


class Server(Started):
    """Server of one trial, as a context manager.

    It holds `preload` objects of `size_bytes`. It has an index for `capacity` objects, and a heap
    of `heap_mib` (by default enough for the objects that it holds). `waiting` is "poll" or "sleep".
    It acknowledges puts once they are in the file `log` of its host, synced or not, and on all
    servers of `replicas`; it begins with what is in the log.

    Readers connect to `address`. `ready` is what the server reported: objects, index_bytes,
    heap_bytes, pid.
    """

    address: str
    ready: dict[str, int]

    def __init__(
        self,
        host: Host,
        binary: Path,
        transport: str,
        size_bytes: int,
        preload: int = 0,
        capacity: int = 0,
        heap_mib: int = 0,
        waiting: str = "poll",
        fault: str = "none",
        cpu: int | None = None,
        log: Path | None = None,
        sync: bool = True,
        replicas: Sequence["Server"] = (),
    ):
        self._host, self.transport = host, transport
        self._patience = ucx.TRANSPORTS[transport].patience
        self._argv = [
            host.provide(binary),
            "serve",
            "--patience",
            self._patience,
            "--listen",
            host.address,
            "--cpu",
            host.cpus[0] if cpu is None else cpu,
            "--size",
            size_bytes,
            "--preload",
            preload,
            "--capacity",
            capacity,
            "--heap-mib",
            heap_mib,
            "--waiting",
            waiting,
            "--fault",
            fault,
            *(["--log", log, "--sync", "yes" if sync else "no"] if log else []),
            *(["--replicas", ",".join(each.address for each in replicas)] if replicas else []),
        ]

    def __enter__(self) -> Self:
        variables = ucx.host_environment(self._host, self.transport)
        self.process, self.ready = announced(
            self._host, self._argv, env=variables, timeout=60 * self._patience
        )
        self.address = f"{ucx.bracketed(self._host.address)}:{self.ready['port']}"
        return self

    def signal(self, name):
        """Send the server a signal, by name."""
        self._host.run(["kill", f"-{name}", self.ready["pid"]])


class Reader(Started):
    """Measurement of GETs from `host`: a context manager around a process that begins on entry.

    `path` is one of the program's. `writer` is "none", "same-size", or "resize": whether the server
    writes at full speed to the objects that are read. With `keep` false, no sample is kept. The
    result says how much the numbers in the folders `counters` of the host grew while measuring.
    With a `batch`, so many GETs are begun at once, and a sample is all of them. A transport's
    `patience` makes `lease_s` longer.
    """

    def __init__(
        self,
        host: Host,
        server: Server,
        binary: Path,
        path: str,
        size_bytes: int,
        objects: int,
        iterations: int,
        warmup: int = 0,
        outstanding: int = 1,
        max_seconds: float = 10.0,
        validate: bool = True,
        writer: str = "none",
        lease_s: float = 2.0,
        seed: int = 1,
        cpu: int | None = None,
        keep: bool = True,
        counters: str = "",
        batch: int = 1,
    ):
        transport = ucx.TRANSPORTS[server.transport]
        self._patience = transport.patience
        self._host, self._server, self._limit = host, server, max_seconds
        self._validate, self._path, self._keep = validate, path, keep
        self._samples = host.scratch() / "samples.f64"
        self._argv: list[Any] = [
            host.provide(binary),
            "measure",
            "--connect",
            server.address,
            "--path",
            path,
            "--size",
            size_bytes,
            "--objects",
            objects,
            "--iterations",
            iterations,
            "--warmup",
            warmup,
            "--outstanding",
            outstanding,
            "--batch",
            batch,
            "--max-seconds",
            max_seconds,
            "--validate",
            "yes" if validate else "no",
            "--writer",
            writer,
            "--lease",
            lease_s * self._patience,
            "--seed",
            seed,
            "--targets",
            TARGETS.get(server.transport, FEW_TARGETS),
            "--handle-errors",
            "yes" if transport.handles_errors else "no",
            "--patience",
            self._patience,
            "--counters",
            counters,
            "--cpu",
            host.cpus[-1] if cpu is None else cpu,
            *(["--samples", self._samples] if keep else []),
        ]

    def __enter__(self) -> Self:
        self.process = self._host.start(
            self._argv, env=ucx.host_environment(self._host, self._server.transport)
        )
        return self

    def wait_until_measuring(self):
        """Return once the reader says that it measures."""
        self.process.read_line(HEADROOM_S * self._patience)

    def result(self):
        """Wait for the end; return what the program printed, plus samples and transport.

        `samples_us` has all samples in order (for path "bound", a dict by series). `transport_used`
        and `protocol_used` say what carried the reads. Raises `WrongObjects`,
        `ucx.TransportMismatch`, or `ucx.EvidenceMismatch` if the trial is not what it should be.
        """
        status = self.process.wait(2 * self._limit + HEADROOM_S * self._patience)
        if status != 0:
            raise RuntimeError(f"a reader failed: {self.process.stderr_text().strip()[-500:]}")
        result = json.loads(self.process.stdout_text().splitlines()[-1])
        if self._keep:
            result["samples_us"] = self._collect()
        name_transport(result, self._server.transport)
        check(result, self._validate)
        return result

    def _collect(self):
        suffixes = [f".{name}" for name in BOUND_SERIES] if self._path == "bound" else [""]
        series = {}
        for suffix in suffixes:
            path = Path(f"{self._samples}{suffix}")
            series[suffix[1:]] = fetch(self._host, path) / 1e3
        return series if self._path == "bound" else series[""]


def measure(host, server, binary, path, size_bytes, objects, iterations, **more):
    """Run one reader to its end and return its result; see `Reader`."""
    with Reader(host, server, binary, path, size_bytes, objects, iterations, **more) as reader:
        return reader.result()


def name_transport(result, transport):
    """Add what carried the reads.

    Raises `ucx.TransportMismatch` if it is not what was requested.
    """
    if result["way"] in ("ucp_rkey_ptr", "nothing"):
        mapped = result["way"] == "ucp_rkey_ptr"
        result["transport_used"] = transport if mapped else "none"
        result["protocol_used"] = "loads from mapped memory (ucp_rkey_ptr)" if mapped else "none"
        return
    result["transport_used"], result["protocol_used"] = ucx.parse_protocol(result["protocol"])
    if any(
        name not in ucx.TRANSPORTS[transport].names for name in result["transport_used"].split("+")
    ):
        raise ucx.TransportMismatch(
            f"asked for {transport}, "
            f"but UCX carries {result['path']} of {result['size_bytes']} B over "
            f'{result["transport_used"]} ("{result["protocol_used"]}")'
        )


def check(result, validated=True):
    """Raise unless every read is accounted for: it was right or, if unvalidated, seen as torn."""
    done = result["iterations_done"] * (3 if result["path"] == "bound" else result.get("batch", 1))
    if result["right"] + result["torn"] + result["stale"] != done or done == 0:
        counted = f"{result['right']} right, {result['torn']} torn and {result['stale']} stale"
        raise ucx.EvidenceMismatch(f"{done} GETs, but {counted}")
    if validated and result["torn"] + result["stale"]:
        raise WrongObjects(
            f"of {done} objects {result['torn']} were torn, "
            f"{result['stale']} older than one read before"
        )
    if result["path"] == "message" and result["server_requests"] < result["messages"]:
        raise ucx.EvidenceMismatch(
            f"{result['messages']} requests were sent, "
            f"and the server answered {result['server_requests']}"
        )
    if result["server_failed_writes"]:
        raise ucx.EvidenceMismatch(
            f"{result['server_failed_writes']} writes failed; give the server more heap_mib"
        )
