"""A training state in shards, and its checkpoints in a folder: a damaged state never loads.

A shard is a head (step, number, count, length), the data, and the XXH3 digest of both. A checkpoint
loads only if all its shards exist, belong to one step, and have the right digests.
"""

import os
import shutil
import signal
import struct
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from experiments.systems import optional

xxhash = optional.module("xxhash")

HEAD = struct.Struct("<8sQIIQ")
MAGIC = b"bpckpt01"
CHUNK = 1 << 20
PART = 5 << 20  # the smallest part that S3 allows
CURRENT = "current"


class NoCheckpoint(RuntimeError):
    """No checkpoint loads; the message says what is wrong with the stored data."""


def state(step, size, shards):
    """Return a step's state as a list of shards: incompressible bytes, different at each step."""
    return [np.random.default_rng([step, number]).bytes(size // shards) for number in range(shards)]


def pack(step, number, count, data):
    """Return the parts of a stored shard: (head, data, digest)."""
    head = HEAD.pack(MAGIC, step, number, count, len(data))
    digest = xxhash.xxh3_128(head)
    digest.update(data)
    return head, data, digest.digest()


def unpack(stored, number):
    """Return (step, count, data) of a stored shard. Raises `NoCheckpoint` if it is damaged."""
    if len(stored) < HEAD.size + 16:
        raise NoCheckpoint(f"shard {number} ends after {len(stored)} B")
    magic, step, stored_number, count, length = HEAD.unpack_from(stored)
    if magic != MAGIC or stored_number != number or len(stored) != HEAD.size + length + 16:
        raise NoCheckpoint(f"shard {number} is of another form or length")
    view = memoryview(stored)
    if xxhash.xxh3_128(view[:-16]).digest() != bytes(view[-16:]):
        raise NoCheckpoint(f"shard {number} does not have the digest that it was written with")
    return step, count, view[HEAD.size : -16]


def joined(stored_of):
    """Return (step, shards), where `stored_of(number)` returns the bytes of a stored shard.

    Raises `NoCheckpoint` unless all shards are whole and belong to one step.
    """
    step, count, data = unpack(stored_of(0), 0)
    shards = [data]
    for number in range(1, count):
        other, _, data = unpack(stored_of(number), number)
        if other != step:
            raise NoCheckpoint(f"shard 0 is of step {step}, shard {number} of step {other}")
        shards.append(data)
    return step, shards


class Files:
    """Checkpoints in a folder.

    With `crash_after`, this process kills itself after that many operations, so that a test can
    inspect what a crash leaves.
    """

    def __init__(self, folder, method, crash_after=None):
        self._folder, self._method, self._left = Path(folder), method, crash_after
        self._written = []

    def save(self, step, shards):
        """Save the shards of a step. Training continues when this returns."""
        final = self._folder / CURRENT
        if self._method.startswith("overwrite"):
            final.mkdir(exist_ok=True)
            self._write(final, step, shards)
            return
        part, old = self._folder / f".{step}.part", self._folder / "previous"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        self._write(part, step, shards)
        if self._method == "rename-fsync":
            self._sync(part)
        if final.exists():
            self._do(shutil.rmtree, old, True)
            # A folder cannot replace another one atomically, so `load` knows both names.
            self._do(os.rename, final, old)
        self._do(os.rename, part, final)
        self._written = [final / path.name for path in self._written]
        if self._method == "rename-fsync":
            self._sync(self._folder)

    def make_durable(self):
        """Sync what `save` left unsynced."""
        if not self._method.endswith("-fsync"):
            for path in [*self._written, self._folder / CURRENT, self._folder]:
                self._sync(path)

    def load(self):
        """Return (step, shards) of the newest whole checkpoint, or raise `NoCheckpoint`."""
        why = []
        for name in (CURRENT, "previous"):
            try:
                return self._loaded(self._folder / name)
            except (NoCheckpoint, FileNotFoundError) as error:
                why.append(f"{name}: {error}")
        raise NoCheckpoint("; ".join(why))

    def _loaded(self, folder):
        return joined(lambda number: self._stored(folder / f"{number:03d}"))

    def forget(self):
        """Drop the written pages from the page cache, so that restoring reads the device."""
        for path in self._written:
            file = os.open(path, os.O_RDONLY)
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(file)

    def bound(self, shards):
        """Return the seconds in which the shards' bytes go to one new file, in order and synced."""
        path = self._folder / ".bound"
        begin = time.perf_counter()
        with open(path, "wb", buffering=0) as file:
            for data in shards:
                for start in range(0, len(data), CHUNK):
                    rest = memoryview(data)[start : start + CHUNK]
                    while rest:
                        rest = rest[file.write(rest) :]
            os.fsync(file.fileno())
        took = time.perf_counter() - begin
        path.unlink()
        return took

    @staticmethod
    def _stored(path):
        return path.read_bytes()

    def _write(self, folder, step, shards):
        self._written = [folder / f"{number:03d}" for number in range(len(shards))]
        if self._left is not None:  # one shard at a time, so that every crash is repeatable
            for number, data in enumerate(shards):
                self._write_one(folder, step, number, len(shards), data)
            return
        with ThreadPoolExecutor(len(shards)) as pool:
            list(
                pool.map(
                    lambda item: self._write_one(folder, step, item[0], len(shards), item[1]),
                    enumerate(shards),
                )
            )

    def _write_one(self, folder, step, number, count, data):
        file = os.open(folder / f"{number:03d}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            for part in pack(step, number, count, data):
                for start in range(0, len(part), CHUNK):
                    chunk = memoryview(part)[start : start + CHUNK]
                    while chunk:
                        chunk = chunk[self._do(os.write, file, chunk) :]
            if self._method.endswith("-fsync"):
                self._do(os.fsync, file)
        finally:
            os.close(file)

    def _sync(self, path):
        file = os.open(path, os.O_RDONLY)
        try:
            self._do(os.fsync, file)
        finally:
            os.close(file)

    def _do(self, function, *arguments):
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments)
