"""s3fs as a system under test: a FUSE file system whose files are the objects of any S3 server.

It comes from the package s3fs. A file is an object of its name. A changed file is sent whole when
it is closed or synced.
"""

import shutil
import subprocess
from collections.abc import Sequence
from typing import Any, Self

from benchpaper import Host
from experiments.systems import s3, server


def version() -> str:
    """Return the version of the installed s3fs, or "none"."""
    if not shutil.which("s3fs"):
        return "none"
    said = subprocess.run(["s3fs", "--version"], capture_output=True, text=True).stdout
    return number(said.partition("\n")[0])


def number(line: str) -> str:
    """Return the version in "Amazon Simple Storage Service File System V1.90 (commit:unknown)"."""
    return next(
        (word[1:] for word in line.split() if word[:1] == "V" and word[1:2].isdigit()), line
    )


class S3fs(server.Mounted):
    """`s3fs` of a bucket at `path`. `options` are words such as ["-o", "enable_noobj_cache"]."""

    def __init__(self, host: Host, endpoint: s3.Endpoint, *, options: Sequence[str] = ()):
        self._endpoint, self._secret = endpoint, host.scratch() / "passwd"
        settings = {
            "url": endpoint.url,
            "endpoint": endpoint.region,
            "passwd_file": self._secret,
            "tmpdir": host.scratch(),
        }
        words = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]

        def argv(path: Any) -> list[Any]:
            style = ["-o", "use_path_request_style"]
            return ["s3fs", endpoint.bucket, path, "-f", *words, *style, *options]

        super().__init__(host, "s3fs", argv)

    def __enter__(self) -> Self:
        key = f"{self._endpoint.access_key}:{self._endpoint.secret_key}\n"
        server.write(self._host, self._secret, key)
        return super().__enter__()
