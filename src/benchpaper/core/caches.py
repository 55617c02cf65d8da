"""Where libraries and programs keep what they keep for themselves (caches, font maps, a kernel's connection): below
.benchpaper, so that removing this folder removes everything, and no home folder is needed or read."""

import getpass
import os
from pathlib import Path

PLACES = {
    "XDG_CACHE_HOME": ".",
    "IPYTHONDIR": "ipython",
    "MPLCONFIGDIR": "matplotlib",
    "JUPYTER_CONFIG_DIR": "jupyter/config",
    "JUPYTER_DATA_DIR": "jupyter/data",
    "JUPYTER_RUNTIME_DIR": "jupyter/runtime",
    "TEXMFHOME": "texmf-home",
    "TEXMFVAR": "texmf-var",
    "TEXMFCONFIG": "texmf-config",
}


def keep_below(state: Path) -> None:
    """Have this process, and all that it starts, keep their caches below `state`, and find a user and a home. Where
    nothing can be written below `state`, the caches stay where they are."""
    os.environ.update(_user(state / "home"))
    if _is_writable(state):
        os.environ.update({name: str(state / "cache" / place) for name, place in PLACES.items()})


def _user(home: Path) -> dict[str, str]:
    """Stand in for what the system does not know: in a container the user may have a number and no name, for which
    getpass (and so Snakemake) raises an error."""
    found = {}
    try:
        getpass.getuser()
    except (KeyError, OSError):
        found["USER"] = f"uid{os.getuid()}"
    if os.path.expanduser("~") == "~":
        found["HOME"] = str(home)
    return found


def _is_writable(folder: Path) -> bool:
    while not folder.exists():
        folder = folder.parent
    return os.access(folder, os.W_OK, effective_ids=True)
