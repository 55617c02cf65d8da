"""Loads modules of a guest's kernel: in place of modprobe, which this machine may lack.

The kernel itself calls this when a mount, an interface or a queue needs a module. Modules and their
lists lie where Debian's package user-mode-linux has them. Standard library only.
"""

import ctypes
import fnmatch
import os
import sys
from pathlib import Path

FOLDER = Path("/usr/lib/uml/modules")  # as in `guest_kernel`; this file also runs on its own
FINIT_MODULE = 313  # on x86-64
EEXIST = 17
_libc = ctypes.CDLL(None, use_errno=True)


def _name(text: str) -> str:
    return text.replace("-", "_")


def files(name: str, folder: Path) -> list[Path]:
    """Return the files of a module in load order: first those that it needs.

    `name` may also be an alias of the kernel's ("fs-ext4"). Raises `FileNotFoundError`.
    """
    wanted = {_name(name)}
    for line in (folder / "modules.alias").read_text().splitlines():
        word, alias, module = ([*line.split(None, 2), "", ""])[:3]
        if word == "alias" and fnmatch.fnmatchcase(_name(name), _name(alias)):
            wanted.add(_name(module))
    for line in (folder / "modules.dep").read_text().splitlines():
        path, _, needed = line.partition(":")
        if _name(Path(path).name.partition(".")[0]) in wanted:
            return [folder / other for other in [*reversed(needed.split()), path]]
    raise FileNotFoundError(f"the guest's kernel has no module {name}")


def load(name: str, options: str = "") -> None:
    """Load a module, with `options` ("rd_nr=1"), after those that it needs."""
    paths = files(name, FOLDER / os.uname().release)
    for path in paths:
        with open(path, "rb") as file:
            given = options.encode() if path == paths[-1] else b""
            if _libc.syscall(FINIT_MODULE, file.fileno(), given, 0):
                number = ctypes.get_errno()
                if number != EEXIST:
                    raise OSError(number, f"{os.strerror(number)}: module {path.stem}")


if __name__ == "__main__":  # as the kernel calls modprobe: -q -- NAME
    try:
        load(next(word for word in sys.argv[1:] if not word.startswith("-")))
    except OSError:
        sys.exit(1)
