"""The reference tier against a failing origin, a full disk, a kill and a second process."""

import contextlib
import json
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from checkout import ROOT

from experiments.caching import reference_tier
from experiments.caching.reference_tier_disk import DiskTier

SIZE = 4096
KEYS = [f"item-{n}" for n in range(60)]


def content(key, size=SIZE):
    return random.Random(key).randbytes(size)


MANIFEST = {key: reference_tier.digest(content(key)) for key in KEYS}


class Origin:
    """An HTTP server of items.

    `faults` is {key: list of failures, in turn, before the item is sent}. Clients ask again
    after `timeout` seconds.
    """

    def __init__(self, faults=(), timeout=60.0):
        self.timeout = timeout
        self.faults, self.requested = {key: list(what) for key, what in dict(faults).items()}, []
        origin = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                key = self.path[1:]
                origin.requested.append(key)
                fault = origin.faults.get(key, []).pop(0) if origin.faults.get(key) else None
                body = content(key)
                if fault == "hang":
                    time.sleep(2 * origin.timeout)
                if fault == "500":
                    self.send_error(500)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                cut = {"cut": body[:1000], "flip": bytes([body[0] ^ 1]) + body[1:]}.get(fault, body)
                with contextlib.suppress(OSError):
                    self.wfile.write(cut)
                self.close_connection = True

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads, request_queue_size = True, 64

        self.server = Server(("127.0.0.1", 0), Handler)

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def fetch(self, key):
        url = f"http://127.0.0.1:{self.server.server_port}/{key}"
        with urllib.request.urlopen(url, timeout=self.timeout) as answer:
            return answer.read()


def read_all(tier, seed=0):
    order = random.Random(seed).sample(KEYS, len(KEYS))
    read = list(tier.epoch(order))
    assert [key for key, _ in read] == order
    assert all(reference_tier.digest(content) == MANIFEST[key] for key, content in read)


@pytest.mark.parametrize("depth", [0, 7])
def test_hits_are_what_fits_in_every_epoch_after_the_first(tmp_path, depth):
    with Origin() as origin:
        tier = reference_tier.Tier0(
            origin.fetch, MANIFEST, memory_bytes=(10 + depth) * SIZE, item_bytes=SIZE,
            folder=tmp_path, disk_bytes=20 * SIZE,
            depth=depth,
        )  # fmt: skip
        with tier:
            for epoch in range(4):
                before = tier.counters.hits
                read_all(tier, epoch)
                assert tier.counters.hits - before == (30 if epoch else 0)
        assert tier.counters.memory_hits == 30 and tier.counters.disk_hits == 60
        assert len(origin.requested) == tier.counters.fetched == 4 * 60 - 90


def test_what_is_fetched_ahead_is_memory_that_keeps_nothing():
    with Origin() as origin:
        with reference_tier.Tier0(
            origin.fetch, MANIFEST, memory_bytes=20 * SIZE, item_bytes=SIZE, depth=20
        ) as tier:
            read_all(tier)
            read_all(tier, 1)
        assert tier.counters.hits == 0


@pytest.mark.parametrize("depth", [0, 8])
@pytest.mark.parametrize("fault", ["500", "hang", "cut", "flip"])
def test_origin_errors_and_time_outs_are_tried_again(fault, depth):
    with Origin(
        {key: [fault, fault] for key in KEYS[::30]}, timeout=0.6 if fault == "hang" else 60
    ) as origin:
        room = dict(memory_bytes=40 * SIZE, item_bytes=SIZE)
        with reference_tier.Tier0(origin.fetch, MANIFEST, **room, depth=depth, attempts=8) as tier:
            read_all(tier)
        counted = tier.counters.wrong_bytes if fault == "flip" else tier.counters.origin_errors
        assert (
            counted >= 4 and tier.counters.fetched == 60
        )  # more when the machine is too busy for the time-out


@pytest.mark.parametrize("depth", [0, 8])
def test_an_origin_that_keeps_failing_is_told_by_item_and_cause(depth):
    with Origin({KEYS[5]: ["500"] * 9}) as origin:
        with (
            reference_tier.Tier0(
                origin.fetch, MANIFEST, memory_bytes=0, item_bytes=SIZE, depth=depth, attempts=2
            ) as tier,
            pytest.raises(
                reference_tier.OriginError,
                match='"item-5" was not to be had in 2 attempts; last: HTTPError',
            ),
        ):
            list(tier.epoch(KEYS))
        assert origin.requested.count(KEYS[5]) == 2


