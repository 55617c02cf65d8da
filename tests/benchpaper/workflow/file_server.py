"""A web server on the loopback interface that serves one file, in good and bad ways."""

import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Behaviour:
    """What the server does; `ranges` holds the Range of each request, None without one."""

    def __init__(self, data, **how):
        self.data, self.how, self.ranges = data, how, []


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        serve = self.server.behaviour
        span = self.headers.get("Range")
        serve.ranges.append(span)
        data, first = serve.data, 0
        if span and serve.how.get("ranges", True):
            first = int(re.fullmatch(r"bytes=(\d+)-", span)[1])
        if to := serve.how.get("redirect", {}).get(self.path):
            self.send_response(302)
            self.send_header("Location", to)
            self.end_headers()
            self.close_connection = True
        elif status := serve.how.get("status"):
            self._send(status, b"no")
        elif first >= len(data):
            self._send(416, b"")
        else:
            cut = serve.how.get("cut", [])
            size = cut.pop(0) if cut else None
            self._send(206 if first else 200, data[first:], size, first)

    def _send(self, status, data, size=None, first=0):
        self.send_response(status)
        if self.server.behaviour.how.get("length", True):
            self.send_header("Content-Length", str(len(data)))
        if status == 206:
            whole = first + len(data)
            shown = first + self.server.behaviour.how.get("shift", 0)
            self.send_header("Content-Range", f"bytes {shown}-{whole - 1}/{whole}")
        self.end_headers()
        self.wfile.write(data if size is None else data[:size])
        self.close_connection = True

    def log_message(self, *_):
        pass


@contextmanager
def served(data, **how):
    """Yield (address of the file, behaviour)."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.behaviour = Behaviour(data, **how)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/x", server.behaviour
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
