"""Measures, within a client, for how long each way of looking at files shows what was before.

    python -m experiments.multiprotocol.staleness prepare FOLDER
    python -m experiments.multiprotocol.staleness watch FOLDER SECONDS ADDRESS
    python -m experiments.multiprotocol.staleness change FOLDER ADDRESS PORT
    python -m experiments.multiprotocol.staleness put ENDPOINT PREFIX ADDRESS PORT

The watcher looks at what `prepare` has made in the folder, and prints {"port": n}. Another client,
or the server's own host, then changes the files and tells the watcher at that port; `put` does so
by S3, with the keys below a prefix. No two clocks are compared: the watcher counts from the moment
it learns that the change is complete. So a delay is too long by at most `LOOK_S` and one round of
looks, and too short by half a round trip. The watcher prints {way: seconds until it showed the
change, or null if not within SECONDS}.
"""

import json
import os
import select
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

OLD, NEW = b"old", b"newer"
LOOK_S, CONNECT_S = 0.05, 60.0


def _held(folder, held):
    return os.pread(held, len(NEW), 0) == NEW


# Each in a folder of its own, so that no look refreshes what another one remembers.
WAYS = {
    "size": lambda folder, held: os.stat(folder / "size").st_size == len(NEW),
    "content": lambda folder, held: (folder / "content").read_bytes() == NEW,
    "held": _held,
    "absent": lambda folder, held: (folder / "absent").exists(),
    "listed": lambda folder, held: "listed" in os.listdir(folder),
}
MADE_LATER = ("absent", "listed")


def _shows(way, folder, held):
    """Return whether a look shows the change; a file that was replaced may be "stale" to it."""
    try:
        return WAYS[way](folder / way, held)
    except OSError:
        return False


def prepare(folder):
    """Make the files that are there before the change."""
    for way in WAYS:
        (Path(folder) / way).mkdir(parents=True)
        if way not in MADE_LATER:
            _write(Path(folder) / way / way, OLD)


def _write(path, content):
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def change(folder, address, port):
    """Overwrite in place what is there, make what is not, and tell the watcher."""
    _change(address, port, lambda way: _write(Path(folder) / way / way, NEW))


def put(endpoint, prefix, address, port):
    """Do the same by PUTs to an S3 endpoint (JSON)."""
    from experiments.systems import s3

    store = s3.Endpoint.from_dict(json.loads(endpoint)).obstore()
    _change(address, port, lambda way: store.put(f"{prefix}/{way}/{way}", NEW))


def _change(address, port, write):
    with socket.create_connection((address, int(port)), CONNECT_S) as watcher:
        for way in WAYS:
            write(way)
        watcher.sendall(b"changed")


def watch(folder, seconds, address):
    """Print the port, then the delay of each way."""
    folder, seconds = Path(folder), float(seconds)
    held = os.open(folder / "held" / "held", os.O_RDONLY)
    if early := [way for way in WAYS if _shows(way, folder, held)]:
        raise ValueError(f"{', '.join(early)}: changed before the watch began")
    with socket.create_server((address, 0)) as listener:
        print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
        connection = listener.accept()[0]
        seen: dict[str, float] = {}
        changed = None
        while len(seen) < len(WAYS) and (not changed or time.monotonic() < changed + seconds):
            for way in WAYS.keys() - seen:
                if _shows(way, folder, held):
                    seen[way] = time.monotonic()
            if not changed and select.select([connection], [], [], 0)[0]:
                changed = time.monotonic()
            time.sleep(LOOK_S)
    changed = changed or time.monotonic()  # all was seen before the last file was written
    delays = {way: max(0.0, seen[way] - changed) if way in seen else None for way in WAYS}
    print(json.dumps(delays), flush=True)


ACTS: dict[str, Callable[..., None]] = dict(prepare=prepare, change=change, put=put, watch=watch)


def main(what, *words):
    ACTS[what](*words)


if __name__ == "__main__":
    main(*sys.argv[1:])
