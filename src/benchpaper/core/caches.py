"""Keep the caches of libraries and programs below .benchpaper.

Removing that folder then removes everything, and no user's home folder is read or written.
"""

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
    """Point this process and its children to caches below `state`, and give them a user and a home.

    If this user cannot write below `state`, the caches stay where they are.
    """
    os.environ.update(_missing_identity(state / "home"))
    if _is_writable(state):
        os.environ.update({name: str(state / "cache" / place) for name, place in PLACES.items()})


def _missing_identity(home: Path) -> dict[str, str]:
    """Return variables for the user and the home that the system does not know.

    In a container the user may have a number but no name; getpass, and so Snakemake, then fails.
    """
    variables = {}
    try:
        getpass.getuser()
    except (KeyError, OSError):
        variables["USER"] = f"uid{os.getuid()}"
    if os.path.expanduser("~") == "~":
        variables["HOME"] = str(home)
    return variables


def _is_writable(folder: Path) -> bool:
    while not folder.exists():
        folder = folder.parent
    return os.access(folder, os.W_OK, effective_ids=True)
