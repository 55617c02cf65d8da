"""The block device under a folder, and how much was read from it: a cold read shows in the device's own counter."""

import os
from pathlib import Path

SECTOR = 512


def under(folder):
    """Return the device ("259:0") that holds a folder, or None where none does (tmpfs, FUSE)."""
    folder, best = os.path.realpath(folder), ("", None)
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, after = line.split(" - ")
        point, source = before.split()[4], after.split()[1]
        inside = folder == point or folder.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best[0]):
            best = (point, source)
    try:
        number = os.stat(best[1]).st_rdev if best[1] and best[1].startswith("/dev/") else 0
    except OSError:
        return None
    return f"{os.major(number)}:{os.minor(number)}" if number else None


def bytes_read(device):
    """Return how many bytes have been read from a device since the host started."""
    return int(Path(f"/sys/dev/block/{device}/stat").read_text().split()[2]) * SECTOR
