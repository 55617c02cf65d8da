"""Client that GETs small objects through an existing system, and times each GET.

    python -m experiments.rdma.object_client CONFIG.json

CONFIG has `client` (a key of `CLIENTS`), `target` (where the system is),
`size_bytes`, `objects`, `iterations`, `warmup`, `outstanding`, `cpu`, `seed`, and `samples`, the
file for the samples (float64, µs, in order). The program puts the objects, prints
{"event":"prepared"}, waits `PAUSE_S` so that the server's CPU time can be read, and measures.
Outside of the samples, it compares every byte of every object with what was put. It prints one JSON
object at the end.
"""

import asyncio
import json
import os
import random
import sys
import time
from pathlib import Path

import numpy as np

from experiments.rdma.contents import content

PAUSE_S = 0.2


class Null:
    """No system at all: the loop's own cost."""

    def __init__(self, target):
        self._objects = {}

    def put(self, key, data):
        self._objects[key] = data

    def get(self, key):
        return self._objects[key]

    async def get_async(self, key):
        return self._objects[key]


class Obstore:
    """The fast client, for S3 and for plain HTTP; connections are kept alive."""

    def __init__(self, store):
        import obstore

        self._obstore, self._store = obstore, store

    def put(self, key, data):
        self._obstore.put(self._store, key, data)

    def get(self, key):
        return self._obstore.get(self._store, key).bytes()

    async def get_async(self, key):
        return await (await self._obstore.get_async(self._store, key)).bytes_async()


class Http(Obstore):
    """The fast client of the files that an HTTP server serves."""

    def __init__(self, target):
        from obstore.store import HTTPStore

        super().__init__(
            HTTPStore.from_url(
                target["url"],
                client_options={"allow_http": True},
                retry_config={"max_retries": 0},
            )
        )

    def put(self, key, data):
        """Do nothing: the server's side is a folder, and the files are there already."""


def obstore(target):
    """Return the fast client of an S3 endpoint."""
    from experiments.systems import s3

    return Obstore(s3.Endpoint.from_dict(target).obstore())


class Boto:
    """The usual Python client for S3."""

    def __init__(self, target):
        from experiments.systems import s3

        endpoint = s3.Endpoint.from_dict(target)
        self._client, self._bucket = endpoint.boto(), endpoint.bucket

    def put(self, key, data):
        self._client.put_object(Bucket=self._bucket, Key=key, Body=data)

    def get(self, key):
        return self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()


class Mooncake:
    """Mooncake's own client over tcp, which holds no objects itself."""

    def __init__(self, target):
        from mooncake.store import MooncakeDistributedStore

        self._store = MooncakeDistributedStore()
        status = self._store.setup(
            target["address"], target["metadata"], 0, 64 << 20, "tcp", "", target["master"]
        )
        if status != 0:
            raise OSError(f"Mooncake's client could not be set up: status {status}")

    def put(self, key, data):
        if (status := self._store.put(key, data)) != 0:
            raise OSError(f"putting {key} to Mooncake ended with status {status}")

    def get(self, key):
        return self._store.get(key)


class Memcached:
    """A usual Python client of memcached; `place` is (address, port) or a Unix socket."""

    def __init__(self, target):
        from pymemcache.client.base import Client

        place = target["place"]
        self._client = Client(place if isinstance(place, str) else tuple(place), no_delay=True)

    def put(self, key, data):
        self._client.set(key, data, noreply=False)

    def get(self, key):
        return self._client.get(key)


class Redis:
    """A plain client of Redis' protocol."""

    def __init__(self, target):
        from experiments.systems.resp import Connection

        place = target["place"]
        self._connection = Connection(place if isinstance(place, str) else tuple(place))

    def put(self, key, data):
        self._connection.call(b"SET", key.encode(), data)

    def get(self, key):
        return self._connection.call(b"GET", key.encode())


def nixl(target):
    """Return NIXL's own client, whose objects lie in the memory of another agent."""
    from experiments.rdma.nixl_agents import Reader

    return Reader(target)


CLIENTS = {
    "null": Null,
    "http": Http,
    "obstore": obstore,
    "boto": Boto,
    "mooncake": Mooncake,
    "memcached": Memcached,
    "redis": Redis,
    "nixl": nixl,
}


def one_at_a_time(client, keys, expected, chosen):
    """Return (samples in µs, number of objects with the right contents)."""
    samples, right, clock = np.empty(len(chosen)), 0, time.perf_counter_ns
    for place, number in enumerate(chosen):
        key = keys[number]
        before = clock()
        data = client.get(key)
        samples[place] = (clock() - before) / 1e3
        right += data == expected[number]
    return samples, right


async def many_at_a_time(client, keys, expected, chosen, outstanding):
    """Return the same as `one_at_a_time`, with `outstanding` GETs in flight."""
    samples, rights, left = np.empty(len(chosen)), [], iter(enumerate(chosen))

    async def worker():
        for place, number in left:
            before = time.perf_counter_ns()
            data = await client.get_async(keys[number])
            samples[place] = (time.perf_counter_ns() - before) / 1e3
            rights.append(data == expected[number])

    await asyncio.gather(*(worker() for _ in range(outstanding)))
    return samples, sum(rights)


def loop(client, config, keys, expected, chosen):
    """GET the chosen objects, one or several at a time; return (samples in µs, number right)."""
    if config["outstanding"] == 1:
        return one_at_a_time(client, keys, expected, chosen)
    return asyncio.run(many_at_a_time(client, keys, expected, chosen, config["outstanding"]))


def run(config):
    """Put the objects, measure GETs of them, and print the result."""
    os.sched_setaffinity(0, [config["cpu"]])
    client = CLIENTS[config["client"]](config["target"])
    keys = [f"object-{number:09}" for number in range(config["objects"])]
    expected = [content(number, config["size_bytes"]) for number in range(config["objects"])]
    for key, data in zip(keys, expected, strict=True):
        client.put(key, data)
    print(json.dumps({"event": "prepared"}), flush=True)
    time.sleep(PAUSE_S)
    chosen = random.Random(config["seed"]).choices(
        range(config["objects"]), k=config["warmup"] + config["iterations"]
    )
    loop(client, config, keys, expected, chosen[: config["warmup"]])
    began, cpu = time.perf_counter(), time.process_time()
    samples, right = loop(client, config, keys, expected, chosen[config["warmup"] :])
    ended = dict(elapsed_s=time.perf_counter() - began, cpu_client_s=time.process_time() - cpu)
    samples.astype("<f8").tofile(config["samples"])
    print(json.dumps(dict(iterations_done=len(samples), right=int(right), **ended)), flush=True)


if __name__ == "__main__":
    run(json.loads(Path(sys.argv[1]).read_text()))
    sys.stdout.flush()
    os._exit(0)  # Mooncake's threads would keep the process alive for seconds
