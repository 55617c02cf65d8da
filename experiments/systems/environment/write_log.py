"""States in which a power cut can leave a disk: one after each write. For a program on the host.

dm-log-writes is a layer of the kernel over a disk. It copies every write to a second disk, in the
order in which they are safe: a write enters the log when it has completed and a flush has followed,
or at once if it forces itself to the medium (FUA). Replayed up to a flush, the log yields the disk
that survives a power cut then, whatever the disk's own cache does. Replayed up to a write between
two flushes, it yields one of the disks that may survive: others lack an earlier write, and have a
later one. No write is torn in itself.

The format is that of drivers/md/dm-log-writes.c, all numbers little-endian: a sector with magic,
version, number of entries and sector size; then for each entry a sector with place, length (both in
sectors), flags and length of its text, and the data.
"""

import ctypes
import fcntl
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path
from typing import Any, BinaryIO, Self

from experiments.systems.environment import device_mapper
from experiments.systems.environment.memory_limit import MAKE

MAGIC, VERSION = 0x6A736677736872, 1
HEAD, ENTRY = struct.Struct("<QQQI"), struct.Struct("<QQQQ")
FLUSH, FUA, DISCARD, MARK = 1, 2, 4, 8
KEEP_SIZE, PUNCH_HOLE = 1, 2  # fallocate(2)
BTRFS_FORGET, BTRFS_CONTROL, BTRFS_ARGUMENTS = 0x50009405, "/dev/btrfs-control", 4096
CHUNK, LOG_TIMES = 1 << 16, 4  # the log may grow to so many times the disk
UNDO = """
export DM_DISABLE_UDEV=1
umount "$0/mounted"
dmsetup ls | cut -f 1 | grep ^benchpaper- | xargs --no-run-if-empty dmsetup remove
for image in disk log copy; do
    losetup --noheadings --output NAME --associated "$0/$image" | xargs -r losetup --detach
done
true
"""
_libc = ctypes.CDLL(None, use_errno=True)

Work = Callable[[Path], None]
Mark = Callable[[str], None]


@dataclass(frozen=True)
class Entry:
    """An entry of the log: `size` bytes at `place` that were written or discarded, or a mark."""

    place: int
    size: int
    flags: int
    data: bytes = b""
    mark: str = ""

    @property
    def is_barrier(self) -> bool:
        """Whether all before it, and itself, had reached the medium."""
        return bool(self.flags & (FLUSH | FUA))


@dataclass(frozen=True)
class Cut:
    """A power cut: after which mark, and whether all that survives was flushed (`is_certain`).

    `folder` is the file system after its recovery, mounted. `bytes_ahead` are those of the write
    that comes next: the disk is in this state while it takes them. As a weight of the state they
    do not depend on how the kernel splits its writes, where the number of states does.
    """

    mark: str
    is_certain: bool
    folder: Path
    bytes_ahead: int


class BrokenLog(OSError):
    """A log of writes that does not have the kernel's format."""


def undo(folder: Path) -> list[str]:
    """Return the command that removes what a killed program leaves of its disk, for `Host.undo`."""
    return ["sh", "-c", UNDO, str(folder)]


def entries(log: Path) -> Iterator[Entry]:
    """Yield the entries of a log, in order. Raises `BrokenLog`."""
    with open(log, "rb") as file:
        magic, version, count, sector = HEAD.unpack(_read(file, HEAD.size, log))
        if (magic, version) != (MAGIC, VERSION):
            raise BrokenLog(f"{log} holds no log of writes of version {VERSION}")
        file.seek(sector)
        for _ in range(count):
            head = _read(file, sector, log)
            place, length, flags, text = ENTRY.unpack_from(head)
            if flags & MARK:
                words = head[ENTRY.size : ENTRY.size + text].rstrip(b"\0")
                yield Entry(0, 0, flags, mark=words.decode())
            else:
                size = length * sector
                data = b"" if flags & DISCARD else _read(file, size, log)
                yield Entry(place * sector, size, flags, data)


def _read(file: BinaryIO, size: int, log: Path) -> bytes:
    data = file.read(size)
    if len(data) < size:
        raise BrokenLog(f"{log} ends within an entry")
    return data