def test_a_full_disk_stops_admission_and_nothing_else(tmp_path, small_disk):
    folder = small_disk(tmp_path / "small", 30 * SIZE >> 10)
    with Origin() as origin:
        tier = reference_tier.Tier0(
            origin.fetch,
            MANIFEST,
            memory_bytes=0,
            item_bytes=SIZE,
            folder=folder,
            disk_bytes=60 * SIZE,
        )
        with tier:
            for epoch in range(3):
                read_all(tier, epoch)
        assert tier.counters.disk_errors == 1 and tier.counters.corrupt_on_disk == 0
        kept = list(folder.glob("*/*"))
        assert 0 < len(kept) < 30 and not [path for path in kept if path.name.endswith(".part")]
        assert tier.counters.disk_hits == 2 * len(kept)


def test_bytes_that_changed_on_disk_are_never_served(tmp_path):
    with Origin() as origin:
        settings = dict(memory_bytes=0, item_bytes=SIZE, folder=tmp_path, disk_bytes=60 * SIZE)
        with reference_tier.Tier0(origin.fetch, MANIFEST, **settings) as tier:
            read_all(tier)
        files = sorted(tmp_path.glob("*/*"))
        files[0].write_bytes(files[0].read_bytes()[:-1])
        files[1].write_bytes(b"")
        files[2].write_bytes(bytes(SIZE))
        with reference_tier.Tier0(origin.fetch, MANIFEST, **settings) as tier:
            read_all(tier, 1)
            assert tier.counters.corrupt_on_disk == 3 and tier.counters.disk_hits == 57
            read_all(tier, 2)
            assert tier.counters.disk_hits == 57 + 60  # they were fetched and kept again


PROCESS = """
import json, random, sys
from experiments.caching import reference_tier
folder, limit, epochs, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
keys = [f"item-{n}" for n in range(60)]
content = {key: random.Random(key).randbytes(size) for key in keys}
manifest = {key: reference_tier.digest(content[key]) for key in keys}
options = dict(memory_bytes=0, item_bytes=size, folder=folder, disk_bytes=limit)
with reference_tier.Tier0(content.__getitem__, manifest, **options) as tier:
    print("ready", flush=True)
    for epoch in range(epochs):
        for key, found in tier.epoch(random.sample(keys, len(keys))):
            assert reference_tier.digest(found) == manifest[key]
print(json.dumps(tier.stats()))
"""


def start(folder, limit, epochs, size=SIZE):
    return subprocess.Popen(
        [sys.executable, "-c", PROCESS, folder, str(limit), str(epochs), str(size)], cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def test_a_killed_process_leaves_nothing_that_is_served(tmp_path):
    size, limit = 1 << 18, 40 << 18
    manifest = {key: reference_tier.digest(content(key, size)) for key in KEYS}
    for delay in (0.0, 0.005, 0.01, 0.02, 0.03):
        victim = start(tmp_path, limit, 100, size)
        assert victim.stdout.readline() == "ready\n", victim.stderr.read()
        time.sleep(delay)
        victim.send_signal(signal.SIGKILL)
        victim.communicate()
        disk = DiskTier(tmp_path, limit, reference_tier.digest)
        files = list(tmp_path.glob("*/*"))
        assert not [path for path in files if path.name.endswith(".part")]
        kept = [key for key in KEYS if disk.get(key, manifest[key]) is not None]
        assert len(kept) == len(files) <= 40 and disk.corrupt == 0
        with disk._tally() as tally:  # what the killed one had reserved is free again
            assert tally.value == len(files) * size
        disk.close()


def test_two_processes_share_a_folder_and_its_limit(tmp_path):
    pair = [start(tmp_path, 25 * SIZE, 20) for _ in range(2)]
    outputs = [process.communicate(timeout=300) for process in pair]
    stats = [json.loads(out.splitlines()[-1]) for out, err in outputs]
    assert len(list(tmp_path.glob("*/*"))) == 25
    assert all(counters["corrupt_on_disk"] == counters["disk_errors"] == 0 for counters in stats)
    assert all(counters["disk_hits"] >= 19 * 25 for counters in stats)
    disk = DiskTier(tmp_path, 25 * SIZE, reference_tier.digest)
    with disk._tally() as tally:
        assert tally.value == 25 * SIZE
    disk.close()


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="attempts 1 or more"):
        reference_tier.Tier0(None, {}, memory_bytes=0, item_bytes=1, attempts=0)
    with pytest.raises(KeyError):
        reference_tier.Tier0(None, {}, memory_bytes=0, item_bytes=1).read("unknown")
