"""Ceph's object gateway (RGW) as a system under test: S3, and the same buckets as files over NFS.

It comes from the packages ceph-mon, ceph-osd, and radosgw; NFS-Ganesha serves the files, with its
module from the package nfs-ganesha-rgw. One monitor and one OSD, which keeps objects in memory,
are the cluster. Its configuration and keys lie in a scratch folder, and nothing reads /etc/ceph.
"""

import shutil
import subprocess
import uuid
from typing import Any, Self

from benchpaper import Host, Process
from experiments.systems import ganesha, nfs, s3, server

NEEDS = [s3.PACKAGE, nfs.PACKAGE]
USER, GATEWAY = "benchmark", "client.rgw"
MEMORY_BYTES = 1 << 30  # at most so much is stored
CONFIGURATION = """
[global]
fsid = {fsid}
mon initial members = a
mon host = [v2:{address}:{port}]
public addr = {address}
cluster addr = {address}
keyring = {keyring}
run dir = {folder}
admin socket =
crash dir = {folder}
mon data = {folder}/mon-{port}
osd data = {folder}/osd
rgw data = {folder}/rgw
log to stderr = true
err to stderr = true
log to file = false
mon cluster log to file = false
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
mon data avail crit = 0
mon allow pool size one = true
osd pool default size = 1
osd pool default min size = 1
osd crush chooseleaf type = 0
osd pool default pg num = 4
osd pool default pgp num = 4
osd pool default pg autoscale mode = off
osd objectstore = memstore
memstore device bytes = {memory}
rgw dns name = localhost
"""
KEYS = {  # what each part of the cluster may do
    "mon.": {"mon": "allow *"},
    "client.admin": {"mon": "allow *", "osd": "allow *", "mgr": "allow *"},
    "osd.0": {"mon": "allow profile osd", "osd": "allow *"},
    GATEWAY: {"mon": "allow rw", "osd": "allow rwx"},
}
# An attempt that was given up may have succeeded all the same.
CREATE_USER = (
    '"$@" user info --uid "$0" 2> /dev/null || "$@" user create --uid "$0" --display-name "$0" '
    '--access-key "$ACCESS" --secret-key "$SECRET"'
)


def version() -> str:
    """Return the version of the installed gateway, or "none"."""
    if not shutil.which("radosgw"):
        return "none"
    said = subprocess.run(["radosgw", "--version"], capture_output=True, text=True).stdout
    return said.split()[2]


class Rgw:
    """A cluster of its own with an S3 gateway, as a context manager; `endpoint` is a bucket."""

    endpoint: s3.Endpoint

    def __init__(self, host: Host, *, bucket: str = s3.BUCKET):
        self._host, self._bucket = host, bucket
        self._processes: list[Process] = []

    def __enter__(self) -> Self:
        self._folder = self._host.scratch()
        self._configuration, self._keyring = self._folder / "ceph.conf", self._folder / "keyring"
        try:
            self._make_keys()
            self._start_monitor()
            self._start_osd()
            self._start_gateway()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._processes):
            process.stop()
        self._processes.clear()

    def files(self, **settings: Any) -> ganesha.Exported:
        """Return a context manager that exports the bucket's objects as files by Ganesha.

        `settings` are those of `ganesha.Exported`.
        """
        fsal = (
            f'Name = RGW; User_Id = "{USER}"; Access_Key_Id = "{self.endpoint.access_key}"; '
            f'Secret_Access_Key = "{self.endpoint.secret_key}";'
        )
        cluster = (
            f'RGW {{ ceph_conf = "{self._configuration}"; name = "{GATEWAY}"; cluster = "ceph"; }}'
        )
        return ganesha.Exported(self._host, f"/{self._bucket}", fsal, more=cluster, **settings)

    def _command(self, program: str, *words: Any) -> list[Any]:
        return [program, "-c", self._configuration, *words]

    def _make_keys(self) -> None:
        self._host.run(["ceph-authtool", "--create-keyring", self._keyring])
        for name, may in KEYS.items():
            words = [word for part, caps in may.items() for word in ("--cap", part, caps)]
            self._host.run(["ceph-authtool", self._keyring, "--gen-key", "-n", name, *words])

    def _start_monitor(self) -> None:
        fsid, self._osd = str(uuid.uuid4()), str(uuid.uuid4())

        def argv(port: int) -> list[Any]:
            text = CONFIGURATION.format(
                fsid=fsid,
                address=self._host.address,
                port=port,
                folder=self._folder,
                keyring=self._keyring,
                memory=MEMORY_BYTES,
            )
            server.write(self._host, self._configuration, text)
            self._make_monitor(fsid, port)
            return self._command("ceph-mon", "-f", "-i", "a")

        # The cluster must know its OSD, so that is what to ask for.
        ask = self._command("ceph", "--connect-timeout", 5, "osd", "new", self._osd, 0)
        process, _ = server.start(self._host, "ceph-mon", argv, lambda port: self._host.run(ask))
        self._processes.append(process)

    def _make_monitor(self, fsid: str, port: int) -> None:
        run, where = self._host.run, f"[v2:{self._host.address}:{port}]"
        known = self._folder / f"monmap-{port}"
        run(["monmaptool", "--create", "--fsid", fsid, "--addv", "a", where, known])
        run(["mkdir", self._folder / f"mon-{port}"])
        words = ["--mkfs", "-i", "a", "--monmap", known, "--keyring", self._keyring]
        run(self._command("ceph-mon", *words))

    def _start_osd(self) -> None:
        self._host.run(["mkdir", self._folder / "osd", self._folder / "rgw"])
        self._host.run(self._command("ceph-osd", "-i", 0, "--mkfs", "--osd-uuid", self._osd))
        self._access, self._secret = server.credentials()
        command = self._command("radosgw-admin", "-n", GATEWAY)
        env = {"ACCESS": self._access, "SECRET": self._secret}

        def ready() -> None:
            """Make the gateway's user, which needs the OSD."""
            self._host.run(["sh", "-c", CREATE_USER, USER, *command], env=env)

        process, _ = server.start(
            self._host,
            "ceph-osd",
            lambda: self._command("ceph-osd", "-f", "-i", 0),
            ready,
            ports=0,
        )
        self._processes.append(process)

    def _start_gateway(self) -> None:
        def endpoint(port: int) -> s3.Endpoint:
            url = f"http://{self._host.address}:{port}"
            return s3.Endpoint(url, self._bucket, self._access, self._secret)

        def argv(port: int) -> list[Any]:
            front = f"beast endpoint={self._host.address}:{port}"
            return self._command("radosgw", "-f", "-n", GATEWAY, "--rgw-frontends", front)

        process, [port] = server.start(
            self._host, "radosgw", argv, lambda port: s3.ready(self._host, endpoint(port))
        )
        self._processes.append(process)
        self.endpoint = endpoint(port)