class RecordedDisk:
    """A file system of a `kind` on a disk whose writes are logged, as a context manager.

    `folder` is for its files; `size_mb` is its size in MiB, and `options` are those of mount(2).
    Call `prepare`, `record`, and `cuts` in this order, once each.
    """

    def __init__(self, folder: Path, kind: str, size_mb: int, options: str = ""):
        self._kind, self._options = kind, options
        self._sectors = device_mapper.sectors_of(size_mb)
        self._disk, self._log, self._point = folder / "disk", folder / "log", folder / "mounted"
        self._replayed, self._copy = folder / "replayed", folder / "copy"
        self._stack = ExitStack()
        for path in (self._disk, self._log, self._replayed, self._copy):
            self._stack.callback(path.unlink)
            with open(path, "xb") as file:
                file.truncate(size_mb * (LOG_TIMES if path == self._log else 1) << 20)
        self._point.mkdir()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _loop(self, image: Path) -> Path:
        return self._stack.enter_context(device_mapper.LoopDevice(device_mapper.here, image)).path

    def prepare(self, work: Work) -> None:
        """Make the file system, and let `work(folder)` write what it holds from the beginning."""
        self._device = self._loop(self._disk)
        device_mapper.here([*MAKE[self._kind], self._device])
        with self._mounted(self._device):
            work(self._point)
        os.sync()
        _copy(self._disk, self._replayed)

    def record(self, work: Callable[[Path, Mark], None]) -> None:
        """Log what `work(folder, mark)` writes; it calls `mark(text)` to note where it stands."""
        table = device_mapper.log_writes(self._device, self._sectors, self._loop(self._log))
        layer = device_mapper.Layer(device_mapper.here, table)
        with layer, self._mounted(layer.path):
            work(self._point, lambda text: layer.message("mark", text))
        os.sync()

    def cuts(self, last: str) -> Iterator[Cut]:
        """Cut the power at the first mark, and after each write and mark until the mark `last`.

        What survives at a mark is certain: all that was flushed before.
        """
        device, mark = self._loop(self._copy), ""
        with open(self._replayed, "r+b", buffering=0) as disk:
            log = chain(entries(self._log), [Entry(0, 0, MARK)])
            for entry, ahead in pairwise(log):
                _apply(disk, entry)
                mark = entry.mark or mark
                if not mark:
                    continue
                # Recovery writes to the disk, so it gets a copy each time.
                _copy(self._replayed, self._copy)
                with self._mounted(device):
                    is_certain = bool(entry.mark) or entry.is_barrier
                    yield Cut(mark, is_certain, self._point, len(ahead.data))
                if mark == last:
                    return
        raise BrokenLog(f"the log ends before the mark {last}; its disk may have been full")

    @contextmanager
    def _mounted(self, device: Path) -> Iterator[None]:
        if self._kind == "btrfs":
            _forget_btrfs()
        words = [os.fsencode(word) for word in (device, self._point, self._kind)]
        _call("mount", *words, 0, self._options.encode())
        try:
            yield
        finally:
            _call("umount2", words[1], 0)


def _apply(disk: BinaryIO, entry: Entry) -> None:
    if entry.flags & DISCARD:
        _discard(disk, entry.place, entry.size)
    else:
        _write(disk, entry.place, entry.data)


def _write(file: BinaryIO, place: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:  # a full disk takes a part, and refuses the next one
        written = os.pwrite(file.fileno(), rest, place)
        rest, place = rest[written:], place + written


def _discard(disk: BinaryIO, place: int, size: int) -> None:
    words = ctypes.c_long(place), ctypes.c_long(size)
    _call("fallocate", disk.fileno(), KEEP_SIZE | PUNCH_HOLE, *words)


def _copy(source: Path, target: Path) -> None:
    """Make a sparse file the same as another of its size."""
    with open(source, "rb", buffering=0) as reads, open(target, "r+b", buffering=0) as writes:
        size = os.fstat(reads.fileno()).st_size
        _discard(writes, 0, size)
        for begin, end in _extents(reads.fileno(), size):
            for place in range(begin, end, CHUNK):
                data = os.pread(reads.fileno(), min(CHUNK, end - place), place)
                if data.strip(b"\0"):  # XFS's own log is mostly zeros
                    _write(writes, place, data)


def _extents(descriptor: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield (begin, end) of what a sparse file holds between its holes."""
    end = 0
    while end < size:
        try:
            begin = os.lseek(descriptor, end, os.SEEK_DATA)
        except OSError:  # ENXIO: there is none after it
            return
        end = os.lseek(descriptor, begin, os.SEEK_HOLE)
        yield begin, end


def _forget_btrfs() -> None:
    """Have the kernel forget disks that it has seen: each state of ours has the same UUID."""
    if os.path.exists(BTRFS_CONTROL):
        with open(BTRFS_CONTROL, "rb") as control:
            fcntl.ioctl(control, BTRFS_FORGET, bytearray(BTRFS_ARGUMENTS))


def _call(name: str, *arguments: Any) -> None:
    """Make a system call: a program for each of thousands would take minutes."""
    if getattr(_libc, name)(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
