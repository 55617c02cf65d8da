"""The numbers that storage is bought by, and the rate of a job's own reads, over any store.

    python -m experiments.training_io.clients.single_numbers \
        '{"store": {...}, "seconds": 1.0, "seed": 1, "jobs": [{"name": "tokens", ...}]}'

reads in the store's subfolders: `numbers/blocks` at random and in order (files past the page cache,
and opened once, as fio reads them), what is in `objects` whole, and of each job the units of its
data set, by its number of readers, which decode what they fetch and compute nothing. That last rate
is what the storage can supply to the job; a stall follows from it and the computation of a step,
without any fitting. It prints one JSON object.
"""

import json
import sys
import threading
import time
from contextlib import closing
from itertools import cycle

from experiments.systems.environment.on_time import wake_up_on_time
from experiments.training_io.clients import blocks, random_reads, stores
from experiments.training_io.data import formats, samples
from experiments.training_io.loops.schedule import Schedule

BLOCKS, OBJECTS = "numbers", "objects"
NAME, MIB = "blocks", 32
LARGE, LARGE_BYTES, LARGE_COUNT = "large", 8 << 20, 2
SMALL, SMALL_BYTES, SMALL_COUNT = "small", 1024, 256
DEPTHS = (1, 32)
LEAST_FOR_P999 = 1000  # requests, so that one of them lies beyond


def make(folder):
    """Write the files that the numbers are measured on below `folder`."""
    for name in (BLOCKS, OBJECTS):
        (folder / name).mkdir(parents=True, exist_ok=True)
    blocks.make(folder / BLOCKS / NAME, MIB)
    for kind, size, count in (
        (LARGE, LARGE_BYTES, LARGE_COUNT),
        (SMALL, SMALL_BYTES, SMALL_COUNT),
    ):
        for number in range(count):
            path = folder / OBJECTS / f"{kind}-{number:04d}"
            path.write_bytes(samples.content(number, size))


def below(target, folder):
    """Return the description of a store's subfolder."""
    if target["kind"] == "s3":
        return {**target, "prefix": f"{target.get('prefix', '')}{folder}/"}
    return {**target, "folder": f"{target['folder']}/{folder}"}


def of_job(target, job):
    """Return the description of the store of a job's data set, read as its loader reads it."""
    where = below(target, job["name"])
    keeps = where["kind"] == "file" and job["format"] == formats.TOKENS
    return {**where, "keep": True} if keeps else where


def rate(store, readers, seconds, work):
    """Return what `readers` threads get done in a second, where `work()` returns how much it did.

    Each goes on until `seconds` have passed, and ends with what it has begun. Its connection is
    made before the clock starts, by a first `work()`. Raises what a thread raises.
    """
    done, errors, clock = [0] * readers, [], []  # the clock starts once all are connected
    gate = threading.Barrier(readers, action=lambda: clock.append(time.perf_counter()))

    def run(mine):
        with closing(store):
            try:
                work()
                gate.wait()
                while time.perf_counter() < clock[0] + seconds:
                    done[mine] += work()
            except threading.BrokenBarrierError:
                return  # another thread's error ends this one
            except Exception as error:
                errors.append(error)
                gate.abort()

    threads = [threading.Thread(target=run, args=(mine,)) for mine in range(readers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return sum(done) / (time.perf_counter() - clock[0])


def open_blocks(target):
    """Open the file of blocks: past the page cache and once a thread, where it is a file."""
    where = below(target, BLOCKS)
    if where["kind"] == "file":
        return random_reads.DirectFile(where["folder"], NAME)
    return stores.open_store(where)


def random_4k(target, seconds, seed):
    """Return IOPS at each depth, and percentiles in µs: p50 and p99 at depth 1, p99.9 at 32."""
    found = {}
    for depth in DEPTHS:
        store = open_blocks(target)
        result = random_reads.random_blocks(store, NAME, depth, seconds, seed)
        found[f"iops_4k_qd{depth}"] = result["iops"]
        if depth == 1:
            found |= {"p50_us": result["p50_us"], "p99_us": result["p99_us"]}
        else:
            enough = result["ops"] >= LEAST_FOR_P999
            found["p999_us"] = result["p999_us"] if enough else None
    return found


def sequential(target, seconds):
    """Return MB/s of one reader in order, 1 MiB a request."""
    with closing(open_blocks(target)) as store:
        return {"sequential_mb_s": random_reads.in_order(store, NAME, seconds)["mb_s"]}


def whole_objects(target, seconds):
    """Return MB/s of one reader of large objects, and small objects that one reader reads a second.

    Reading a small object costs its opening and next to no bytes.
    """
    store = stores.open_store(below(target, OBJECTS))
    with closing(store):
        names = store.list()

    def in_turn(kind):
        those = cycle([name for name in names if name.startswith(kind)])

        def read():
            data = store.get(next(those))
            samples.check(data)
            return len(data)

        return read

    return {
        "object_mb_s": rate(store, 1, seconds, in_turn(LARGE)) / 1e6,
        "opens_per_s": rate(store, 1, seconds, in_turn(SMALL)) / SMALL_BYTES,
    }


def supply(target, job, seconds, seed):
    """Return samples a second that a job's readers fetch, in its own units and order."""
    store, form = stores.open_store(of_job(target, job)), formats.load(job["format"])
    with closing(store):
        schedule = Schedule(form.units(store), seed)
    return rate(store, job["readers"], seconds, lambda: len(form.read(store, schedule.next())))


def measure(target, jobs, seconds, seed):
    """Return all numbers of a store, and {job: samples a second}."""
    return {
        **random_4k(target, seconds, seed),
        **sequential(target, seconds),
        **whole_objects(target, seconds),
        "supply": {job["name"]: supply(target, job, seconds, seed) for job in jobs},
    }


def main(text):
    plan = json.loads(text)
    wake_up_on_time()
    print(json.dumps(measure(plan["store"], plan["jobs"], plan["seconds"], plan["seed"])))


if __name__ == "__main__":
    main(sys.argv[1])
