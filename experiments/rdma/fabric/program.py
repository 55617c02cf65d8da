"""The program `fabric`: its far side, and one measurement against it."""

import json
from pathlib import Path
from typing import Self

from benchpaper import Host
from experiments.rdma.samples import fetch
from experiments.systems import server, ucx
from experiments.systems.ucx import EvidenceMismatch


class Responder(server.Started):
    """Far side of one measurement, as a context manager; `measure` connects to `address`."""

    address: str

    def __init__(self, host: Host, binary: Path, transport: str, cpu: int | None = None):
        self._host, self._binary, self._transport = host, binary, transport
        self._cpu = host.cpus[0] if cpu is None else cpu

    def __enter__(self) -> Self:
        argv = [
            self._host.provide(self._binary),
            "serve",
            "--listen",
            self._host.address,
            "--cpu",
            self._cpu,
        ]
        variables = ucx.host_environment(self._host, self._transport)
        patience = 10 * ucx.TRANSPORTS[self._transport].patience
        self.process, ready = server.announced(self._host, argv, env=variables, timeout=patience)
        self.address = f"{ucx.bracketed(self._host.address)}:{ready['port']}"
        return self


def measure(
    host,
    responder,
    binary,
    transport,
    operation,
    size_bytes,
    outstanding,
    iterations,
    warmup,
    max_seconds=10.0,
    cpu=None,
):
    """Run one measurement from `host` against `responder`.

    Returns what `fabric` printed, plus

    samples_us       every sample in order (numpy, float64, µs); `span` says from what to what
    transport_used   what UCX took for this operation and size
    protocol_used    how: "short", "zero-copy", "software emulation", ...

    Raises `ucx.TransportMismatch` if UCX took another transport, and `EvidenceMismatch` if the
    sides disagree.
    """
    argv = [
        host.provide(binary),
        "measure",
        "--connect",
        responder.address,
        "--operation",
        operation,
        "--size",
        size_bytes,
        *_sampling(host, outstanding, iterations, warmup, max_seconds, cpu),
    ]
    patience = ucx.TRANSPORTS[transport].patience
    result = _sample(host, argv, ucx.host_environment(host, transport), max_seconds, patience)
    if responder.process.wait(10 * patience) != 0:
        raise EvidenceMismatch(
            f"the responder failed: {responder.process.stderr_text().strip()[-500:]}"
        )
    result["transport"] = transport
    result["transport_used"], result["protocol_used"] = ucx.parse_protocol(result["protocol"])
    ucx.check_transport(result)
    check_evidence(result)
    return result


def null(host, binary, outstanding, iterations, warmup, max_seconds=10.0, cpu=None):
    """Run the same loop around nothing: the floor of `measure`'s samples.

    For half round trips, the floor is half of it.
    """
    argv = [
        host.provide(binary),
        "null",
        *_sampling(host, outstanding, iterations, warmup, max_seconds, cpu),
    ]
    return _sample(host, argv, ucx.environment(host, "posix"), max_seconds)


def _sampling(host, outstanding, iterations, warmup, max_seconds, cpu):
    return [
        "--outstanding",
        outstanding,
        "--iterations",
        iterations,
        "--warmup",
        warmup,
        "--max-seconds",
        max_seconds,
        "--cpu",
        host.cpus[-1] if cpu is None else cpu,
    ]


def _sample(host, argv, variables, max_seconds, patience=1):
    path = host.scratch() / "samples.f64"
    done = host.run(
        [*map(str, argv), "--samples", str(path)],
        env=variables,
        timeout=2 * max_seconds + 30 * patience,
    )
    result = json.loads(done.stdout.strip().splitlines()[-1])
    result["samples_us"] = fetch(host, path) / 1e3
    return result


def check_evidence(result):
    """Raise `EvidenceMismatch` unless both sides saw what they are able to see."""
    count, size = result["iterations_done"], result["size_bytes"]
    single, both = result["outstanding"] == 1, (count, count * size, count)
    expected = {
        "put": {"client": both, "server": both} if single else {"server": (1, size, 1)},
        "get": {"client": both if single else (count, count * size, 1)},
        "message": {"client": both, "server": both} if single else {"server": both},
    }[result["operation"]]
    for side, wanted in expected.items():
        seen = tuple(result[side][key] for key in ("operations", "bytes", "verified"))
        if seen != wanted:
            raise EvidenceMismatch(
                f"the {side} saw (operations, bytes, verified) = {seen}, not {wanted}"
            )
    samples = result["samples_us"]
    if len(samples) != count or not (samples > 0).all():
        raise EvidenceMismatch(
            f"{len(samples)} samples for {count} operations, the least {samples.min(initial=0)} µs"
        )
