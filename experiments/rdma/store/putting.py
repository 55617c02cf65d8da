"""Puts into the object store, one after the other."""

import json
from pathlib import Path
from typing import Any

from benchpaper import Host
from experiments.rdma.samples import fetch
from experiments.rdma.store import HEADROOM_S, Server, WrongObjects
from experiments.systems import ucx


def put(
    host: Host,
    server: Server,
    binary: Path,
    size_bytes: int,
    objects: int,
    iterations: int,
    warmup: int = 0,
    max_seconds: float = 10.0,
    seed: int = 1,
) -> dict[str, Any]:
    """Time puts from `host`, one after the other; return what the program printed, and samples_us.

    Raises `WrongObjects` unless each object then holds what was put there last.
    """
    transport = ucx.TRANSPORTS[server.transport]
    samples = host.scratch() / "samples.f64"
    options = {
        "connect": server.address,
        "size": size_bytes,
        "objects": objects,
        "iterations": iterations,
        "warmup": warmup,
        "max-seconds": max_seconds,
        "seed": seed,
        "cpu": host.cpus[-1],
        "handle-errors": "yes" if transport.handles_errors else "no",
        "patience": transport.patience,
        "samples": samples,
    }
    words: list[Any] = [word for name, value in options.items() for word in (f"--{name}", value)]
    done = host.run(
        [host.provide(binary), "put", *words],
        env=ucx.host_environment(host, server.transport),
        timeout=2 * max_seconds + HEADROOM_S * transport.patience,
    )
    result = json.loads(done.stdout.splitlines()[-1])
    result["samples_us"] = fetch(host, samples) / 1e3
    if result["right"] != result["written"] or not result["puts"]:
        raise WrongObjects(f"{result['right']} of {result['written']} objects hold the last put")
    return result
