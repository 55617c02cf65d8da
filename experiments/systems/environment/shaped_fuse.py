"""The FUSE face of a shaped store: a folder's files, read-only, at a shape's pace.

    python -m experiments.systems.environment.shaped_fuse \
        '{"folder": ..., "mountpoint": ..., "shape": {"latency_s": 0.001, ...}}'

serves until it is unmounted. Opening a file is a request that takes a latency and `open_s`, each
READ of the kernel (at most 1 MiB) one that takes a latency and its bytes, each READDIR one that
takes a latency and `entry_s` a name. Names and attributes are cached for good, so that looking up
takes nothing, and reads pass the page cache. The protocol is that of <linux/fuse.h>, version 7.31.
"""

import array
import contextlib
import errno
import json
import os
import shutil
import socket
import stat
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from experiments.systems.environment.on_time import wake_up_on_time
from experiments.systems.environment.shape import Shape, Shaper

LOOKUP, FORGET, GETATTR, OPEN, READ, STATFS, RELEASE = 1, 2, 3, 14, 15, 17, 18
FLUSH, INIT, OPENDIR, READDIR, RELEASEDIR, INTERRUPT = 25, 26, 27, 28, 29, 36
DESTROY, BATCH_FORGET = 38, 42
UNANSWERED = (FORGET, BATCH_FORGET, INTERRUPT)
ASYNC_READ, ASYNC_DIO, PARALLEL_DIROPS, MAX_PAGES = 1 << 0, 1 << 15, 1 << 18, 1 << 22
DIRECT_IO = 1
FOREVER_S = 1 << 20
IN, OUT = struct.Struct("<IIQQIIII"), struct.Struct("<IiQ")
INIT_OUT = struct.Struct("<IIIIHHIIHHI28x")
ATTRIBUTES = struct.Struct("<6Q10I")
THREADS, BUFFER = 64, 1 << 16
ROOT = 1


