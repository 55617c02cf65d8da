"""Asynchronous checkpoints: copy the state, go on training, and write the copy meanwhile.

Training stalls for the copy, and for the save before if that still runs: at most one is under way,
as in the frameworks that save so. What is written is a folder that is synced and then renamed.
"""

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from experiments.training_io.clients.checkpoint_store import Files


class Async:
    """Checkpoints in a folder, with the methods of `checkpoint_store.Files`."""

    def __init__(self, folder: str):
        self._files = Files(folder, "rename-fsync")
        self._pool = ThreadPoolExecutor(1)
        self._pending: Future[None] | None = None

    def save(self, step: int, shards: list[bytes]) -> None:
        """Copy the shards of a step, and return; raises what the save before raised."""
        self.make_durable()
        copies = [bytes(bytearray(shard)) for shard in shards]  # bytes(shard) would not copy
        self._pending = self._pool.submit(self._files.save, step, copies)

    def make_durable(self) -> None:
        """Wait until the last save is durable; raises what it raised."""
        pending, self._pending = self._pending, None
        if pending:
            pending.result()

    def load(self) -> Any:
        return self._files.load()

    def bound(self, shards: list[bytes]) -> float:
        return float(self._files.bound(shards))

    def forget(self) -> None:
        self._files.forget()
