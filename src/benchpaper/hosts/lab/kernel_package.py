"""Unpacks a distribution's kernel for emulated guests. It installs nothing, and needs no root.

The kernel of this machine's distribution comes from its own package source, by apt. Left out are
the drivers of hardware that no emulated machine has.
"""

import lzma
import os
import re
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchpaper.core import lock
from benchpaper.core.environment import PROXIES
from benchpaper.core.errors import UserError
from benchpaper.core.printable import printable_line
from benchpaper.hosts import emulated_kernel
from benchpaper.hosts.emulated_kernel import IMAGE, MODULES

TOOLS = {
    "apt-get": "apt",
    "dpkg-deb": "dpkg",
    "tar": "tar",
    "depmod": "kmod",
}
META = ("linux-image-amd64", "linux-image-generic")  # Debian, Ubuntu
# The packages of one kernel: Debian has the first, Ubuntu all.
PARTS = ("linux-image-{}", "linux-modules-{}", "linux-modules-extra-{}")
LEFT_OUT = ("sound", *(f"drivers/{name}" for name in (
    "gpu", "media", "staging", "iio", "usb", "hwmon", "bluetooth", "isdn", "platform", "scsi",
    "net/wireless", "net/ethernet", "net/usb", "video", "mmc", "mtd", "ata", "input", "thunderbolt",
)))  # fmt: skip
SECTOR, SETUP_SECTORS, PAYLOAD = 512, 0x1F1, 0x248  # in a bzImage (Documentation/arch/x86/boot.rst)
XZ = b"\xfd7zXZ\0"
DOWNLOAD_S = 600.0
PART = "part-"  # begins the name of a folder that is not complete


def unpack() -> str:
    """Download and unpack the newest kernel of the distribution. Return its version.

    Raises `UserError`, with the next step, if that is impossible. A kernel that is there already
    stays as it is.
    """
    missing = [package for tool, package in TOOLS.items() if not shutil.which(tool, path=_path())]
    if missing:
        raise UserError(f"a kernel for guests needs the packages {', '.join(missing)}")
    version = _newest()
    target = emulated_kernel.folder() / version
    target.parent.mkdir(parents=True, exist_ok=True)
    with lock.held(target.parent / "lock", f"unpacking Linux {version}", wait=True):
        for left in target.parent.glob(f"{PART}*"):  # by a process that was killed
            shutil.rmtree(left)
        if not target.exists():
            with tempfile.TemporaryDirectory(dir=target.parent, prefix=PART) as part:
                _fetch(version, Path(part))
                (Path(part) / "kernel").rename(target)
    return version


def _newest() -> str:
    """Return the version of the kernel that the distribution's own name for it leads to."""
    for name in META:
        words = _run(["apt-cache", "depends", name], check=False)
        if match := re.search(r"Depends: linux-image-(\d\S+)", words):
            return match[1]
    raise UserError("apt knows no kernel package; run: apt-get update")


def _fetch(version: str, part: Path) -> None:
    names = [name.format(version) for name in PARTS]
    known = [name for name in names if _run(["apt-cache", "show", name], check=False)]
    _run(["apt-get", "download", *known], part)
    tree = part / "tree"
    tree.mkdir()
    for package in part.glob("*.deb"):
        _extract(package, version, tree)
    folders = [tree / above / "lib/modules" / version for above in (".", "usr")]
    modules = next((path for path in folders if path.is_dir()), None)
    images = [*tree.glob(f"boot/vmlinuz-{version}"), *folders[-1].glob("vmlinuz")]
    if modules is None or not images:
        raise UserError(f"the packages {', '.join(known)} hold no kernel with modules")
    if not (tree / "lib").exists():
        (tree / "lib").symlink_to("usr/lib")
    _run(["depmod", "-b", str(tree), version])
    kernel = part / "kernel"
    kernel.mkdir()
    (kernel / IMAGE).write_bytes(uncompressed(images[0].read_bytes()))
    modules.rename(kernel / MODULES)


def _extract(package: Path, version: str, tree: Path) -> None:
    where = f"lib/modules/{version}/kernel"
    left_out = [f"--exclude=*{where}/{name}" for name in LEFT_OUT]
    shell = f'dpkg-deb --fsys-tarfile "$0" | tar -x -C "$1" {" ".join(left_out)}'
    _run(["sh", "-c", f"set -e; {shell}", str(package), str(tree)])


def uncompressed(image: bytes) -> bytes:
    """Return the ELF file in a kernel's image, which boots in a third of the time.

    Return the image itself unless it is compressed by xz, as Debian's is.
    """
    begin = (image[SETUP_SECTORS] + 1) * SECTOR
    offset, length = struct.unpack_from("<II", image, PAYLOAD)
    payload = image[begin + offset :][:length]
    return lzma.LZMADecompressor().decompress(payload) if payload.startswith(XZ) else image


def _path() -> str:
    return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def _run(argv: Sequence[str], folder: Path | None = None, check: bool = True) -> str:
    """Run a tool and return its output; "" if it fails without `check`. Raises `UserError`."""
    proxies = {name: text for name, text in os.environ.items() if re.fullmatch(PROXIES, name)}
    try:
        done = subprocess.run(
            argv,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DOWNLOAD_S,
            env={"PATH": _path(), "LC_ALL": "C", **proxies},
        )
    except subprocess.TimeoutExpired:
        raise UserError(f"{argv[0]} took longer than {DOWNLOAD_S:g} s; run it again") from None
    if done.returncode and check:
        said = printable_line(" ".join(done.stderr.split()), 300)
        raise UserError(f"{argv[0]} failed: {said}")
    return "" if done.returncode else done.stdout
