"""Runs in a guest: records each write to a disk, and shows the disk as of each of them.

dm-log-writes is a layer of the kernel over a disk. It copies every write, in the order in which
they are safe, to a second disk (Documentation/admin-guide/device-mapper/log-writes.rst). The disks
are in memory.
"""

import ctypes
import os
import struct
import subprocess
from contextlib import contextmanager
from pathlib import Path

from benchpaper.hosts.guests import modules

DISK, LOG, COPY = (Path(f"/dev/ram{number}") for number in range(3))
DISK_KIB = 24 << 10
MAGIC = 0x6A736677736872
IS_FLUSH, IS_FUA, IS_DISCARD, IS_MARK = 1, 2, 4, 8
POINT = Path("/run/disk")
LIBC = ctypes.CDLL(None, use_errno=True)


def start():
    """Mount what programs expect, and load the modules. For the guest's first process."""
    os.environ["PATH"] = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
    places = {"proc": "/proc", "sysfs": "/sys", "devtmpfs": "/dev", "tmpfs": "/run"}
    for kind, place in places.items():
        if not os.path.ismount(place):
            mount(kind, place, kind)
    os.environ["TMPDIR"] = "/run"
    POINT.mkdir()
    modules.load("dm-log-writes")
    modules.load("brd", f"rd_nr=3 rd_size={4 * DISK_KIB}")


def _run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"{' '.join(map(str, command))}: {done.stdout}{done.stderr}")


def mount(device, place, kind, options=""):
    """Mount a file system (mount(2): a program for each of thousands would take minutes)."""
    words = [os.fsencode(word) for word in (device, place, kind)]
    if LIBC.mount(*words, 0, options.encode()):
        raise OSError(ctypes.get_errno(), f"{device} is not mounted at {place}")


@contextmanager
def mounted(device, options):
    mount(device, POINT, "ext4", options)
    try:
        yield POINT
    finally:
        if LIBC.umount2(os.fsencode(POINT), 0):
            raise OSError(ctypes.get_errno(), f"{POINT} is not unmounted")


def mark(text):
    """Note in the log that everything up to now was promised to be safe."""
    _run("dmsetup", "message", "log", "0", "mark", text)


def record(prepare, work, options):
    """Make a file system, `prepare(folder)` it, and log the writes of `work(folder)`.

    Returns the disk's bytes before `work`.
    """
    _run("mkfs.ext4", "-q", "-F", "-b", "4096", "-E", "lazy_itable_init=0,lazy_journal_init=0",
        str(DISK), f"{DISK_KIB}k")  # fmt: skip
    with mounted(DISK, options):
        prepare(POINT)
    os.sync()
    with open(DISK, "rb") as disk:
        before = disk.read(DISK_KIB << 10)
    table = f"0 {2 * DISK_KIB} log-writes {DISK} {LOG}"
    _run("dmsetup", "create", "log", "--noudevsync", "--noudevrules", "--table", table)
    with mounted("/dev/dm-0", options):
        mark("0")
        work(POINT)
    _run("dmsetup", "remove", "--noudevsync", "--noudevrules", "log")
    return before


def crash_points(before, options, every=1):
    """Yield (last mark, folder) after each write: the disk as a power cut would leave it.

    The folder is a mounted copy, so the file system has recovered from its journal. With `every`,
    leave out the writes between.
    """
    disk, last, number = bytearray(before), "", 0
    for place, flags, data in _entries():
        if flags & IS_MARK:
            last = data.rstrip(b"\0").decode()
            continue
        disk[place : place + len(data)] = data
        number += bool(data and last)
        if not data or not last or number % every:
            continue
        with open(COPY, "r+b") as copy:
            copy.write(disk)
        with mounted(COPY, options):
            yield last, POINT


def _entries():
    """Yield (place, flags, data) of each entry of the log; a discard has no data."""
    with open(LOG, "rb") as log:
        magic, _, count, size = struct.unpack("<QQQI", log.read(28))
        if magic != MAGIC:
            raise OSError(f"{LOG} holds no log of writes")
        log.seek(size)
        for _ in range(count):
            head = log.read(size)
            sector, sectors, flags, length = struct.unpack("<QQQQ", head[:32])
            if flags & IS_MARK:
                yield 0, flags, head[32 : 32 + length]
            else:
                yield sector * size, flags, b"" if flags & IS_DISCARD else log.read(sectors * size)


def halt():
    """End the guest."""
    power_off = 0x4321FEDC
    LIBC.reboot(power_off)
