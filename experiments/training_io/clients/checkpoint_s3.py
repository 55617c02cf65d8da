"""Kill the writer of an S3 multipart checkpoint before each request, and inspect the bucket.

    python -m experiments.training_io.clients.checkpoint_s3 \\
        '{"endpoint": {...}, "kib": 12288, "shards": 2}'

The protocol is that of `checkpoint_elsewhere.Bucket`: one multipart upload per shard, under keys of
the step, and then a small object that names the step. This program sends each request separately
through boto3, so that a crash can fall between any two of them: between parts, before the
completion of an upload, and before the naming of the step. It times nothing.
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
    """Saves request by request. With `crash_after`, kills this process after that many requests."""

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
    """Reads and cleans the bucket."""

    def __init__(self, endpoint):
        self._s3, self._bucket = endpoint.boto(), endpoint.bucket

    def stored(self, key):
        """Return the bytes of an object. Raises `NoCheckpoint` if it does not exist."""
        try:
            return self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        except self._s3.exceptions.NoSuchKey:
            raise NoCheckpoint(f"there is no object {key}") from None

    def load(self):
        step = int(self.stored(CURRENT))
        return joined(lambda number: self.stored(f"{step}/{number:03d}"))

    def whole(self, step, count):
        """Return how many shards of a step exist. Raises `NoCheckpoint` if one is damaged."""
        keys = [f"{step}/{number:03d}" for number in range(count)]
        there = [number for number, key in enumerate(keys) if self._is(key)]
        for number in there:
            unpack(self.stored(keys[number]), number)
        return len(there)

    def _is(self, key):
        return any(entry["Key"] == key for entry in self._listed(key))

    def _listed(self, prefix):
        return self._s3.list_objects_v2(Bucket=self._bucket, Prefix=prefix).get("Contents", [])

    def unfinished(self):
        """Return (key, id) of each upload that was neither completed nor aborted."""
        uploads = self._s3.list_multipart_uploads(Bucket=self._bucket).get("Uploads", [])
        return [(upload["Key"], upload["UploadId"]) for upload in uploads]

    def clean(self):
        """Abort the unfinished uploads, as a restarted training job must.

        They take space, and no listing of objects shows them. Raises `RuntimeError` if one remains.
        """
        for key, upload in self.unfinished():
            self._s3.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload)
        if left := self.unfinished():
            raise RuntimeError(f"{len(left)} uploads are unfinished after all were aborted: {left}")

    def forget(self, step):
        for entry in self._listed(f"{step}/"):
            self._s3.delete_object(Bucket=self._bucket, Key=entry["Key"])


def crashes(endpoint, size, shards):
    """Kill a save of step 2 before each of its requests, and inspect the bucket after each crash.

    Return {"crash_points": number of crashes, "crash_lost": crashes after which no state loads,
    "uploads_left": unfinished uploads, all of which were aborted}. Raises `SystemExit` if a state
    loads that was never saved, `NoCheckpoint` if a damaged shard exists, and `RuntimeError` if an
    upload cannot be aborted.
    """
    states = {step: state(step, size, shards) for step in (1, 2)}
    reader, points, lost, left = Reader(endpoint), 0, 0, 0
    Writer(endpoint).save(1, states[1])
    while True:
        crashed = _crashed(endpoint, points, states[2])
        reader.whole(2, shards)
        left += len(reader.unfinished())
        reader.clean()
        try:
            step, restored = reader.load()
        except NoCheckpoint:
            step, lost = None, lost + 1
        wrong = step and any(bytes(a) != b for a, b in zip(restored, states[step], strict=True))
        if wrong or (not crashed and step != 2):
            raise SystemExit(
                f"after a crash before request {points} of a multipart save a state loads "
                "that was never saved"
            )
        if not crashed:
            return {"crash_points": points, "crash_lost": lost, "uploads_left": left}
        reader.forget(2)
        points += 1


def _crashed(endpoint, points, shards):
    """Save step 2 in a child that dies after `points` requests. Return whether it died that way."""
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
    plan = json.loads(text)
    print(
        json.dumps(crashes(Endpoint.from_dict(plan["endpoint"]), plan["kib"] << 10, plan["shards"]))
    )


if __name__ == "__main__":
    main(sys.argv[1])
