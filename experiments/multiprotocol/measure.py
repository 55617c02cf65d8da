"""Delays until one side sees the other's writes, and the rates of operations.

A write that is not seen has no delay: it is counted, so that no delay is the time that was waited.
"""

import time

from experiments.multiprotocol.views import prepare

POLL_S = 0.0005
ALONE_S = 1.2  # for how long one write is watched alone, and finely
AT_ONCE_S = 0.02
WAYS = ("s3 to file", "file to s3")


def visibility(plan, new):
    """Yield {"way", "delays_ms", "unseen", "refusal"} for each way.

    A delay is the time from the completion of a write until the other side first returns it. There
    are `writes` writes, each to a name that the other side had read. What is not seen within
    `patience_s` is counted as unseen. `refusal` is the first error of a read.
    """
    file, objects = new()
    prepare(file, "v")
    delays = watched(
        [
            (way, lambda way=way, number=number: Write(file, objects, way, f"v/{way[:2]}{number}"))
            for way in WAYS
            for number in range(plan["writes"])
        ],
        plan["patience_s"],
    )
    for way in WAYS:
        own = [(delay, refusal) for of, delay, refusal in delays if of == way]
        yield dict(
            way=way,
            delays_ms=[1e3 * delay for delay, _ in own if delay is not None],
            unseen=sum(delay is None for delay, _ in own),
            refusal=next((refusal for _, refusal in own if refusal), ""),
        )


def watched(writes, patience_s):
    """Do each of [(its way, a function that writes)]; return [(way, seconds until it was seen,
    the first error of a read)].

    The seconds are None for what is not seen within `patience_s`. Each write is watched alone at
    first. Those that take longer are watched on together at the end, less finely, so that the
    patience passes once and not for each write.
    """
    all_done, delays = [], []
    for _, write in writes:
        all_done.append(write())
        delays.append(all_done[-1].seen_after(min(ALONE_S, patience_s)))
    late = [number for number, delay in enumerate(delays) if delay is None]
    while late:
        for number in list(late):
            delays[number] = all_done[number].look()
            if delays[number] is not None or all_done[number].age() > patience_s:
                late.remove(number)
        time.sleep(POLL_S)
    return [
        (way, delay, done.refusal)
        for (way, _), delay, done in zip(writes, delays, all_done, strict=True)
    ]


class Write:
    """A write through one side over a name that both sides had read; it is complete at once."""

    NEW = b"newer"

    def __init__(self, file, objects, way, name):
        self.refusal = ""  # the first error of a look
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
        """Return the write's age in seconds if the other side returns it now, or None.

        A read that fails shows nothing, and is kept: some servers refuse what was replaced.
        """
        try:
            return self.age() if self._read() == self.NEW else None
        except Exception as error:
            self.refusal = self.refusal or f"{type(error).__name__}: {' '.join(str(error).split())}"
            return None

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
    (reads of a large file), each measured for `seconds`. `writes` PUTs are watched for at most
    `patience_s`; `staleness_ms` is the mean of those that the file side returned in that time.
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
    delays = [
        delay
        for _, delay, _ in watched(
            [
                (WAYS[0], lambda number=number: Write(file, objects, WAYS[0], f"t/s{number}"))
                for number in range(plan["writes"])
            ],
            plan["patience_s"],
        )
    ]
    seen = [delay for delay in delays if delay is not None]
    yield {
        **rates,
        **({"staleness_ms": 1e3 * sum(seen) / len(seen)} if seen else {}),
        "stale_share": sum(delay is None or delay > AT_ONCE_S for delay in delays) / len(delays),
        "unseen_share": delays.count(None) / len(delays),
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
