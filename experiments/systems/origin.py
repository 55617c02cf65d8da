"""Request log of an S3 origin: nginx in front of it logs each request.

The log decides what a cache saved. No server here logs method, key, range, status, and bytes by
itself (rclone's debug log lacks ranges and statuses), so nginx, from the package nginx, stands in
front. It keeps connections to the origin open and buffers nothing on disk. Signatures stay valid,
because it passes on the host name that they cover.
"""

import json
import secrets
import time
import urllib.request
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from benchpaper import Host, HostError, capability
from experiments.systems import s3, server

CONFIGURATION = """
daemon off; worker_processes 1; pid {folder}/pid; error_log stderr warn; {user}
events {{ worker_connections 4096; }}
http {{
    log_format request escape=json \
'{{"method":"$request_method","uri":"$request_uri","range":"$http_range",'
        '"status":$status,"bytes":$body_bytes_sent,"time":$msec,"seconds":$request_time}}';
    access_log {folder}/requests request;
    client_max_body_size 0; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;
    fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    keepalive_requests 100000000;
    upstream origin {{ server {origin}; keepalive 256; keepalive_requests 100000000; }}
    server {{
        listen {address}:{port} backlog=1024;
        location {mark} {{ return 204; }}
        location / {{
            proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection "";
            proxy_set_header Host $http_host; proxy_request_buffering off; \
proxy_max_temp_file_size 0;
        }}
    }}
}}
"""

MARK = "/benchpaper-mark-"  # path prefix of our own requests, which no origin sees
NOTED_S = 30.0


@capability("nginx", "the web server nginx, which logs an origin's requests", "install nginx")
def _nginx():
    import shutil

    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    return bool(program), "nginx" if program else "no nginx on PATH"


class LoggedOrigin(server.Started):
    """S3 endpoint with a request log, as a context manager in front of another endpoint."""

    endpoint: s3.Endpoint
    _log: Path

    def __init__(self, host: Host, endpoint: s3.Endpoint):
        self._host, self._origin = host, endpoint

    def __enter__(self) -> Self:
        host, folder, origin = self._host, self._host.scratch(), self._origin
        self._log = folder / "requests"

        def argv(port: int) -> list[Any]:
            text = CONFIGURATION.format(
                folder=folder,
                origin=urlsplit(origin.url).netloc,
                address=host.address,
                port=port,
                mark=MARK,
                user="user root;" if host.run(["id", "-u"]).stdout.strip() == "0" else "",
            )
            server.write(host, folder / "conf", text)
            return ["nginx", "-p", folder, "-c", folder / "conf"]

        def endpoint(port: int) -> s3.Endpoint:
            return s3.Endpoint(**{**origin.as_dict(), "url": f"http://{host.address}:{port}"})

        self.process, [port] = server.start(
            host, "nginx", argv, lambda port: s3.ready(host, endpoint(port), create=False)
        )
        self.endpoint = endpoint(port)
        self._own = len(self._lines())  # requests of `s3.ready`
        return self

    def _lines(self) -> list[str]:
        """Return the log of all answered requests.

        nginx logs a request after answering it, and its only worker logs them in turn. So a request
        of our own goes last: once it is logged, so are all before it.
        """
        mark = f"{MARK}{secrets.token_hex(8)}"
        urllib.request.urlopen(f"{self.endpoint.url}{mark}", timeout=NOTED_S).close()
        end = time.monotonic() + NOTED_S
        while True:
            lines = self._host.run(["cat", self._log]).stdout.splitlines()
            if any(mark in line for line in lines):
                return [line for line in lines if MARK not in line]
            if time.monotonic() > end:
                raise HostError(f"nginx has not noted a request within {NOTED_S:g} s")
            time.sleep(0.005)

    def requests(self) -> list[dict[str, Any]]:
        """Return the requests since the start, in the order in which they ended.

        Each is a dict of method, key (None for the bucket itself), range ("bytes=0-4095" or ""),
        status, bytes (of the answer's body), time (s since 1970), and seconds.
        """
        answered = [json.loads(line) for line in self._lines()[self._own :]]
        for request in answered:
            path = unquote(request.pop("uri").partition("?")[0]).lstrip("/")
            request["key"] = path.partition("/")[2] or None
        return answered


def requests(origin: LoggedOrigin) -> list[dict[str, Any]]:
    """Return the request log of a `LoggedOrigin`."""
    return origin.requests()
