"""A longer or thinner wire between a client and a server.

A proxy adds latency; a network namespace limits bandwidth.
"""

import json
import secrets
from collections.abc import Sequence
from typing import Any, Self, cast
from urllib.parse import urlsplit

from benchpaper import Host, Process
from experiments.systems import s3, server


class Delayed(server.Started):
    """S3 endpoint at a distance: `delay_ms` each way, so a request takes 2 × `delay_ms` longer."""

    endpoint: s3.Endpoint

    def __init__(self, host: Host, endpoint: s3.Endpoint, delay_ms: float):
        self._host, self._origin, self._delay_ms = host, endpoint, delay_ms

    def __enter__(self) -> Self:
        to = urlsplit(self._origin.url)

        def argv(port: int) -> list[Any]:
            plan = {
                "address": self._host.address,
                "port": port,
                "to": [to.hostname, to.port],
                "delay_ms": self._delay_ms,
            }
            return [
                self._host.python,
                "-m",
                "experiments.systems.environment.delay_proxy",
                json.dumps(plan),
            ]

        def endpoint(port: int) -> s3.Endpoint:
            return s3.Endpoint(
                **{**self._origin.as_dict(), "url": f"http://{self._host.address}:{port}"}
            )

        self.process, [port] = server.start(
            self._host,
            "delay_proxy",
            argv,
            lambda port: s3.ready(self._host, endpoint(port), create=False),
        )
        self.endpoint = endpoint(port)
        return self


class Thin:
    """Host behind a link of `mbit_per_s` from it to `host`, as a context manager that yields it.

    tbf limits only this direction. Servers started on the yielded host bind to the far end of a
    veth pair. It needs root (`netns`).
    """

    def __init__(self, host: Host, mbit_per_s: float):
        self._host, self._rate = host, mbit_per_s
        self._name = f"bp{secrets.token_hex(4)}"

    def __enter__(self) -> Host:
        run, name = self._host.run, self._name
        self._host.undo("a network namespace", ["ip", "netns", "del", name])
        run(["ip", "netns", "add", name])
        # A random one of the 16,384 subnets in RFC 2544's addresses for benchmarks.
        third, fourth = secrets.randbelow(256), secrets.randbelow(64) * 4
        near, far = f"198.18.{third}.{fourth + 1}", f"198.18.{third}.{fourth + 2}"
        near_end, far_end = f"{name}n", f"{name}f"
        run(["ip", "link", "add", near_end, "type", "veth", "peer", "name", far_end, "netns", name])
        run(["ip", "addr", "add", f"{near}/30", "dev", near_end])
        run(["ip", "link", "set", near_end, "up"])
        inside = ["ip", "-n", name]
        run([*inside, "addr", "add", f"{far}/30", "dev", far_end])
        run([*inside, "link", "set", far_end, "up"])
        run([*inside, "link", "set", "lo", "up"])
        burst = max(65536, int(self._rate * 1e6 / 8 / 250))  # at least a tick's worth
        rate: list[Any] = ["rate", f"{self._rate}mbit", "burst", burst, "latency", "100ms"]
        run(["tc", "-n", name, "qdisc", "add", "dev", far_end, "root", "tbf", *rate])
        return cast(Host, Inside(self._host, name, far))  # it passes on what it lacks

    def __exit__(self, *_: object) -> None:
        self._host.run(["ip", "netns", "del", self._name])


class Inside:
    """Network namespace of a host as a host: it has its own `address`, and runs commands inside."""

    def __init__(self, host: Host, name: str, address: str):
        self._host, self._inside, self.address = host, ["ip", "netns", "exec", name], address

    def run(self, argv: Sequence[Any], **more: Any) -> Any:
        return self._host.run([*self._inside, *argv], **more)

    def start(self, argv: Sequence[Any], **more: Any) -> Process:
        return self._host.start([*self._inside, *argv], **more)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._host, name)
