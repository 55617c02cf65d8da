"""Delays until one side sees the other's writes, and the rates of operations."""

import time

from experiments.multiprotocol.views import prepare

POLL_S = 0.0005
ALONE_S = 1.2  # for how long one write is watched alone, and finely
WAYS = ("s3 to file", "file to s3")


def visibility(plan, new):
    """Yield {"way", "delays_ms", "unseen"} for each way.

    A delay is the time from the completion of a write until the other side first returns it. There
    are `writes` writes, each to a name that the other side had read. After `patience_s` a write
    counts as unseen. Each write is watched alone at first. Those that take longer are watched on
    together at the end, less finely, so that the patience passes once and not for each write.
    """
    file, objects = new()
    prepare(file, "v")
    alone_s = min(ALONE_S, plan["patience_s"])
    delays: dict[str, list[float | None]] = {way: [] for way in WAYS}
    late = []
    for way in WAYS:
        for number in range(plan["writes"]):
            write = Write(file, objects, way, f"v/{way[:2]}{number}")
            delays[way].append(write.seen_after(alone_s))
            if delays[way][-1] is None:
                late.append((way, number, write))
    while late:
        for way, number, write in list(late):
            delays[way][number] = write.look()
            if delays[way][number] is not None or write.age() > plan["patience_s"]:
                late.remove((way, number, write))
        time.sleep(POLL_S)
    for way in WAYS:
        waited = [plan["patience_s"] if delay is None else delay for delay in delays[way]]
        yield dict(
            way=way, delays_ms=[1e3 * delay for delay in waited], unseen=delays[way].count(None)
        )


class Write:
    """A write through one side over a name that both sides had read; it is complete at once."""

    NEW = b"newer"

    def __init__(self, file, objects, way, name):
        objects.put(name, b"old")
        file.read(name), objects.get(name)
        if way == "s3 to file":
            objects.put(name, self.NEW)
            self._read = lambda: file.read(name)
        else:
            file.write(name, self.NEW)
            self._read = lambda: (objects.get(name) or (None,))[0]
        self._done = time.monotonic()

    def age(self):
        return time.monotonic() - self._done

    def look(self):
        """Return the write's age in seconds if the other side returns it now, or None."""
        return self.age() if self._read() == self.NEW else None

    def seen_after(self, patience_s):
        """Return the seconds until the other side sees the write, or None after `patience_s`."""
        while True:
            seen = self.look()
            if seen is not None or self.age() > patience_s:
                return seen
            time.sleep(POLL_S)


def tradeoff(plan, new):
    """Yield the rates of the file side, and its staleness.

    Rates are operations per second (metadata, reads of 4 KiB, durable writes of 4 KiB) and MB/s
    (reads of a large file), each measured for `seconds`. `stale_share` is the share of `writes`
    PUTs that the file side does not return at once.
    """
    file, objects = new()
    prepare(file, "t")
    small, large = b"x" * 4096, b"y" * (4 << 20)
    names = [f"t/{number}" for number in range(16)]
    for name in names:
        file.write(name, small)
    file.write("t/large", large)
    rates = {
        "metadata_per_s": rate(lambda n: file.stat(names[n % 16]), plan["seconds"]),
        "reads_per_s": rate(lambda n: file.read(names[n % 16]), plan["seconds"]),
        "writes_per_s": rate(lambda n: file.write(names[n % 16], small), plan["seconds"]),
        "read_mb_s": len(large)
        / 1e6
        * rate(lambda n: _whole(file.read("t/large"), large), plan["seconds"]),
    }
    stale = waited = 0
    for number in range(plan["writes"]):
        write = Write(file, objects, "s3 to file", f"t/s{number}")
        seen = write.seen_after(plan["patience_s"])
        waited += plan["patience_s"] if seen is None else seen
        stale += seen is None or seen > 2 * POLL_S + 0.02
    yield {
        **rates,
        "staleness_ms": 1e3 * waited / plan["writes"],
        "stale_share": stale / plan["writes"],
    }


def rate(act, seconds):
    """Return how many times per second `act(number)` runs."""
    count, began = 0, time.monotonic()
    while True:
        act(count)
        count += 1
        spent = time.monotonic() - began
        if spent > seconds:
            return count / spent


def _whole(content, wanted):
    if content != wanted:
        raise ValueError(
            f"read {len(content or b'')} bytes that are not the {len(wanted)} that were written"
        )
