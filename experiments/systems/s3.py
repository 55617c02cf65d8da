"""S3 endpoints: where a bucket is, clients for it, and whether it answers."""

import urllib.error
import urllib.request
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, Protocol, Self

from benchpaper import Host
from experiments.systems import asking, packages, server

BUCKET = "bench"
PACKAGE = packages.package("obstore")  # also waits for every S3 server
BOTO = packages.package("boto3")


@dataclass(frozen=True)
class Endpoint:
    """Bucket of an S3 server, with its credentials.

    `as_dict` and `from_dict` carry it to other programs.
    """

    url: str
    bucket: str
    access_key: str
    secret_key: str
    region: str = "us-east-1"

    def obstore(self, *, retries: int = 0, timeout: str = "60s") -> Any:
        """Return a fast client for the bucket.

        It retries nothing by default, because a hidden retry would spoil a measurement.
        """
        from obstore.store import S3Store

        return S3Store(
            self.bucket,
            endpoint=self.url,
            access_key_id=self.access_key,
            secret_access_key=self.secret_key,
            region=self.region,
            virtual_hosted_style_request=False,
            conditional_put="etag",
            client_options={"allow_http": True, "timeout": timeout},
            retry_config={"max_retries": retries},
        )

    def boto(self, *, retries: int = 0) -> Any:
        """Return a boto3 client for the server.

        It is slow (1 ms per request); use it for what the fast client cannot do.
        """
        import boto3
        from botocore.config import Config

        return boto3.client(
            "s3",
            endpoint_url=self.url,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=self.region,
            config=Config(
                s3={"addressing_style": "path"}, retries={"total_max_attempts": retries + 1}
            ),
        )

    def as_dict(self) -> dict[str, str]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, str]) -> Self:
        return cls(**values)


class ObjectSystem(server.System, Protocol):
    """A system that serves a bucket of objects over S3."""

    endpoint: Endpoint


def create_bucket(endpoint: Endpoint) -> None:
    """Create the bucket unless it exists.

    Raises `OSError` with the server's words if that fails.
    """
    import obstore

    url = obstore.sign(endpoint.obstore(), "PUT", "", timedelta(minutes=5))
    try:
        urllib.request.urlopen(urllib.request.Request(url, method="PUT"), timeout=5).close()
    except urllib.error.HTTPError as error:
        said = error.read().decode(errors="replace")
        if error.code != 409 or ("AlreadyOwnedByYou" not in said and "AlreadyExists" not in said):
            raise OSError(f"creating the bucket was answered with {error.code}: {said}") from None


def check(endpoint: Endpoint) -> None:
    """Raise unless the server lists the bucket for these credentials."""
    next(iter(endpoint.obstore(timeout="5s").list(chunk_size=1)), None)


def answers(endpoint: Endpoint) -> None:
    """Create the bucket and list it; raise whatever goes wrong."""
    create_bucket(endpoint)
    check(endpoint)


def ready(host: Host, endpoint: Endpoint, *, create: bool = True) -> None:
    """Raise unless a server on `host` answers there. With `create`, first create the bucket."""
    asking.ask(host, _ready, endpoint.as_dict(), create)


def _ready(described: dict[str, str], create: bool) -> None:
    (answers if create else check)(Endpoint.from_dict(described))
