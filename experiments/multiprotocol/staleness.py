"""Measures, within a client, for how long each way of looking at files shows what was before.

    python -m experiments.multiprotocol.staleness prepare FOLDER
    python -m experiments.multiprotocol.staleness watch FOLDERS SECONDS ADDRESS
    python -m experiments.multiprotocol.staleness change FOLDER BY ADDRESS PORT
    python -m experiments.multiprotocol.staleness put ENDPOINT PREFIX BY ADDRESS PORT

FOLDERS is a JSON object, {who changes: {mount: folder}}. The watcher looks through all mounts at
what `prepare` has made in the folders, and prints {"port": n}. Another client, or the server's own
host, then changes the files and tells the watcher at that port; `put` does so by S3, with the keys
below a prefix. No two clocks are compared: the watcher counts from the moment it learns that the
change is complete. So a delay is too long by at most `LOOK_S` and one round of looks, and too short
by half a round trip. The watcher prints [[who, mount, way, seconds until it showed the change, or
null if not within SECONDS], ...].
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


def change(folder, by, address, port):
    """Overwrite in place what is there, make what is not, and tell the watcher who did it."""
    _change(by, address, port, lambda way: _write(Path(folder) / way / way, NEW))


def put(endpoint, prefix, by, address, port):
    """Do the same by PUTs to an S3 endpoint (JSON)."""
    from experiments.systems import s3

    store = s3.Endpoint.from_dict(json.loads(endpoint)).obstore()
    _change(by, address, port, lambda way: store.put(f"{prefix}/{way}/{way}", NEW))


def _change(by, address, port, write):
    with socket.create_connection((address, int(port)), CONNECT_S) as watcher:
        for way in WAYS:
            write(way)
        watcher.sendall(by.encode())


def watch(folders, seconds, address):
    """Print the port, then the delay of each way, for each mount and who made the change."""
    places = {
        (by, mount): Path(folder)
        for by, folders_of in json.loads(folders).items()
        for mount, folder in folders_of.items()
    }
    seconds = float(seconds)
    held = {place: os.open(path / "held" / "held", os.O_RDONLY) for place, path in places.items()}
    unseen = [(*place, way) for place in places for way in WAYS]

    def shows(by, mount, way):
        return _shows(way, places[by, mount], held[by, mount])

    if early := [" ".join(each) for each in unseen if shows(*each)]:
        raise ValueError(f"{', '.join(early)}: changed before the watch began")
    seen: dict[tuple[str, str, str], float] = {}
    with socket.create_server((address, 0)) as listener:
        print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
        changes = _Changes(listener, {by for by, _ in places})
        while unseen and not changes.all_older_than(seconds):
            for each in list(unseen):
                if shows(*each):
                    seen[each] = time.monotonic()
                    unseen.remove(each)
            changes.look()
            time.sleep(LOOK_S)
        while not changes.all_older_than(0):  # all was seen before the last file was written
            changes.look()
            time.sleep(LOOK_S)
    delays = [
        (*each, max(0.0, seen[each] - changes.at[each[0]]) if each in seen else None)
        for each in [(*place, way) for place in places for way in WAYS]
    ]
    print(json.dumps(delays), flush=True)


class _Changes:
    """When the watcher learned of each change; whoever makes one connects, and says its name."""

    def __init__(self, listener: socket.socket, awaited: set[str]):
        self._open, self._listener, self._awaited = [listener], listener, awaited
        self.at: dict[str, float] = {}

    def look(self) -> None:
        for ready in select.select(self._open, [], [], 0)[0]:
            if ready is self._listener:
                self._open.append(ready.accept()[0])
                continue
            if said := ready.recv(99).decode():
                self.at[said] = time.monotonic()
            self._open.remove(ready)
            ready.close()

    def all_older_than(self, seconds: float) -> bool:
        latest = max(self.at.values(), default=0.0)
        return self._awaited == self.at.keys() and time.monotonic() >= latest + seconds


ACTS: dict[str, Callable[..., None]] = dict(prepare=prepare, change=change, put=put, watch=watch)


def main(what, *words):
    ACTS[what](*words)


if __name__ == "__main__":
    main(*sys.argv[1:])
