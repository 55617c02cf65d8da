"""The object side as a bucket of an S3 server."""

import urllib.error
import urllib.request
from datetime import timedelta

from experiments.multiprotocol.plain_s3 import PlainS3
from experiments.multiprotocol.retrying import TIMEOUT_S
from experiments.systems import s3

PART = 5 << 20  # bytes; S3's minimum for every part but the last


class S3(PlainS3):
    """Objects of a bucket, through a fast client where it can do it."""

    def __init__(self, endpoint):
        super().__init__(endpoint)
        self._store = s3.Endpoint.from_dict(endpoint).obstore(timeout=f"{TIMEOUT_S}s")

    def get(self, key):
        """Return (content, ETag), or None."""
        try:
            answer = self._store.get(key)
            return bytes(answer.bytes()), answer.meta["e_tag"]
        except FileNotFoundError:
            return None

    def put(self, key, data, create=False, tag=None):
        """Create or replace an object; return its new ETag, or None if a precondition failed.

        With `create`, only if there is no object (If-None-Match: *). With `tag`, only if the object
        has that ETag (If-Match).
        """
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        mode = "create" if create else {"e_tag": tag} if tag else "overwrite"
        try:
            return self._store.put(key, data, mode=mode, use_multipart=False)["e_tag"]
        except (AlreadyExistsError, PreconditionError, FileNotFoundError):
            return None

    def head(self, key):
        """Return (size, ETag, time of change in seconds), or None."""
        try:
            answer = self._store.head(key)
        except FileNotFoundError:
            return None
        return answer["size"], answer["e_tag"], answer["last_modified"].timestamp()

    def delete(self, key):
        """Delete one object by a plain DELETE.

        The client's own delete sends a list, and rejects JuiceFS's answer to that.
        """
        import obstore

        url = obstore.sign(self._store, "DELETE", key, timedelta(minutes=5))
        try:
            urllib.request.urlopen(
                urllib.request.Request(url, method="DELETE"), timeout=TIMEOUT_S
            ).close()
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise

    def names(self, prefix):
        return {entry["path"] for chunk in self._store.list(prefix.rstrip("/")) for entry in chunk}

    def upload(self, key, part, rest):
        """Upload an object in two parts.

        At the first yield the first part is there; at the second, the object is complete.
        """
        import obstore

        writer = obstore.open_writer(self._store, key, buffer_size=len(part))
        writer.write(part + rest)
        yield
        writer.close()
        yield
