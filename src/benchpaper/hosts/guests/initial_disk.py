"""Makes the initial memory disk of an emulated guest: one program, and the modules that it loads.

The format is the kernel's (Documentation/driver-api/early-userspace/buffer-format.rst).
"""

from pathlib import Path

from benchpaper.hosts import emulated_kernel
from benchpaper.hosts.emulated_kernel import Kernel
from benchpaper.hosts.guests import modules

FOLDER, DEVICE, PROGRAM, FILE = 0o40755, 0o20600, 0o100755, 0o100644
CONSOLE = (5, 1)  # the device /dev/console


def make(kernel: Kernel, program: Path, path: Path) -> None:
    """Write the memory disk for a kernel to `path`, with its first program (`boot.c`)."""
    files = {file.name: file for name in emulated_kernel.BOOT for file in _files(name, kernel)}
    parts = [
        _entry("dev", FOLDER),
        _entry("dev/console", DEVICE, device=CONSOLE),
        _entry("init", PROGRAM, program.read_bytes()),
        _entry("modules", FOLDER),
    ]
    for place, (name, file) in enumerate(files.items()):
        named = f"modules/{place:03}-{name.partition('.')[0]}"
        parts.append(_entry(named, FILE, modules.content(file)))
    path.write_bytes(b"".join([*parts, _entry("TRAILER!!!", 0)]))


def _files(name: str, kernel: Kernel) -> list[Path]:
    """Return the files of a module and of those that it needs; none if the kernel has it inside."""
    return [] if name in emulated_kernel.built_in(kernel) else modules.files(name, kernel.modules)


def _entry(name: str, mode: int, data: bytes = b"", device: tuple[int, int] = (0, 0)) -> bytes:
    named = name.encode() + b"\0"
    fields = [0, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(named), 0]
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + named
    return _padded(head) + _padded(data)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
