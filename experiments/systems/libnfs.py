"""libnfs, a second NFS client in user space, called through ctypes.

libnfs is a C library (LGPL, https://github.com/sahlberg/libnfs) from the package libnfs-utils. It
speaks version 3 to `rclone serve nfs`, and 4.0 to Ganesha.

Its directory cache is switched off, it has no other cache by default, and it does not reconnect: it
returns what the server said.
"""

import contextlib
import ctypes
import errno
import os
import secrets
from ctypes import POINTER, byref, c_char_p, c_int, c_uint64, c_void_p
from ctypes.util import find_library

from experiments.systems import nfs

# libnfs 4.0 cannot encode an NFS 4 write of 4 KiB, and reports no limits for that version.
WRITE_4_BYTES = 2048
READ_4_BYTES = 1 << 16
KNOWN = ("libnfs.so.13", "libnfs.so.14")  # 4.0 and 5.0; 6 changed the order of arguments


class Stat(ctypes.Structure):
    """Attributes of a file: `struct nfs_stat_64`."""

    _fields_ = [
        (name, c_uint64)
        for name in [
            "dev",
            "ino",
            "mode",
            "nlink",
            "uid",
            "gid",
            "rdev",
            "size",
            "blksize",
            "blocks",
            "atime",
            "mtime",
            "ctime",
            "atime_ns",
            "mtime_ns",
            "ctime_ns",
            "used",
        ]
    ]


class Entry(ctypes.Structure):
    """Name in a folder: the beginning of `struct nfsdirent`."""

    _fields_ = [("next", c_void_p), ("name", c_char_p)]


SIGNATURES = {
    "nfs_init_context": (c_void_p,),
    "nfs_destroy_context": (None, c_void_p),
    "nfs_get_error": (c_char_p, c_void_p),
    "nfs_parse_url_dir": (c_void_p, c_void_p, c_char_p),
    "nfs_destroy_url": (None, c_void_p),
    "nfs_set_dircache": (None, c_void_p, c_int),
    "nfs_set_autoreconnect": (None, c_void_p, c_int),
    "nfs4_set_client_name": (None, c_void_p, c_char_p),
    "nfs4_set_verifier": (None, c_void_p, c_char_p),
    "nfs_set_timeout": (None, c_void_p, c_int),
    "nfs_mount": (c_int, c_void_p, c_char_p, c_char_p),
    "nfs_get_readmax": (c_uint64, c_void_p),
    "nfs_get_writemax": (c_uint64, c_void_p),
    "nfs_open2": (c_int, c_void_p, c_char_p, c_int, c_int, POINTER(c_void_p)),
    "nfs_close": (c_int, c_void_p, c_void_p),
    "nfs_fsync": (c_int, c_void_p, c_void_p),
    "nfs_pread": (c_int, c_void_p, c_void_p, c_uint64, c_uint64, c_void_p),
    "nfs_pwrite": (c_int, c_void_p, c_void_p, c_uint64, c_uint64, c_char_p),
    "nfs_stat64": (c_int, c_void_p, c_char_p, POINTER(Stat)),
    "nfs_fstat64": (c_int, c_void_p, c_void_p, POINTER(Stat)),
    "nfs_unlink": (c_int, c_void_p, c_char_p),
    "nfs_rename": (c_int, c_void_p, c_char_p, c_char_p),
    "nfs_mkdir": (c_int, c_void_p, c_char_p),
    "nfs_truncate": (c_int, c_void_p, c_char_p, c_uint64),
    "nfs_link": (c_int, c_void_p, c_char_p, c_char_p),
    "nfs_symlink": (c_int, c_void_p, c_char_p, c_char_p),
    "nfs_chmod": (c_int, c_void_p, c_char_p, c_int),
    "nfs_opendir": (c_int, c_void_p, c_char_p, POINTER(c_void_p)),
    "nfs_readdir": (POINTER(Entry), c_void_p, c_void_p),
    "nfs_closedir": (None, c_void_p, c_void_p),
}


def library():
    """Return the loaded library.

    Raises `OSError` unless a version with known calls is installed.
    """
    name = find_library("nfs")
    if name not in KNOWN:
        raise OSError(
            f"found {name or 'no libnfs'}, which must be one of {', '.join(KNOWN)}: "
            "install libnfs-utils"
        )
    loaded = ctypes.CDLL(name)
    for function, (result, *arguments) in SIGNATURES.items():
        getattr(loaded, function).restype, getattr(loaded, function).argtypes = result, arguments
    return loaded


def version():
    """Return the name of the installed library, which contains its version, or "none"."""
    return find_library("nfs") or "none"


