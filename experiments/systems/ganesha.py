"""NFS-Ganesha as a system under test: files over NFS 4, from user space.

It comes from the packages nfs-ganesha and nfs-ganesha-vfs, and runs as root. What it exports is up
to a module of its own (FSAL): VFS is for folders, and `ceph` uses another.
"""

from pathlib import Path
from typing import Any, Self

from benchpaper import Host
from experiments.systems import nfs, server

CONFIGURATION = """
NFS_CORE_PARAM {{
    Protocols = 4; NFS_Port = {port}; Bind_addr = {address}; Enable_NLM = false; \
Enable_RQUOTA = false; {core}
}}
NFSv4 {{ Graceless = true; RecoveryRoot = {scratch}/recovery; Minor_Versions = 0, 1, 2; }}
MDCACHE {{ {cache} }}
EXPORT_DEFAULTS {{ Attr_Expiration_Time = {attribute_seconds}; }}
EXPORT {{
    Export_Id = 1; Path = "{path}"; Pseudo = /{export}; Access_Type = RW; SecType = sys; \
Squash = None; Protocols = 4;
    FSAL {{ {fsal} }}
}}
{more}
"""

VERSIONS = ("4.1", "4.0", "4.2")  # the first is that of nfs-rs
# Ganesha 6 asks the kernel for a privilege that containers lack, and exits without it unless this
# is set. Ganesha 4 does not know the key.
KNOWS_IO_FLUSHER, IO_FLUSHER = 6, "allow_set_io_flusher_fail = true;"


def version() -> str:
    """Return the version of the installed Ganesha, or "none"."""
    import shutil
    import subprocess

    if not shutil.which("ganesha.nfsd"):
        return "none"
    said = subprocess.run(["ganesha.nfsd", "-v"], capture_output=True, text=True)
    return _number((said.stdout + said.stderr).strip().splitlines()[0])


def _number(line: str) -> str:
    """Return the version in "NFS-Ganesha Release = V6.5"."""
    return line.rpartition("=")[2].strip().lstrip("V")


class Exported(nfs.Server):
    """Ganesha's export of `path`, as the FSAL of these settings shows it, as /data.

    Connect by `nfs.client(address, port, "4.1")`.

    `attribute_seconds` is how long the server trusts the attributes that it remembers of a file
    (Ganesha's default is 60). `cache` holds settings of its MDCACHE block ("Dir_Chunk = 0;"), and
    `more` more blocks.
    """

    def __init__(
        self,
        host: Host,
        path: Path | str,
        fsal: str,
        *,
        attribute_seconds: int = 60,
        cache: str = "",
        more: str = "",
    ):
        super().__init__(host)
        self._path, self._fsal, self._cache, self._more = path, fsal, cache, more
        self._attribute_seconds = attribute_seconds

    def __enter__(self) -> Self:
        scratch = self._host.scratch()
        self._host.run(["mkdir", scratch / "recovery"])
        log = scratch / "log"
        major = _number(server.first_line(self._host, ["ganesha.nfsd", "-v"])).partition(".")[0]
        core = IO_FLUSHER if major.isdigit() and int(major) >= KNOWS_IO_FLUSHER else ""

        def argv(port: int) -> list[Any]:
            text = CONFIGURATION.format(
                port=port,
                address=self.address,
                scratch=scratch,
                path=self._path,
                fsal=self._fsal,
                export=nfs.EXPORT,
                cache=self._cache,
                attribute_seconds=self._attribute_seconds,
                more=self._more,
                core=core,
            )
            server.write(self._host, scratch / "conf", text)
            return ["ganesha.nfsd", "-F", "-f", scratch / "conf", "-L", log, "-p", scratch / "pid"]

        self._serve(
            "ganesha.nfsd",
            argv,
            dict.fromkeys(VERSIONS, f"/{nfs.EXPORT}"),
            log=lambda: self._host.run(["cat", log], check=False).stdout,
        )
        return self


class Ganesha(Exported):
    """Ganesha's export of a folder: it trusts what it remembers while only Ganesha changes it."""

    def __init__(self, host: Host, folder: Path | str, **settings: Any):
        super().__init__(host, folder, "Name = VFS;", **settings)
