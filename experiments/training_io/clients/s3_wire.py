"""A fast S3 reader: GETs over persistent connections, with requests that are signed only once.

A general client spends most of a 4 KiB GET on its own work. This reader computes the signature (AWS
Signature Version 4 of the headers host, x-amz-content-sha256, and x-amz-date) once per object. The
range is a header that needs no signature. The reader parses only status and length of an answer.
"""

import hashlib
import hmac
import re
import socket
import time
from urllib.parse import quote, urlencode

EMPTY = hashlib.sha256(b"").hexdigest()
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
HEAD_BYTES = 16384


class S3Error(RuntimeError):
    """The server's answer is not the object."""


def sign(
    method, host, path, query, credentials, amz_date, payload=EMPTY, region="us-east-1", extra=()
):
    """Return the value of the Authorization header.

    `path` is quoted. `extra` lists (lower-case name, value) of further headers to sign. See
    "Signature Calculations for the Authorization Header" in the Amazon S3 API reference.
    """
    key_id, secret = credentials
    headers = sorted(
        [("host", host), ("x-amz-content-sha256", payload), ("x-amz-date", amz_date), *extra]
    )
    names = ";".join(name for name, _ in headers)
    canonical = "\n".join(
        [method, path, query, *(f"{name}:{value}" for name, value in headers), "", names, payload]
    )
    day = amz_date[:8]
    scope = f"{day}/{region}/s3/aws4_request"
    text = "\n".join(
        ["AWS4-HMAC-SHA256", amz_date, scope, hashlib.sha256(canonical.encode()).hexdigest()]
    )
    key = f"AWS4{secret}".encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    return (
        f"AWS4-HMAC-SHA256 Credential={key_id}/{scope},SignedHeaders={names},Signature={signature}"
    )


class Signer:
    """Builds the heads of requests to one bucket of a server. `credentials` is (key id, secret)."""

    def __init__(self, address, port, bucket, credentials):
        self.host = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        self._bucket, self._credentials = bucket, credentials
        self._date = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        self._heads = {}

    def get(self, key, start=None, length=None):
        """Return a GET request for `key`, or for its `length` bytes from `start`."""
        head = self._heads.get(key)
        if head is None:
            head = self._heads[key] = self.head("GET", f"/{self._bucket}/{quote(key)}", "")
        if start is None:
            return head + b"\r\n"
        return head + b"Range: bytes=%d-%d\r\n\r\n" % (start, start + length - 1)

    def listing(self, prefix, token):
        """Return a GET request that lists up to 1,000 keys of the bucket."""
        query = {
            "list-type": "2",
            "prefix": prefix,
            **({"continuation-token": token} if token else {}),
        }
        return (
            self.head("GET", f"/{self._bucket}", urlencode(sorted(query.items()), quote_via=quote))
            + b"\r\n"
        )

    def head(self, method, path, query, payload=EMPTY):
        """Return the lines of a signed request, without the empty line that ends them."""
        authorization = sign(method, self.host, path, query, self._credentials, self._date, payload)
        target = f"{path}?{query}" if query else path
        return (
            f"{method} {target} HTTP/1.1\r\nHost: {self.host}\r\n"
            f"x-amz-content-sha256: {payload}\r\n"
            f"x-amz-date: {self._date}\r\nAuthorization: {authorization}\r\n"
        ).encode()


class Connection:
    """A persistent connection that carries one request at a time."""

    def __init__(self, address, port, timeout_s=30.0):
        self._socket = socket.create_connection((address, port), timeout=timeout_s)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def fileno(self):
        return self._socket.fileno()

    def send(self, request):
        self._socket.sendall(request)

    def receive(self):
        """Return the body of the next answer. Raises `S3Error` unless the status is 200 or 206."""
        data = self._socket.recv(HEAD_BYTES)
        while (end := data.find(b"\r\n\r\n")) < 0:
            more = self._socket.recv(HEAD_BYTES)
            if not more or len(data) > HEAD_BYTES:
                raise S3Error(
                    f"the server closed the connection, or sent no head, after {len(data)} B"
                )
            data += more
        match = LENGTH.search(data, 0, end)
        length = int(match[1]) if match else None
        if length is None and b"chunked" in data[:end].lower():
            body = self._chunks(data[end + 4 :])
        else:
            body = self._whole(data[end + 4 :], length or 0)
        if data[9:12] not in (b"200", b"206"):
            status, said = data.split(b"\r\n")[0], bytes(body[:300])
            raise S3Error(f"{status.decode(errors='replace')}: {said.decode(errors='replace')}")
        return body

    def _whole(self, begun, length):
        if len(begun) >= length:
            return begun[:length]
        body = bytearray(length)
        body[: len(begun)] = begun
        view, place = memoryview(body), len(begun)
        while place < length:
            count = self._socket.recv_into(view[place:])
            if not count:
                raise S3Error(f"the server closed the connection after {place} of {length} B")
            place += count
        return body

    def _chunks(self, data):
        body, place = bytearray(), 0
        while True:
            while (end := data.find(b"\r\n", place)) < 0:
                data += self._more()
            size = int(data[place:end].split(b";")[0], 16)
            while len(data) < end + 4 + size:
                data += self._more()
            if not size:
                return body
            body += data[end + 2 : end + 2 + size]
            place = end + 4 + size

    def _more(self):
        data = self._socket.recv(1 << 16)
        if not data:
            raise S3Error("the server closed the connection within a chunked answer")
        return data

    def fetch(self, request):
        self.send(request)
        return self.receive()

    def close(self):
        self._socket.close()
