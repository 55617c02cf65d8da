"""Show what keeps an item in memcached: by default a second hit, and not the hit of a second.

    python -m experiments.caching.deviations.memcached_second_hit

The cache is filled, three of its items are hit never, once, and twice, and other items push on. By
default memcached's list is segmented: one hit marks an item as fetched, the second as active, and
only an active item gets another round. Whenever the first hit comes, it does not keep the item. A
plain list (`-o no_modern`) moves an item at its first hit, if that comes 60 seconds after the last
move. So the program waits a minute, with `--at-once` it does not.
"""

import argparse
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MODES = {"default": (), "one list": ("-o", "no_modern")}
HITS, INTERVAL_S = (0, 1, 2), 62
SETTLE_S = 2.0  # a thread of memcached moves items between segments; it sleeps a second at most
VALUE, FILL = b"v" * 65_536, 20
LEAVE, MOST_PUSHED = 15, 200  # evictions, which reach the three items if they are in order


class Cache:
    """memcached with 2 MiB on a Unix socket in `folder`, and one connection to it."""

    def __init__(self, folder: Path, options: tuple[str, ...]):
        path = folder / "socket"
        user = ["-u", "root"]
        self._process = subprocess.Popen(
            ["memcached", "-s", str(path), "-m", "2", "-t", "1", *user, *options]
        )
        self._socket = socket.socket(socket.AF_UNIX)
        while self._process.poll() is None:
            try:
                self._socket.connect(str(path))
                break
            except (FileNotFoundError, ConnectionRefusedError):
                time.sleep(0.01)
        else:
            raise RuntimeError(f"memcached ended with status {self._process.returncode}")
        self._file = self._socket.makefile("rb")

    def close(self) -> None:
        self._file.close()
        self._socket.close()
        self._process.terminate()
        self._process.wait()

    def set(self, key: str) -> None:
        self._socket.sendall(f"set {key} 0 0 {len(VALUE)}\r\n".encode() + VALUE + b"\r\n")
        self._file.readline()

    def get(self, key: str) -> bool:
        self._socket.sendall(f"get {key}\r\n".encode())
        held = False
        while (line := self._file.readline()) != b"END\r\n":
            held = held or line.startswith(b"VALUE")
            if not line:
                raise ConnectionError("memcached closed the connection")
        return held

    def evictions(self) -> int:
        self._socket.sendall(b"stats\r\n")
        counted = 0
        while (line := self._file.readline()) not in (b"END\r\n", b""):
            if line.startswith(b"STAT evictions "):
                counted = int(line.split()[2])
        return counted


def kept(options: tuple[str, ...], wait_s: float) -> dict[int, bool]:
    """Return {hits: whether an item that had so many is still there after the others left}."""
    with tempfile.TemporaryDirectory() as folder:
        cache = Cache(Path(folder), options)
        try:
            for number in range(FILL):
                cache.set(f"old{number}")
            time.sleep(wait_s)
            for hits in HITS:
                if not all(cache.get(f"old{10 + hits}") for _ in range(hits)):
                    raise RuntimeError("the cache is too small for what was written")
            time.sleep(SETTLE_S)
            for number in range(MOST_PUSHED):
                if cache.evictions() >= LEAVE:
                    break
                cache.set(f"new{number}")
                time.sleep(0.01)
            return {hits: cache.get(f"old{10 + hits}") for hits in HITS}
        finally:
            cache.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--at-once", action="store_true", help="do not wait a minute first")
    wait_s = 0 if parser.parse_args().at_once else INTERVAL_S
    if not shutil.which("memcached"):
        sys.exit("memcached is not installed: apt-get install memcached")
    for mode, options in MODES.items():
        held = kept(options, wait_s)
        shown = ", ".join(
            f"{hits} hits {'kept' if kept_ else 'gone'}" for hits, kept_ in held.items()
        )
        print(f"{mode}, after {wait_s} s: {shown}")


if __name__ == "__main__":
    main()
