"""Environment modules (Environment Modules or Lmod), as `module load` on clusters.

They are loaded once per look, in a login shell without the user's own files. A trial's commands get
the variables that loading changed, so they start as fast as without modules.
"""

import hashlib
import os
import subprocess
import tempfile
from pathlib import Path

from benchpaper.core.deployment.software import Lacking, Software
from benchpaper.core.printable import printable_line

TIMEOUT_S = 40
NO_COMMAND, NOT_LOADED = 90, 91
# The login shell defines `module` on clusters. Elsewhere, look where the packages put it.
LOAD = f"""
PATH=$1 out=$2; shift 2
for init in "${{MODULESHOME:-/usr/share/modules}}/init/bash" /usr/share/lmod/lmod/init/bash; do
    type module >/dev/null 2>&1 || {{ [ -r "$init" ] && . "$init"; }}
done
type module >/dev/null 2>&1 || exit {NO_COMMAND}
if [ -n "$ASKED_MODULEPATH" ]; then export MODULEPATH=$ASKED_MODULEPATH; fi
unset ASKED_MODULEPATH
module purge >/dev/null 2>&1
env -0 > "$out/before"
for name; do module load "$name" >&2 || exit {NOT_LOADED}; done
env -0 > "$out/after"
"""
OWN = ("BASH_FUNC_", "__MODULES", "_ModuleTable", "__LMOD", "LMOD_", "SHLVL", "_=")


def meaning(text: str) -> str:
    return f"the environment modules {text.replace('+', ', ')}"


def remedy(text: str) -> str:
    return (
        f"look with: module avail {text.split('+')[0].split('/')[0]}; if it is not there, install "
        "environment-modules or Lmod with a modulefile, and name its folder in MODULEPATH"
    )


def find(text: str) -> Software:
    """Load the modules of `text`, which "+" separates. Raises `Lacking`."""
    names = text.split("+")
    with tempfile.TemporaryDirectory() as folder:
        before, after = _load(names, Path(folder))
    changed = {
        name: value
        for name, value in after.items()
        if before.get(name) != value and not f"{name}=".startswith(OWN)
    }
    loaded = [name for name in after.get("LOADEDMODULES", "").split(":") if name]
    if missing := [name for name in names if not _is_among(name, loaded)]:
        others = ", ".join(loaded) or "nothing"
        raise Lacking(f"module load {missing[0]} loads no module of that name, but {others}")
    files = [Path(path) for path in after.get("_LMFILES_", "").split(":") if path]
    contents = _described(loaded, files)
    digest = hashlib.sha256("\n".join(contents).encode()).hexdigest()
    return Software(f"{', '.join(loaded)}, digest {digest[:16]}", tuple(contents), changed)


def _load(names: list[str], folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Return the environments before and after loading."""
    path = os.environ.get("PATH", os.defpath)
    shell = {
        "HOME": "/nonexistent",
        "LANG": "C.UTF-8",
        "ASKED_MODULEPATH": os.environ.get("MODULEPATH", ""),
        **({"MODULESHOME": home} if (home := os.environ.get("MODULESHOME")) else {}),
    }
    try:
        done = subprocess.run(
            ["bash", "--login", "-c", LOAD, "bash", path, str(folder), *names],
            env=shell,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            timeout=TIMEOUT_S,
        )
    except FileNotFoundError:
        raise Lacking("no bash on PATH, which loads modules") from None
    except subprocess.TimeoutExpired:
        raise Lacking(f"module load did not end within {TIMEOUT_S} s") from None
    if done.returncode == NO_COMMAND:
        raise Lacking("no command `module`: neither Environment Modules nor Lmod is installed")
    if done.returncode or not (folder / "after").exists():
        said = printable_line(" ".join(done.stderr.split()))[-200:] or "nothing"
        raise Lacking(f"module load failed; it said: {said}")
    return _read(folder / "before"), _read(folder / "after")


def _read(path: Path) -> dict[str, str]:
    text = path.read_bytes().decode(errors="replace")
    return dict(item.split("=", 1) for item in text.split("\0") if "=" in item)


def _is_among(name: str, loaded: list[str]) -> bool:
    """Return whether a module is loaded, whatever version its name stands for: "gcc/latest"."""
    return name.partition("/")[0] in {other.partition("/")[0] for other in loaded}


def _described(loaded: list[str], files: list[Path]) -> list[str]:
    """Return a line for each loaded module, with the digest of its modulefile if that is known."""
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in files if path.is_file()]
    if len(digests) != len(loaded):
        return [*loaded, *digests]
    return [f"{name} sha256:{digest}" for name, digest in zip(loaded, digests, strict=True)]
