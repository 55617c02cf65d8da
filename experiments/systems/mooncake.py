"""Mooncake's store as a system under test: the master.

Each client brings a segment of memory and its transfer engine. The store comes from the wheel
`mooncake-transfer-engine-non-cuda`, which needs libibverbs, librdmacm, and libnuma. A client:

    store = mooncake.store.MooncakeDistributedStore()
    status = store.setup(address, master.METADATA, segment_bytes, buffer_bytes, "tcp", "",
                         f"{master.address}:{master.port}")
    store.put("key", b"value"); store.get("key"); store.close()

`setup` and `put` return 0 on success; `get` returns b"" for a missing key.
"""

import subprocess
import sys
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from benchpaper import Host, capability
from experiments.systems import packages, server

PACKAGE = packages.package("mooncake-transfer-engine-non-cuda")
NEEDS = [PACKAGE, "mooncake"]


def binary() -> Path:
    """Return `mooncake_master` on the controller; `host.provide` brings it to a host."""
    return packages.folder("mooncake") / "mooncake_master"


def version() -> str:
    return packages.version(PACKAGE)


@capability(
    "mooncake",
    "Mooncake's store with the libraries that it loads",
    "install rdmacm-utils and numactl: they bring libibverbs, librdmacm and libnuma",
)
def _mooncake():
    """Load the store in a child process, because it starts threads."""
    loaded = subprocess.run(
        [sys.executable, "-c", "import mooncake.store"], capture_output=True, text=True, timeout=30
    )
    said = (loaded.stderr.strip().splitlines() or [""])[-1]
    return (
        loaded.returncode == 0,
        "loads" if loaded.returncode == 0 else f"mooncake.store does not load: {said}",
    )


class Mooncake(server.Started):
    """Master, on `address` and `port`.

    It has no passwords, so it binds only to the host's own address. Clients exchange addresses
    among themselves (`METADATA`). The master's own HTTP metadata server stays off: it listens on
    every address of the host, whatever its options are.
    """

    METADATA = "P2PHANDSHAKE"
    port: int

    def __init__(self, host: Host, *, options: Sequence[str] = ()):
        self._host, self._options = host, options
        self.address = host.address

    def __enter__(self) -> Self:
        program = self._host.provide(binary())
        if self._host.run(["test", "-x", program], check=False).returncode:
            self._host.run(["chmod", "+x", program])

        def argv(port: int, metrics: int) -> list[Any]:
            return [
                program,
                "--rpc_port",
                port,
                "--rpc_address",
                self.address,
                "--metrics_host",
                self.address,
                "--metrics_port",
                metrics,
                "--enable_http_metadata_server=false",
                *self._options,
            ]

        self.process, [self.port, self._metrics] = server.start(
            self._host, "mooncake_master", argv, lambda port, metrics: self._ask(metrics), ports=2
        )
        return self

    def metrics(self) -> str:
        """Return the master's own metrics in Prometheus' text format."""
        return self._ask(self._metrics)

    def _ask(self, port: int) -> str:
        with urllib.request.urlopen(f"http://{self.address}:{port}/metrics", timeout=2) as answer:
            return answer.read().decode()
