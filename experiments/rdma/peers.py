"""What a user would pick instead of our store: memcached, Redis, NIXL. Each tells what it did."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchpaper import Host
from experiments.rdma import nixl_agents
from experiments.systems import memcached, packages, redis, ucx
from experiments.systems.server import announced

MEMORY_MB = 64
NEEDS = {
    "memcached": ["memcached", packages.package("pymemcache")],
    "redis": ["redis"],
    "nixl": ["nixl"],
    f"nixl{ucx.EMULATED}": ["nixl"],
}
PACKAGES = ("pymemcache",)
# How UCX prints what carries reads, with UCX_PROTO_INFO: a table with one row for each size.
READS = re.compile(
    r"remote memory read by ucp_get.*?Description"
    r".*?\| \S+\s+\| (?P<how>[^|]+?)\s+\| (?P<name>\w+)/",
    re.DOTALL,
)


def environment(path: str, fabric: str) -> dict[str, str]:
    """Return the variables of client and server of a path."""
    if not path.startswith("nixl"):
        return {}
    return {
        "UCX_TLS": nixl_agents.TLS[fabric],
        "UCX_PROTO_INFO": "y",
        "UCX_LOG_FILE": "stderr",
        "NIXL_LOG_LEVEL": "WARN",
    }


@contextmanager
def target_of(
    path: str, fabric: str, host: Host, size_bytes: int, objects: int
) -> Iterator[tuple[dict[str, Any], list[int], Any]]:
    """Start a peer on `host`; yield (its client's target, its process ids, the system or None)."""
    if path.startswith("nixl"):
        words = [host.python, "-m", nixl_agents.__name__, host.address, size_bytes, objects]
        process, ready = announced(host, words, env=environment(path, fabric), timeout=60)
        try:
            yield {"address": host.address, "port": ready["port"]}, [ready["pid"]], None
        finally:
            process.stop()
        return
    socket = host.scratch() / "s" if fabric == "unix" else None
    with _server(path, host, socket) as system:
        place = str(socket) if socket else (system.address, system.port)
        yield {"place": place}, [_process_of(host, system)], system


def _server(path: str, host: Host, socket: Path | None) -> Any:
    if path == "memcached":
        return memcached.Memcached(host, MEMORY_MB, item_mb=8, socket=socket)
    return redis.Redis(host, socket)


def _process_of(host: Host, system: Any) -> int:
    """Return the id of a server's own process: it is the one that was started."""
    return int(system.process.pid)


def evidence(path: str, fabric: str, system: Any, gets: int, client_said: str) -> str:
    """Return how the GETs were carried, in the peer's own words.

    Raises `ucx.EvidenceMismatch` if a server answered fewer GETs, and `ucx.TransportMismatch` if
    UCX carried them otherwise.
    """
    if path.startswith("nixl"):
        return _of_nixl(path, fabric, client_said)
    answered = system.stats()["get_hits"] if path == "memcached" else system.gets()
    if answered < gets:
        raise ucx.EvidenceMismatch(f"{gets} GETs, but {path} says that it answered {answered}")
    return f"{path}, which counted them"


def _of_nixl(path: str, fabric: str, said: str) -> str:
    read = READS.search(said)
    if not read:
        raise ucx.TransportMismatch("UCX does not tell how NIXL reads; is UCX_PROTO_INFO known?")
    if read["name"] != fabric:
        raise ucx.TransportMismatch(f"asked for {fabric}, but NIXL reads over {read['name']}")
    ucx.check_emulation(path, read["how"])
    return f"nixl, {read['how']}"
