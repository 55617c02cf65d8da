"""Makes the prefix of a UCX with verbs from Python wheels, for `BENCHPAPER_UCX`.

The wheel of UCX is built without verbs, and older distributions lack a UCX that is new enough. The
wheel `nixl-cu12` brings one with verbs, but without headers; those of `libucx-cu12` fit. Its copy
of libibverbs finds no providers, so the system's takes its place (packages libibverbs1 and
ibverbs-providers).

    pip install --no-deps --target /tmp/nixl nixl-cu12
    python -m experiments.systems.ucx_with_verbs /tmp/nixl .venv/ucx
    export BENCHPAPER_UCX=$PWD/.venv/ucx
"""

import ctypes.util
import os
import shutil
import sys
from pathlib import Path

from experiments.systems import packages

LIBRARIES = ("ucp", "ucs", "uct", "ucm")
OTHERS = ("numa", "nl-3", "nl-route-3")
PLUGINS = ("libuct_ib.so*", "libuct_cma.so*")
VERBS = "libibverbs.so.1"


def make(wheels: Path, prefix: Path) -> Path:
    """Make `prefix` from the folder where nixl-cu12 is installed; return it.

    Raises `FileNotFoundError`, which names what is missing.
    """
    bundled = wheels / "nixl_cu12.libs"
    verbs = _system_verbs()
    library = prefix / "lib"
    (library / "ucx").mkdir(parents=True)
    shutil.copytree(packages.folder("libucx") / "include", prefix / "include")
    (prefix / "bin").mkdir()
    for name in (*LIBRARIES, *OTHERS):
        shutil.copy(_only(bundled, f"lib{name}-*.so*"), library)
    for name in LIBRARIES:
        (library / f"lib{name}.so").symlink_to(_only(library, f"lib{name}-*.so*").name)
    for pattern in PLUGINS:
        shutil.copy(_only(bundled / "ucx", pattern), library / "ucx")
    shutil.copy(verbs, library / _only(bundled, "libibverbs-*.so*").name)
    return prefix


def _only(folder: Path, pattern: str) -> Path:
    files = sorted(folder.glob(pattern), key=lambda path: len(path.name))
    if not files:
        raise FileNotFoundError(f"no {pattern} in {folder}; install the wheel nixl-cu12 there")
    return files[-1]


def _system_verbs() -> Path:
    """Return the path of the system's libibverbs."""
    if not ctypes.util.find_library("ibverbs"):
        raise FileNotFoundError(f"no {VERBS}; install libibverbs1 and ibverbs-providers")
    handle = ctypes.CDLL(VERBS)
    for line in Path("/proc/self/maps").read_text().splitlines():
        path = line.rpartition(" ")[2]
        if "libibverbs" in path and handle:
            return Path(path)
    raise FileNotFoundError(f"no {VERBS} among the mapped files")


if __name__ == "__main__":
    try:
        print(make(Path(sys.argv[1]), Path(os.path.abspath(sys.argv[2]))))
    except IndexError:
        sys.exit("usage: python -m experiments.systems.ucx_with_verbs WHEELS PREFIX")
    except OSError as error:
        sys.exit(str(error))
