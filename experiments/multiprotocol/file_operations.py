"""What programs do with files besides reading and writing them, for each client of the file side.

The classes are parts of the views of files, which have `read`, `write`, `write_at` and `rename`. An
operation that a client or its server does not offer raises `Declined`: that is no anomaly.
"""

import contextlib
import errno
import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

ATTRIBUTE = "user.colour"  # the extended attribute that the tries set
DECLINING = {  # what a file system says of what it does not offer
    getattr(errno, name)
    for name in ("ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EPERM", "EINVAL", "EMLINK", "ENOLCK", "EXDEV")
}
MOUNTSTATS = Path("/proc/self/mountstats")


class Declined(Exception):
    """The client or its server does not offer an operation."""


@contextlib.contextmanager
def declining(what, unsupported=()):
    """Turn errors that say "not offered" into `Declined`."""
    try:
        yield
    except unsupported as error:
        raise Declined(f"{what} is not offered: {error}") from None
    except OSError as error:
        if error.errno in DECLINING:
            raise Declined(f"{what} is not offered: {error.strerror}") from None
        raise


class Operations:
    """What all clients do in the same way, and what only some can do."""

    def save(self: Any, name, data):
        """Replace a file as editors do: write a new one, and rename it over the old."""
        self.write(f"{name}.new", data)
        self.rename(f"{name}.new", name)

    def rewrite(self: Any, name, data):
        """Replace a content as most programs do: truncate, then write.

        At the first yield the file is truncated; at the second, half is written; at the third, all
        is, and durable.
        """
        half = len(data) // 2
        self.truncate(name, 0)
        yield
        self.write_at(name, 0, data[:half])
        yield
        self.write_at(name, half, data[half:])
        yield

    def restarted(self):
        """Connect again to a server that was started again; a folder needs nothing."""

    def attribute(self, name):
        """Return the extended attribute that `set_attribute` set, or None."""
        raise Declined("this client has no extended attributes")

    def set_attribute(self, name, value):
        """Set an extended attribute."""
        raise Declined("this client has no extended attributes")

    def locked(self, name):
        """Hold an exclusive lock on the whole file until the second step."""
        raise Declined("this client has no locks")
        yield

    def requests(self, *kinds):
        """Return how many requests of these kinds the client has sent, of all its mounts."""
        raise Declined("this client gets no delegations")


class FolderOperations(Operations):
    """Operations on a mounted folder, `self._root`."""

    _root: Path

    def create(self, name, data):
        """Create a file unless there is one (O_EXCL); return whether it did."""
        try:
            with open(self._root / name, "xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            return True
        except FileExistsError:
            return False

    def truncate(self, name, size):
        """Cut a file, or extend it by a hole."""
        with declining("truncation"):
            os.truncate(self._root / name, size)

    def rewrite(self, name, data):
        half = len(data) // 2
        with open(self._root / name, "wb", buffering=0) as file:
            yield
            file.write(data[:half])
            yield
            file.write(data[half:])
            os.fsync(file.fileno())
        yield

    def link(self, name, new):
        """Give a file a second name (a hard link)."""
        with declining("a hard link"):
            os.link(self._root / name, self._root / new)

    def symlink(self, name, new):
        """Make a symbolic link to a name in the same folder."""
        with declining("a symbolic link"):
            os.symlink(Path(name).name, self._root / new)

    def set_mode(self, name, mode):
        """Set the permissions of a file."""
        with declining("a change of permissions"):
            os.chmod(self._root / name, mode)

    def mode(self, name):
        """Return the permissions of a file."""
        return os.stat(self._root / name).st_mode & 0o777

    def set_attribute(self, name, value):
        with declining("an extended attribute"):
            os.setxattr(self._root / name, ATTRIBUTE, value)

    def attribute(self, name):
        try:
            return os.getxattr(self._root / name, ATTRIBUTE)
        except OSError as error:
            if error.errno == errno.ENODATA:
                return None
            raise

    def locked(self, name):
        with open(self._root / name, "r+b") as file:
            with declining("a lock"):
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        yield


class Reconnecting(Operations):
    """Operations through a client in user space, `self._client`, which `self._connect()` makes."""

    _client: Any
    _connect: Callable[[], Any]

    def restarted(self):
        self._client = self._connect()


class NfsOperations(Reconnecting):
    """Operations through nfs-rs."""

    def _offered(self, what):
        import nfs_rs

        # The server's own "not supported" arrives as an error of the protocol.
        return declining(
            what,
            (
                nfs_rs.NfsUnsupportedError,
                nfs_rs.NfsProtocolError,
                nfs_rs.NfsRpcError,
                nfs_rs.NfsPermissionError,
            ),
        )

    def create(self, name, data):
        raise Declined("nfs-rs cannot create exclusively")

    def truncate(self, name, size):
        with self._offered("truncation"):
            self._client.truncate(name, size)

    def link(self, name, new):
        with self._offered("a hard link"):
            self._client.link(name, new)

    def symlink(self, name, new):
        with self._offered("a symbolic link"):
            self._client.symlink(Path(name).name, new)

    def set_mode(self, name, mode):
        with self._offered("a change of permissions"):
            self._client.chmod(name, mode)

    def mode(self, name):
        return self._client.stat(name).mode & 0o777

    def set_attribute(self, name, value):
        with self._offered("an extended attribute"):
            self._client.setxattr(name, ATTRIBUTE, value)

    def attribute(self, name):
        import nfs_rs

        try:
            return bytes(self._client.getxattr(name, ATTRIBUTE))
        except (nfs_rs.NfsNotFoundError, nfs_rs.NfsProtocolError):
            return None


class LibnfsOperations(Reconnecting):
    """Operations through libnfs."""

    def create(self, name, data):
        try:
            self._client.create(name, data)
            return True
        except FileExistsError:
            return False

    def truncate(self, name, size):
        with declining("truncation"):
            self._client.truncate(name, size)

    def link(self, name, new):
        with declining("a hard link"):
            self._client.link(name, new)

    def symlink(self, name, new):
        with declining("a symbolic link"):
            self._client.symlink(Path(name).name, new)

    def set_mode(self, name, mode):
        with declining("a change of permissions"):
            self._client.set_mode(name, mode)

    def mode(self, name):
        return self._client.mode(name) & 0o777


class MountedOperations(FolderOperations):
    """Operations on an export that the kernel has mounted."""

    def requests(self, *kinds):
        lines = (line.strip().partition(":") for line in MOUNTSTATS.read_text().splitlines())
        counted = [int(rest.split()[0]) for kind, _, rest in lines if kind in kinds]
        if not counted:
            raise Declined("no export is mounted over NFS 4")
        return sum(counted)
