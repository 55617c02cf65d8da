"""An S3 server on the disk whose power is cut, and a save through it by multipart uploads.

rclone's S3 server keeps objects as plain files, so that what a power cut leaves of them is seen as
it is of other files. A save has returned once the server has answered that each upload is complete:
that answer is all that a client learns about durability.
"""

import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from experiments.systems import rclone, s3, server
from experiments.training_io.data import checkpoint_files

PATIENCE_S, POLL_S = 120.0, 0.05
PART = 5 << 20  # the smallest part that S3 allows; a smaller object has one
ADDRESS = "127.0.0.1"


@contextmanager
def served(root: Path) -> Iterator[s3.Endpoint]:
    """Serve `root` over S3, its subfolders as buckets; yield the bucket `s3.BUCKET`.

    Raises `SystemExit` with the server's own words if it does not answer.
    """
    access, secret = server.credentials()
    with socket.create_server((ADDRESS, 0)) as reserved:
        port = reserved.getsockname()[1]
    command: list[Any] = [rclone.binary(), "serve", "s3", root, "--auth-key", f"{access},{secret}"]
    command += ["--addr", f"{ADDRESS}:{port}", "--config", "", "--cache-dir", "/dev/shm"]
    with tempfile.TemporaryFile("w+") as said, subprocess.Popen(command, stderr=said) as process:
        try:
            _wait(process, port, said)
            yield s3.Endpoint(f"http://{ADDRESS}:{port}", s3.BUCKET, access, secret)
        finally:
            process.terminate()


def _wait(process: "subprocess.Popen[bytes]", port: int, said: TextIO) -> None:
    end = time.monotonic() + PATIENCE_S
    while process.poll() is None and time.monotonic() < end:
        try:
            socket.create_connection((ADDRESS, port), timeout=1).close()
            return
        except OSError:
            time.sleep(POLL_S)
    said.seek(0)
    raise SystemExit(
        f"rclone's S3 server did not answer; it said: {said.read()[-500:] or 'nothing'}"
    )


def save(endpoint: s3.Endpoint, files: dict[str, bytes]) -> None:
    """Upload {name: bytes} by multipart uploads, the index after the shards."""
    client = endpoint.boto()
    last = [name for name in files if name == checkpoint_files.INDEX]
    for name in [*(files.keys() - last), *last]:
        where = {"Bucket": endpoint.bucket, "Key": name}
        upload = {**where, "UploadId": client.create_multipart_upload(**where)["UploadId"]}
        parts = []
        data = files[name]
        for number, start in enumerate(range(0, len(data), PART), 1):
            body = data[start : start + PART]
            answer = client.upload_part(**upload, PartNumber=number, Body=body)
            parts.append({"PartNumber": number, "ETag": answer["ETag"]})
        client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
