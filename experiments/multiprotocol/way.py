"""The way from a client to servers on another host: the address at which it finds them.

It is not always the one that they listen on: a guest of an ordinary user finds servers on this
machine's loopback at another address, and this machine finds those of the guest at a third.
"""

from dataclasses import replace
from urllib.parse import urlsplit

from benchpaper import Host
from experiments.systems import nfs, s3


class Way:
    """The way from `client` to servers on `host`."""

    def __init__(self, client: Host, host: Host):
        self.address = client.address_of(host)

    def export(self, export: nfs.Export) -> nfs.Export:
        """Return an export as the client finds it."""
        return replace(export, address=self.address)

    def endpoint(self, endpoint: s3.Endpoint) -> s3.Endpoint:
        """Return an endpoint as the client finds it."""
        url = urlsplit(endpoint.url)
        host = f"[{self.address}]" if ":" in self.address else self.address
        return replace(endpoint, url=url._replace(netloc=f"{host}:{url.port}").geturl())
