"""PyTorch's DataLoader in place of the loop's own readers: worker processes that fill its queues.

The locked environment does not include PyTorch, which is several GB large and differs by platform.
Cells that use this module need the capability `torch`.
"""

from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from experiments.training_io.data import formats, samples
from experiments.training_io.loops.schedule import Schedule


class Batches(IterableDataset):
    """One worker's endless stream of batches from its share of the units.

    Each item is (sizes of the batch's samples, cost of fetching them). The cost is [requests,
    bytes, payload bytes, samples, units] since the previous batch.
    """

    def __init__(self, loop, store, units):
        self._loop, self._store, self._units = loop, store, units

    def __iter__(self):
        mine = get_worker_info()
        units = self._units[mine.id :: mine.num_workers]
        schedule, read = (
            Schedule(units, self._loop.seed + mine.id),
            formats.load(self._loop.format).read,
        )
        held: list[int] = []
        payload, count, reported = 0, 0, (0, 0, 0, 0, 0)
        while True:
            while len(held) < self._loop.batch:
                for data in read(self._store, schedule.next()):
                    samples.check(data)
                    held.append(len(data))
                    payload, count = payload + len(data), count + 1
            now = (self._store.requests, self._store.bytes, payload, count, schedule.handed_out)
            yield held[: self._loop.batch], [a - b for a, b in zip(now, reported, strict=True)]
            held, reported = held[self._loop.batch :], now


class TorchReaders:
    """Readers with the interface of `training_loop.Threads`.

    The counts leave out batches that workers prefetched and the loop did not take.
    """

    def __init__(self, loop, store, units):
        self._loader = DataLoader(
            Batches(loop, store, units),
            batch_size=None,
            num_workers=loop.readers,
            prefetch_factor=max(1, loop.prefetch // loop.readers),
        )
        self._iterator = iter(self._loader)
        self._total = [0, 0, 0, 0, 0]

    def next(self):
        sizes, cost = next(self._iterator)
        self._total = [a + b for a, b in zip(self._total, cost, strict=True)]
        return sizes

    def stop(self):
        self._iterator._shutdown_workers()
        names = ("requests", "bytes_read", "payload_read", "samples_read", "units_read")
        return dict(zip(names, self._total, strict=True))
