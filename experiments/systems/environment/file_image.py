"""A great many small files as one file: an image of ext4 or xfs.

The image is filled once, known by its digest, and mounted read-only wherever it is read. In a
folder, a million files would take 4 GB, and minutes to remove. It needs root.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Self

from benchpaper import Host
from experiments.systems import optional

xxhash = optional.module("xxhash")

INODE_BYTES = 256  # 64 B of content find room in the inode itself (inline_data)
NAME_BYTES = 64  # per short name, in a folder's half-full blocks
XFS_FILE_BYTES = 512 + 4096
LEAST_MB = {"ext4": 32, "xfs": 320}  # xfs accepts no less
SPARE = 1.05
ROOT = Path(__file__).parents[3]  # where `-m` finds the programs of this project
# In its own mount namespace: however it ends, the mount and its loop device go with it.
FILL = 'folder="$1" && mount -o loop "$0" "$folder" && shift && "$@" >&2 && umount "$folder"'


class WrongImage(RuntimeError):
    """An image whose bytes are not those that were made."""


def size_mb(files, names=None, kind="ext4"):
    """Return the size in MB of an image for `files` files of at most 64 B with short names.

    They may have more `names` than one each. On xfs, a file takes a block.
    """
    per_file = INODE_BYTES if kind == "ext4" else XFS_FILE_BYTES
    content = files * per_file + (names or files) * NAME_BYTES
    return int(SPARE * content / 1e6) + LEAST_MB[kind]


def make(image, files, argv_of, timeout=900, *, names=None, kind="ext4"):
    """Make `image` for `files` files, unless it exists and is whole; return its digest.

    `argv_of(folder)` is the command that fills it, mounted at `folder`. They may have more `names`
    than one each. `kind` is ext4 or xfs. The image is made under
    another name and then renamed, so what exists under its own name is whole. Raises `WrongImage`
    if it exists and its bytes are not those that were noted.
    """
    image = Path(image).absolute()
    if image.exists():
        return verify(image)
    part, folder = image.with_name(f".{image.name}.part"), image.with_name(f".{image.name}.mounted")
    # A killed run may have left it behind, with nothing mounted there any more.
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with open(part, "wb") as file:
        os.truncate(file.fileno(), size_mb(files, names, kind) * 10**6)
    ext4 = ["mkfs.ext4", "-q", "-F", *options(files), part]
    _run(ext4 if kind == "ext4" else ["mkfs.xfs", "-q", "-f", part], timeout)
    _run(["unshare", "-m", "sh", "-c", FILL, part, folder, *argv_of(folder)], timeout)
    folder.rmdir()
    _note(image).write_text(json.dumps({"files": files, "digest": _digest(part)}))
    os.sync()  # later runs trust whatever has the name
    part.rename(image)
    return verify(image)


def verify(image):
    """Return the digest of the image's bytes.

    Raises `WrongImage` if it differs from the digest that was noted when the image was made.
    """
    noted, actual = json.loads(_note(image).read_text())["digest"], _digest(image)
    if actual != noted:
        raise WrongImage(
            f"{image}: its digest is {actual}, and {noted} was made; remove it to make it anew"
        )
    return actual


def options(files):
    """Return the options of mkfs.ext4 for so many small files, whose content their inodes hold."""
    inodes = int(files * SPARE) + 100
    features = "inline_data,^has_journal"
    return ["-O", features, "-b", 4096, "-I", INODE_BYTES, "-N", inodes, "-m", 0]


class Mounted:
    """Image mounted read-only at `path` on a host, as a context manager."""

    path: Path

    def __init__(self, host: Host, image: Path):
        self._host, self._image = host, image

    def __enter__(self) -> Self:
        self.path = self._host.scratch() / "mounted"
        self._host.run(["mkdir", self.path])
        self._host.undo("a mount", ["umount", self.path])  # this frees the loop device too
        self._host.run(["mount", "-o", "loop,ro", self._host.provide(self._image), self.path])
        return self

    def __exit__(self, *_: object) -> None:
        self._host.run(["umount", self.path])


def _note(image):
    return Path(f"{image}.json")


def _digest(path):
    digest = xxhash.xxh3_128()
    with open(path, "rb") as file:
        while data := file.read(1 << 20):
            digest.update(data)
    return digest.hexdigest()


def _run(argv, timeout):
    done = subprocess.run(
        [str(word) for word in argv], capture_output=True, text=True, timeout=timeout, cwd=ROOT
    )
    if done.returncode:
        raise OSError(f"{argv[0]} ended with {done.returncode}: {done.stderr.strip()}")
