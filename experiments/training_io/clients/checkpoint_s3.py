"""Kills the writer of a checkpoint by S3 multipart uploads before each of its requests, and looks at what is left.

    python -m experiments.training_io.clients.checkpoint_s3 '{"endpoint": {...}, "kib": 12288, "shards": 2}'

The protocol is that of `checkpoint.Bucket`: each shard by a multipart upload under the step's own key, then the small
object that names the step. Here each request stands alone (by boto3; nothing is timed), so that there is a place between
any two of them: between parts, before an upload is completed, before the step is named.
"""

import json
import os
import signal
import sys
import traceback

from experiments.systems.s3 import Endpoint
from experiments.training_io.clients.checkpoint import (
    CURRENT,
    PART,
    NoCheckpoint,
    joined,
    pack,
    state,
    unpack,
)


class Writer:
    """Saves, request by request. `crash_after` kills this process before so many-th request."""

    def __init__(self, endpoint, crash_after=None):
        self._s3, self._bucket, self._left = endpoint.boto(), endpoint.bucket, crash_after

    def save(self, step, shards):
        for number, data in enumerate(shards):
            self._upload(f"{step}/{number:03d}", b"".join(pack(step, number, len(shards), data)))
        self._ask("put_object", Key=CURRENT, Body=str(step).encode())

    def _upload(self, key, stored):
        upload, parts = self._ask("create_multipart_upload", Key=key)["UploadId"], []
        for number, start in enumerate(range(0, len(stored), PART), 1):
            part = dict(PartNumber=number, Body=stored[start : start + PART])
            parts.append(
                dict(
                    PartNumber=number,
                    ETag=self._ask("upload_part", Key=key, UploadId=upload, **part)["ETag"],
                )
            )
        self._ask(
            "complete_multipart_upload", Key=key, UploadId=upload, MultipartUpload=dict(Parts=parts)
        )

    def _ask(self, request, **arguments):
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return getattr(self._s3, request)(Bucket=self._bucket, **arguments)


class Reader:
    """What is in the bucket."""

    def __init__(self, endpoint):
        self._s3, self._bucket = endpoint.boto(), endpoint.bucket

    def stored(self, key):
        """Return the bytes of an object. Raises `NoCheckpoint` when there is none."""
        try:
            return self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        except self._s3.exceptions.NoSuchKey:
            raise NoCheckpoint(f"there is no object {key}") from None

    def load(self):
        step = int(self.stored(CURRENT))
        return joined(lambda number: self.stored(f"{step}/{number:03d}"))

    def whole(self, step, count):
        """Return how many shards of a step are there, each of which must be whole. Raises `NoCheckpoint` for another."""
        keys = [f"{step}/{number:03d}" for number in range(count)]
        there = [number for number, key in enumerate(keys) if self._is(key)]
        for number in there:
            unpack(self.stored(keys[number]), number)
        return len(there)

    def _is(self, key):
        return any(found["Key"] == key for found in self._listed(key))

    def _listed(self, prefix):
        return self._s3.list_objects_v2(Bucket=self._bucket, Prefix=prefix).get("Contents", [])

    def unfinished(self):
        """Return (key, id) of the uploads that were begun and neither completed nor aborted."""
        found = self._s3.list_multipart_uploads(Bucket=self._bucket).get("Uploads", [])
        return [(upload["Key"], upload["UploadId"]) for upload in found]

    def clean(self):
        """Abort the unfinished uploads, as whoever restarts a training job has to: they take space, and are in no listing
        of objects. Raises `RuntimeError` when one is still there."""
        for key, upload in self.unfinished():
            self._s3.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload)
        if left := self.unfinished():
            raise RuntimeError(f"{len(left)} uploads are unfinished after all were aborted: {left}")

    def forget(self, step):
        for found in self._listed(f"{step}/"):
            self._s3.delete_object(Bucket=self._bucket, Key=found["Key"])


def crashes(endpoint, size, shards):
    """Kill a save of step 2 before each of its requests, and look after each. Return how many there were, after how many
    none loaded, and how many unfinished uploads were found and aborted.

    Raises `SystemExit` when a state loads that was not saved, `NoCheckpoint` when a shard is there that is not whole, and
    `RuntimeError` when an upload cannot be aborted."""
    states = {step: state(step, size, shards) for step in (1, 2)}
    reader, points, lost, left = Reader(endpoint), 0, 0, 0
    Writer(endpoint).save(1, states[1])
    while True:
        crashed = _crashed(endpoint, points, states[2])
        reader.whole(2, shards)
        left += len(reader.unfinished())
        reader.clean()
        try:
            step, found = reader.load()
        except NoCheckpoint:
            step, lost = None, lost + 1
        wrong = step and any(bytes(a) != b for a, b in zip(found, states[step], strict=True))
        if wrong or (not crashed and step != 2):
            raise SystemExit(
                f"after a crash before request {points} of a multipart save a state loads that was never saved"
            )
        if not crashed:
            return {"crash_points": points, "crash_lost": lost, "uploads_left": left}
        reader.forget(2)
        points += 1


def _crashed(endpoint, points, shards):
    """Save step 2 in a process that is killed before so many-th request. Return whether it came to that."""
    child = os.fork()
    if child == 0:
        try:
            Writer(endpoint, points).save(2, shards)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code not in (0, -signal.SIGKILL):
        raise SystemExit(f"a save failed by itself after {points} requests; why stands above")
    return code == -signal.SIGKILL


def main(text):
    asked = json.loads(text)
    print(
        json.dumps(
            crashes(Endpoint.from_dict(asked["endpoint"]), asked["kib"] << 10, asked["shards"])
        )
    )


if __name__ == "__main__":
    main(sys.argv[1])
