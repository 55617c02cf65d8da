"""A server that answers every GET at once with zeros: the null target of S3 clients.

    python -m experiments.training_io.null.null_s3 \\
        '{"address": "127.0.0.1", "port": 0, "size": 4096}'

prints the port, then serves until killed. With `stall_s` it is a control: it pauses for `stall_s`
at the beginning of every `every_s` seconds. These two numbers determine the latencies that an
open-loop client must see.
"""

import json
import re
import sys
import time

from experiments.training_io.null import accept_loop

RANGE = re.compile(rb"\r\nRange: bytes=(\d+)-(\d+)\r\n", re.IGNORECASE)


def pause_left(now, stall_s, every_s):
    """Return the seconds left of a pause, which lies at the beginning of every period."""
    return max(0.0, stall_s - now % every_s) if stall_s else 0.0


def answer(request, size):
    """Return the answer to a request's head: the requested range, or `size` bytes."""
    part = RANGE.search(request)
    if part:
        size = int(part[2]) - int(part[1]) + 1
        return b"HTTP/1.1 206 Partial Content\r\nContent-Length: %d\r\n\r\n%b" % (size, bytes(size))
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (size, bytes(size))


def split(data):
    """Return (the heads of the complete requests in `data`, what follows them)."""
    *heads, rest = data.split(b"\r\n\r\n")
    return heads, rest


def serve(address, port, size, stall_s=0.0, every_s=1.0):
    begun = time.monotonic()

    def pause():
        time.sleep(pause_left(time.monotonic() - begun, stall_s, every_s))

    accept_loop.serve(address, port, split, lambda head: answer(head + b"\r\n", size), pause)


if __name__ == "__main__":
    serve(**json.loads(sys.argv[1]))
