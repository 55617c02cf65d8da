"""The S3 face of a shaped store: a folder's files as objects of one bucket, at a shape's pace.

    python -m experiments.systems.environment.shaped_s3 \
        '{"address": "127.0.0.1", "folder": ..., "bucket": "bench", "shape": {"slots": 4, ...}}'

prints its port, then serves until killed. It answers GETs of objects and of their ranges, and
ListObjectsV2 with prefix and continuation. It takes any signature, since only this project's
clients read from it. A connection opens an object when it asks for another one than before, as a
server keeps the last file of each connection open; that costs `open_s`, and a listing `entry_s` a
name.
"""

import bisect
import json
import os
import re
import socket
import sys
import threading
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

from experiments.systems.environment.on_time import wake_up_on_time
from experiments.systems.environment.shape import PIECE, Shape, Shaper

PAGE = 1000  # names in an answer to a listing, as S3 has at most
RANGE = re.compile(r"\r\nrange: *bytes=(\d+)-(\d+)", re.IGNORECASE)


class Objects:
    """The names and sizes of the files in a folder and its subfolders, in order of names."""

    def __init__(self, folder: str):
        self.folder = Path(folder)
        paths = [path for path in self.folder.rglob("*") if path.is_file()]
        self.sizes = {str(p.relative_to(self.folder)): p.stat().st_size for p in sorted(paths)}
        self._names = sorted(self.sizes)

    def page(self, prefix: str, after: str) -> tuple[list[str], bool]:
        """Return up to `PAGE` names behind `after` that begin with `prefix`; and if more follow."""
        first = bisect.bisect_right(self._names, after) if after else 0
        first = max(first, bisect.bisect_left(self._names, prefix))
        names: list[str] = []
        for name in self._names[first:]:
            if not name.startswith(prefix) or len(names) == PAGE:
                return names, name.startswith(prefix)
            names.append(name)
        return names, False


class Connection:
    """One client's connection, served in a thread of its own."""

    def __init__(self, connection: socket.socket, objects: Objects, shaper: Shaper):
        self._socket, self._objects, self._shaper = connection, objects, shaper
        self._name, self._file = "", -1

    def serve(self) -> None:
        """Answer requests until the client goes."""
        data = b""
        try:
            while True:
                while b"\r\n\r\n" not in data:
                    more = self._socket.recv(65536)
                    if not more:
                        return
                    data += more
                head, data = data.split(b"\r\n\r\n", 1)
                self._answer(head.decode("latin-1"))
        except OSError:
            return  # the client is gone
        finally:
            self._close_file()
            self._socket.close()

    def _answer(self, head: str) -> None:
        method, target, _ = head.split(" ", 2)
        url = urlsplit(target)
        _, _, name = unquote(url.path).lstrip("/").partition("/")
        if method != "GET":
            self._send(b"405 Method Not Allowed", b"only GET is served here")
        elif not name:
            self._list(parse_qs(url.query))
        elif name not in self._objects.sizes:
            with self._shaper.request():
                self._send(b"404 Not Found", b"<Code>NoSuchKey</Code>")
        else:
            self._get(name, RANGE.search(head))

    def _list(self, query: dict[str, list[str]]) -> None:
        prefix, after = (query.get(key, [""])[0] for key in ("prefix", "continuation-token"))
        names, more = self._objects.page(prefix, after)
        entries = "".join(
            f"<Contents><Key>{escape(name)}</Key><Size>{self._objects.sizes[name]}</Size></Contents>"
            for name in names
        )
        if more:
            entries += f"<NextContinuationToken>{escape(names[-1])}</NextContinuationToken>"
        with self._shaper.request(entries=len(names)):
            self._send(b"200 OK", f"<ListBucketResult>{entries}</ListBucketResult>".encode())

    def _get(self, name: str, part: re.Match[str] | None) -> None:
        size = self._objects.sizes[name]
        first, last = (int(part[1]), min(int(part[2]), size - 1)) if part else (0, size - 1)
        opens = name != self._name
        with self._shaper.request(opens=opens):
            if opens:
                self._close_file()
                self._file = os.open(self._objects.folder / name, os.O_RDONLY)
                self._name = name
            length = last - first + 1
            status = b"206 Partial Content" if part else b"200 OK"
            self._socket.sendall(
                b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n" % (status, max(length, 0))
            )
            for start in range(first, last + 1, PIECE):
                self._piece(start, min(PIECE, last + 1 - start))

    def _piece(self, start: int, length: int) -> None:
        self._shaper.transfer(length)
        while length:
            sent = os.sendfile(self._socket.fileno(), self._file, start, length)
            if not sent:
                raise OSError(f"{self._name} has become shorter")
            start, length = start + sent, length - sent

    def _send(self, status: bytes, body: bytes) -> None:
        self._socket.sendall(
            b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)
        )

    def _close_file(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._name, self._file = "", -1


def main(text: str) -> None:
    plan = json.loads(text)
    objects, shaper = Objects(plan["folder"]), Shaper(Shape(**plan["shape"]), plan.get("seed", 0))
    family = socket.AF_INET6 if ":" in plan["address"] else socket.AF_INET
    listener = socket.create_server((plan["address"], 0), family=family, backlog=256)
    wake_up_on_time()
    print(listener.getsockname()[1], flush=True)
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        served = Connection(connection, objects, shaper)
        threading.Thread(target=served.serve, daemon=True).start()


if __name__ == "__main__":
    main(sys.argv[1])
