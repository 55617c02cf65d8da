"""Delays until one side sees the other's writes, and the rates of operations."""

import time

from experiments.multiprotocol.views import prepare

POLL_S = 0.0005


def visibility(plan, new):
    """Yield {"way", "delays_ms", "unseen"} for each way.

    A delay is the time from the completion of a write until the other side first returns it. There
    are `writes` writes, each to a name that the other side had read. After `patience_s` a write
    counts as unseen.
    """
    file, objects = new()
    prepare(file, "v")
    for way in ("s3 to file", "file to s3"):
        delays, unseen = [], 0
        for number in range(plan["writes"]):
            seen_after = delay(file, objects, way, f"v/{way[:2]}{number}", plan["patience_s"])
            unseen += seen_after is None
            delays.append(1e3 * (plan["patience_s"] if seen_after is None else seen_after))
        yield dict(way=way, delays_ms=delays, unseen=unseen)


def delay(file, objects, way, name, patience_s):
    """Return the seconds until the other side sees one write, or None after `patience_s`."""
    objects.put(name, b"old")
    file.read(name), objects.get(name)
    if way == "s3 to file":
        objects.put(name, b"newer")
        look, wanted = (lambda: file.read(name)), b"newer"
    else:
        file.write(name, b"newer")
        look, wanted = (lambda: (objects.get(name) or (None,))[0]), b"newer"
    done = time.monotonic()
    while True:
        seen = look()
        now = time.monotonic()
        if seen == wanted:
            return now - done
        if now - done > patience_s:
            return None
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
        seen = delay(file, objects, "s3 to file", f"t/s{number}", plan["patience_s"])
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
