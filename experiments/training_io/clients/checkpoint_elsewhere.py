"""Checkpoints that no file system holds: in an S3 bucket, and in memory.

Both have the methods of `checkpoint.Files`.
"""

from concurrent.futures import ThreadPoolExecutor

from experiments.training_io.clients.checkpoint import CURRENT, PART, NoCheckpoint, joined, pack


class Bucket:
    """Checkpoints in an S3 bucket. The object `current` names the step; `save` puts it last."""

    def __init__(self, endpoint):
        from experiments.systems.s3 import Endpoint

        self._store = Endpoint.from_dict(endpoint).obstore()

    def save(self, step, shards):
        import obstore

        def put(item):
            number, data = item
            stored = b"".join(pack(step, number, len(shards), data))
            obstore.put(
                self._store, f"{step}/{number:03d}", stored, use_multipart=True, chunk_size=PART
            )

        with ThreadPoolExecutor(len(shards)) as pool:
            list(pool.map(put, enumerate(shards)))
        obstore.put(self._store, CURRENT, str(step).encode(), use_multipart=False)

    def make_durable(self):
        """Do nothing: the server's answer is all that an S3 client learns about durability."""

    def forget(self):
        """Do nothing: an S3 client has no cache to drop."""

    def load(self):
        import obstore

        try:
            step = int(bytes(obstore.get(self._store, CURRENT).bytes()))
            return joined(
                lambda number: bytes(obstore.get(self._store, f"{step}/{number:03d}").bytes())
            )
        except FileNotFoundError as error:
            raise NoCheckpoint(str(error)) from None


class Memory:
    """The null target: checkpoints in the memory of this process."""

    def __init__(self):
        self._stored: list[list] = []

    def save(self, step, shards):
        with ThreadPoolExecutor(len(shards)) as pool:
            self._stored = list(
                pool.map(lambda item: pack(step, item[0], len(shards), item[1]), enumerate(shards))
            )

    def make_durable(self):
        """Do nothing: memory is never durable."""

    def forget(self):
        """Do nothing: there is no second copy to drop."""

    def load(self):
        return joined(lambda number: b"".join(self._stored[number]))
