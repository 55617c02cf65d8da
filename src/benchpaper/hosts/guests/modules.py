"""Loads modules of a guest's kernel: in place of modprobe, which this machine may lack.

The kernel itself calls this when a mount, an interface or a queue needs a module. Modules and their
lists lie where Debian's package user-mode-linux has them, or where this machine shows those of an
emulated guest's kernel. Standard library only.
"""

import ctypes
import fnmatch
import lzma
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path("/usr/lib/uml/modules")  # as in `guest_kernel`; this file also runs on its own
SHOWN = Path("/run/modules")  # of an emulated guest's kernel
INIT_MODULE = 175  # on x86-64
EEXIST = 17
_libc = ctypes.CDLL(None, use_errno=True)


def _name(text: str) -> str:
    return text.replace("-", "_")


def files(name: str, folder: Path) -> list[Path]:
    """Return the files of a module in load order: first those that it needs.

    `name` may also be an alias of the kernel's ("fs-ext4"). Raises `FileNotFoundError`.
    """
    needs = {}
    for line in (folder / "modules.dep").read_text().splitlines():
        path, _, needed = line.partition(":")
        file = path.rpartition("/")[2].partition(".")[0]
        needs[_name(file)] = [*reversed(needed.split()), path]
    for module in (_name(name), *_aliased(_name(name), folder)):
        if module in needs:
            return [folder / path for path in needs[module]]
    raise FileNotFoundError(f"the guest's kernel has no module {name}")


def _aliased(name: str, folder: Path) -> Iterator[str]:
    """Yield the modules that have an alias. There are many, so compare plain beginnings first."""
    for line in (folder / "modules.alias").read_text().splitlines():
        word, alias, module = ([*line.split(None, 2), "", ""])[:3]
        alias = _name(alias)
        begin = re.split(r"[*?[]", alias, maxsplit=1)[0]
        if word == "alias" and name.startswith(begin) and fnmatch.fnmatchcase(name, alias):
            yield _name(module)


def content(path: Path) -> bytes:
    """Return a module's bytes: distributions compress them as .xz or .zst, or not at all."""
    data = path.read_bytes()
    if path.suffix == ".xz":
        return lzma.decompress(data)
    if path.suffix == ".zst":
        if not shutil.which("zstd"):
            raise OSError(f"{path.name} is compressed; install the package zstd")
        return subprocess.run(["zstd", "-dc"], input=data, capture_output=True, check=True).stdout
    return data


def load(name: str, options: str = "") -> None:
    """Load a module, with `options` ("rd_nr=1"), after those that it needs."""
    paths = files(name, SHOWN if SHOWN.is_dir() else FOLDER / os.uname().release)
    for path in paths:
        data, given = content(path), options.encode() if path == paths[-1] else b""
        if _libc.syscall(INIT_MODULE, data, ctypes.c_ulong(len(data)), given):
            number = ctypes.get_errno()
            if number != EEXIST:
                raise OSError(number, f"{os.strerror(number)}: module {path.stem}")


if __name__ == "__main__":  # as the kernel calls modprobe: -q -- NAME
    try:
        load(next(word for word in sys.argv[1:] if not word.startswith("-")))
    except OSError:
        sys.exit(1)