class Tree:
    """A folder's files and subfolders as numbered nodes; the root is 1."""

    def __init__(self, folder: str):
        self.paths = [Path(folder), *sorted(Path(folder).rglob("*"))]
        self._numbers = {path: number for number, path in enumerate(self.paths, ROOT)}
        self._stats = [path.stat() for path in self.paths]
        self._children: dict[int, list[int]] = {}
        for number, path in enumerate(self.paths[1:], ROOT + 1):
            self._children.setdefault(self._numbers[path.parent], []).append(number)

    def child(self, parent: int, name: str) -> int | None:
        return self._numbers.get(self.paths[parent - ROOT] / name)

    def children(self, parent: int) -> list[int]:
        return self._children.get(parent, [])

    def path(self, number: int) -> Path:
        return self.paths[number - ROOT]

    def mode(self, number: int) -> int:
        is_folder = stat.S_ISDIR(self._stats[number - ROOT].st_mode)
        return stat.S_IFDIR | 0o555 if is_folder else stat.S_IFREG | 0o444

    def attributes(self, number: int) -> bytes:
        """Return a node's `struct fuse_attr`."""
        at, owner = self._stats[number - ROOT], (os.getuid(), os.getgid())
        second = int(at.st_mtime)
        times = (second, second, second, 0, 0, 0)
        blocks = -(-at.st_size // 512)
        rest = (self.mode(number), 1, *owner, 0, 4096, 0)
        return ATTRIBUTES.pack(number, at.st_size, blocks, *times, *rest)


class Face:
    """Answers the kernel's requests for a tree."""

    def __init__(self, tree: Tree, shaper: Shaper):
        self._tree, self._shaper = tree, shaper
        self._answers: dict[int, Callable[[int, bytes], bytes]] = {
            INIT: self._init,
            LOOKUP: self._lookup,
            GETATTR: self._getattr,
            OPEN: self._open,
            READ: self._read,
            RELEASE: self._release,
            OPENDIR: lambda node, body: struct.pack("<QII", 0, 0, 0),
            READDIR: self._readdir,
            RELEASEDIR: lambda node, body: b"",
            FLUSH: lambda node, body: b"",
            STATFS: lambda node, body: bytes(80),
            DESTROY: lambda node, body: b"",
        }

    def answer(self, request: bytes) -> bytes | None:
        """Return the answer to a request, or None if it takes none."""
        _, code, unique, node, *_ = IN.unpack_from(request)
        if code in UNANSWERED:
            return None
        try:
            if code not in self._answers:
                raise OSError(errno.ENOSYS, "not served")
            body = self._answers[code](node, request[IN.size :])
        except OSError as error:
            return OUT.pack(OUT.size, -(error.errno or errno.EIO), unique)
        return OUT.pack(OUT.size + len(body), 0, unique) + body

    def _init(self, node: int, body: bytes) -> bytes:
        major, _, readahead, offered = struct.unpack_from("<IIII", body)
        wanted = ASYNC_READ | ASYNC_DIO | PARALLEL_DIROPS | MAX_PAGES
        return INIT_OUT.pack(
            major, 31, readahead, offered & wanted, THREADS, THREADS, 4096, 1, 256, 0, 0
        )

    def _lookup(self, node: int, body: bytes) -> bytes:
        number = self._tree.child(node, os.fsdecode(body.rstrip(b"\0")))
        if number is None:
            raise FileNotFoundError(errno.ENOENT, "no such file")
        head = struct.pack("<4Q2I", number, 0, FOREVER_S, FOREVER_S, 0, 0)
        return head + self._tree.attributes(number)

    def _getattr(self, node: int, body: bytes) -> bytes:
        return struct.pack("<QII", FOREVER_S, 0, 0) + self._tree.attributes(node)

    def _open(self, node: int, body: bytes) -> bytes:
        (flags,) = struct.unpack_from("<I", body)
        if flags & os.O_ACCMODE != os.O_RDONLY:
            raise OSError(errno.EROFS, "read-only")
        with self._shaper.request(opens=1):
            file = os.open(self._tree.path(node), os.O_RDONLY)
        return struct.pack("<QII", file, DIRECT_IO, 0)

    def _read(self, node: int, body: bytes) -> bytes:
        file, start, size = struct.unpack_from("<QQI", body)
        with self._shaper.request():
            data = os.pread(file, size, start)
            self._shaper.transfer(len(data))
        return data

    def _release(self, node: int, body: bytes) -> bytes:
        os.close(struct.unpack_from("<Q", body)[0])
        return b""

    def _readdir(self, node: int, body: bytes) -> bytes:
        _, start, size = struct.unpack_from("<QQI", body)
        listed = b""
        entries = 0
        for place, number in enumerate(self._tree.children(node)[start:], start + 1):
            name = os.fsencode(self._tree.path(number).name)
            kind = stat.S_IFMT(self._tree.mode(number)) >> 12
            entry = struct.pack("<QQII", number, place, len(name), kind) + name
            entry += bytes(-len(entry) % 8)
            if len(listed) + len(entry) > size:
                break
            listed, entries = listed + entry, entries + 1
        with self._shaper.request(entries=entries):
            return listed


def mount(mountpoint: str) -> int:
    """Mount at `mountpoint` by fusermount3, which needs no root; return the device's descriptor."""
    if not shutil.which("fusermount3"):
        raise SystemExit("no fusermount3 on PATH; install the package fuse3")
    ours, theirs = socket.socketpair()
    with ours, theirs:
        subprocess.run(
            ["fusermount3", "-o", "ro,fsname=shaped,subtype=shaped", "--", mountpoint],
            env={**os.environ, "_FUSE_COMMFD": str(theirs.fileno())},
            pass_fds=[theirs.fileno()],
            check=True,
        )
        _, control, *_ = ours.recvmsg(1, socket.CMSG_SPACE(4))
    descriptors = array.array("i")
    descriptors.frombytes(control[0][2])
    return descriptors[0]


def serve(device: int, face: Face) -> None:
    """Answer requests until the file system is unmounted."""
    while True:
        try:
            request = os.read(device, BUFFER)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EINTR, errno.EAGAIN):
                continue  # the request was withdrawn
            return
        answer = face.answer(request)
        if answer is not None:
            with contextlib.suppress(FileNotFoundError):  # it was withdrawn meanwhile
                os.write(device, answer)


def main(text: str) -> None:
    plan = json.loads(text)
    face = Face(Tree(plan["folder"]), Shaper(Shape(**plan["shape"]), plan.get("seed", 0)))
    device = mount(plan["mountpoint"])
    wake_up_on_time()
    threads = [threading.Thread(target=serve, args=(device, face)) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main(sys.argv[1])
