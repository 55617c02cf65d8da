"""A server that answers every GET at once with zeros: the null target of S3 clients.

    python -m experiments.training_io.null.null_s3 \\
        '{"address": "127.0.0.1", "port": 0, "size": 4096}'

prints the port, then serves until killed. With `stall_s` it is a control: it pauses for `stall_s`
at the beginning of every `every_s` seconds. These two numbers determine the latencies that an
open-loop client must see.
"""

import json
import re
import selectors
import socket
import sys
import time

RANGE = re.compile(rb"\r\nRange: bytes=(\d+)-(\d+)\r\n", re.IGNORECASE)


def pause_left(now, stall_s, every_s):
    """Return the seconds left of a pause, which lies at the beginning of every period."""
    return max(0.0, stall_s - now % every_s) if stall_s else 0.0


def answer(request, size):
    """Return the answer to a request's head: the requested range, or `size` bytes."""
    found = RANGE.search(request)
    if found:
        size = int(found[2]) - int(found[1]) + 1
        return b"HTTP/1.1 206 Partial Content\r\nContent-Length: %d\r\n\r\n%b" % (size, bytes(size))
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (size, bytes(size))


def serve(address, port, size, stall_s=0.0, every_s=1.0):
    listener = socket.create_server(
        (address, port), family=socket.AF_INET6 if ":" in address else socket.AF_INET
    )
    print(listener.getsockname()[1], flush=True)
    selector, held, begun = selectors.DefaultSelector(), {}, time.monotonic()
    selector.register(listener, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is listener:
                connection, _ = listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                selector.register(connection, selectors.EVENT_READ)
                held[connection] = b""
                continue
            time.sleep(pause_left(time.monotonic() - begun, stall_s, every_s))
            if not _answer_all(key.fileobj, held, size):
                selector.unregister(key.fileobj)
                del held[key.fileobj]
                key.fileobj.close()


def _answer_all(connection, held, size):
    """Answer all complete requests. Return False once the client is gone."""
    try:
        data = connection.recv(65536)
        if not data:
            return False
        *whole, held[connection] = (held[connection] + data).split(b"\r\n\r\n")
        for request in whole:
            connection.sendall(answer(request + b"\r\n", size))
        return True
    except ConnectionError:
        return False


class Server:
    """The server on a host, as a context manager. `store` describes it for `stores.open_store`."""

    def __init__(self, host, size, stall_s=0.0, every_s=1.0):
        self._host = host
        self._asked = dict(
            address=host.address, port=0, size=size, stall_s=stall_s, every_s=every_s
        )
        self.process = self.store = None

    def __enter__(self):
        argv = [self._host.python, "-m", __name__, json.dumps(self._asked)]
        self.process = self._host.start(argv)
        try:
            port = int(self.process.read_line(20))
        except BaseException:
            self.process.stop()
            raise
        keys = ("nobody", "nothing")
        self.store = dict(
            kind="s3", address=self._host.address, port=port, bucket="null", credentials=keys
        )
        return self

    def __exit__(self, *_):
        self.process.stop()


if __name__ == "__main__":
    serve(**json.loads(sys.argv[1]))