class Client:
    """Connection to an export, for one thread at a time.

    Paths are relative to the export. A failed call raises the `OSError` of its error number.
    """

    def __init__(self, address, port, version, *, export=None, timeout=10):
        self._nfs = library()
        self._context = self._nfs.nfs_init_context()
        if export is None:
            export = "" if version == "3" else nfs.EXPORT
        options = (
            f"version={version.partition('.')[0]}&nfsport={port}&mountport={port}"
            "&uid=0&gid=0&auto-traverse-mounts=0"
        )
        url = self._nfs.nfs_parse_url_dir(
            self._context, f"nfs://{address}/{export}?{options}".encode()
        )
        if not url:
            raise OSError(errno.EINVAL, f"libnfs does not know the options {options}")
        self._nfs.nfs_destroy_url(url)
        # By default the client has the name of its process: a server takes a second connection for
        # the return of the first, and ends the first.
        self._nfs.nfs4_set_client_name(
            self._context, f"libnfs {os.getpid()} {secrets.token_hex(8)}".encode()
        )
        self._nfs.nfs4_set_verifier(self._context, secrets.token_bytes(8))
        self._nfs.nfs_set_dircache(self._context, 0)
        self._nfs.nfs_set_autoreconnect(self._context, 0)
        self._nfs.nfs_set_timeout(self._context, int(1e3 * timeout))
        self._call("nfs_mount", address.encode(), f"/{export}".encode())

    def _call(self, function, *arguments):
        done = getattr(self._nfs, function)(self._context, *arguments)
        if done < 0:
            said = (self._nfs.nfs_get_error(self._context) or b"").decode(errors="replace")
            raise OSError(-done, f"{os.strerror(-done)} ({function}: {said})")
        return done

    def open(self, path, flags=os.O_RDONLY):
        """Open and return a handle for `read_open` and `close_open`."""
        handle = c_void_p()
        self._call("nfs_open2", _path(path), flags, 0o644, byref(handle))
        return handle

    def read_open(self, handle):
        """Return the contents of an open file, up to its current size."""
        status = Stat()
        self._call("nfs_fstat64", handle, byref(status))
        content = bytearray()
        most = self._nfs.nfs_get_readmax(self._context) or READ_4_BYTES
        while len(content) < status.size:
            part = ctypes.create_string_buffer(min(most, status.size - len(content)))
            got = self._call("nfs_pread", handle, len(content), len(part), part)
            if not got:
                break
            content += part.raw[:got]
        return bytes(content)

    def close_open(self, handle):
        self._call("nfs_close", handle)

    def write(self, path, data, offset=0, *, create=True):
        """Write from `offset` on; return once the data are durable on the server.

        With `create`, write into an empty file.
        """
        self._fill(self._emptied(path) if create else self.open(path, os.O_WRONLY), data, offset)

    def create(self, path, data):
        """Create a file with this content; raise `FileExistsError` if there is one."""
        self._fill(self.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL), data, 0)

    def _fill(self, handle, data, offset):
        try:
            most = self._nfs.nfs_get_writemax(self._context) or WRITE_4_BYTES
            done = 0
            while done < len(data):
                part = data[done : done + most]
                done += self._call("nfs_pwrite", handle, offset + done, len(part), part)
            self._call("nfs_fsync", handle)
        finally:
            self.close_open(handle)

    def _emptied(self, path):
        """Open emptied, or create: with NFS 4, libnfs refuses to create an existing file.

        Look first: after an open that failed, libnfs counts wrong, and some servers answer its next
        open as they did that one.
        """
        try:
            self.stat(path)
            return self.open(path, os.O_WRONLY | os.O_TRUNC)
        except FileNotFoundError:
            return self.open(path, os.O_WRONLY | os.O_CREAT)

    def stat(self, path):
        """Return (size, time of change in seconds)."""
        status = Stat()
        self._call("nfs_stat64", _path(path), byref(status))
        return status.size, status.mtime + status.mtime_ns / 1e9

    def mode(self, path):
        """Return the permissions and the type, as in `os.stat_result.st_mode`."""
        status = Stat()
        self._call("nfs_stat64", _path(path), byref(status))
        return status.mode

    def set_mode(self, path, mode):
        self._call("nfs_chmod", _path(path), mode)

    def truncate(self, path, size):
        self._call("nfs_truncate", _path(path), size)

    def link(self, path, new):
        self._call("nfs_link", _path(path), _path(new))

    def symlink(self, target, path):
        """Make a symbolic link at `path`; `target` is its text."""
        self._call("nfs_symlink", target.encode(), _path(path))

    def listdir(self, path):
        folder, names = c_void_p(), []
        self._call("nfs_opendir", _path(path), byref(folder))
        while entry := self._nfs.nfs_readdir(self._context, folder):
            names.append(entry.contents.name.decode())
        self._nfs.nfs_closedir(self._context, folder)
        return [name for name in names if name not in (".", "..")]

    def remove(self, path):
        self._call("nfs_unlink", _path(path))

    def rename(self, old, new):
        self._call("nfs_rename", _path(old), _path(new))

    def mkdir(self, path):
        """Make a folder and its parents, unless they exist."""
        for depth in range(1, path.count("/") + 2):
            with contextlib.suppress(FileExistsError):
                self._call("nfs_mkdir", _path("/".join(path.split("/")[:depth])))

    def close(self):
        self._nfs.nfs_destroy_context(self._context)


def _path(path):
    return f"/{path}".encode()
