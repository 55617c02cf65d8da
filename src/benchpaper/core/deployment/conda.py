"""Conda environments, whichever program made them: conda, mamba, micromamba, or pixi.

An environment is a folder with `conda-meta/`, a file for each package. No program of Conda is
needed to look at one, to list it as `conda list --explicit --md5` does, or to run in it.
"""

import hashlib
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from benchpaper.core.deployment.software import Lacking, Software
from benchpaper.core.printable import printable_line

TIMEOUT_S = 40
ROOTS = ("miniforge3", "mambaforge", "miniconda3", "anaconda3", "micromamba", ".conda")
SECRET = re.compile(r"/t/[^/]+(?=/)|(?<=://)[^/@]*@")  # a token or a login in a channel's URL
SCRIPTS = "etc/conda/activate.d/*.sh"
ACTIVATE = f'for script in "$CONDA_PREFIX"/{SCRIPTS}; do . "$script" >&2; done; env -0'


def meaning(text: str) -> str:
    return f"the Conda environment {_name(text)}" + (f" of {_file(text)}" if _file(text) else "")


def remedy(text: str) -> str:
    if not (file := _file(text)):
        return f"make an environment of that name: conda create --name {text} PACKAGES"
    how = "create" if file.endswith(".txt") else "env create"
    return f"conda {how} --name {_name(text)} --file {file} (or mamba, or micromamba)"


def _file(text: str) -> str:
    """Return the file that describes the environment, or ""."""
    return text.rpartition("#")[0]


def _name(text: str) -> str:
    """Return the environment's name. A changed file has another one."""
    file, _, digest = text.rpartition("#")
    return f"{PurePosixPath(file).stem}-{digest}" if file else text


def find(text: str) -> Software:
    """Look for the environment. Raises `Lacking`."""
    name = _name(text)
    prefix = next((path for path in _prefixes() if path.name == name), None)
    if prefix is None:
        raise Lacking(f'no Conda environment is named "{name}"')
    contents = [*sorted(_packages(prefix)), *sorted(set(_from_pip(prefix)))]
    if not contents:
        raise Lacking(f'the Conda environment "{name}" is empty')
    digest = hashlib.sha256("\n".join(contents).encode()).hexdigest()
    identity = f"{len(contents)} packages, digest {digest[:16]}"
    return Software(identity, tuple(contents), _variables(prefix))


def _prefixes() -> Iterator[Path]:
    """Yield the folders of all environments here.

    `~/.conda/environments.txt` lists those that a program of Conda has made.
    """
    home = Path.home()
    listed = home / ".conda" / "environments.txt"
    if listed.is_file():
        yield from _environments(map(Path, listed.read_text().splitlines()))
    variables = os.environ.get("CONDA_ENVS_PATH", "") or os.environ.get("CONDA_ENVS_DIRS", "")
    named = [path for path in [os.environ.get("MAMBA_ROOT_PREFIX")] if path]
    roots = [*map(Path, named), *(home / root for root in ROOTS), Path("/opt/conda")]
    folders = [*map(Path, filter(None, variables.split(":"))), *(root / "envs" for root in roots)]
    for folder in folders:
        if folder.is_dir():
            yield from _environments(sorted(folder.iterdir()))


def _environments(folders: Any) -> Iterator[Path]:
    return (folder for folder in folders if (folder / "conda-meta").is_dir())


def _packages(prefix: Path) -> Iterator[str]:
    """Yield the lines of `conda list --explicit --md5`, without logins."""
    for path in (prefix / "conda-meta").glob("*.json"):
        try:
            package = json.loads(path.read_text())
        except (OSError, ValueError):
            raise Lacking(f"its conda-meta/{path.name} is damaged; make it anew") from None
        url = SECRET.sub("", package.get("url") or f"{package.get('channel')}/{path.stem}")
        if url.startswith(("file:", "/")):  # a channel of this machine, whose path says nothing
            url = f"file:{PurePosixPath(url).name}"
        yield f"{url}#{package['md5']}" if package.get("md5") else url


def _from_pip(prefix: Path) -> Iterator[str]:
    """Yield the packages that pip has installed there, which Conda does not list.

    One may come twice: conda-forge's `lib/python3.1` is a link to `lib/python3.11`.
    """
    for path in prefix.glob("lib/python*/site-packages/*.dist-info"):
        installer = path / "INSTALLER"
        if installer.is_file() and installer.read_text().strip() != "conda":
            name, _, version = path.name.removesuffix(".dist-info").partition("-")
            yield f"pip: {name}=={version}"


def _variables(prefix: Path) -> dict[str, str]:
    """Return what activating the environment sets."""
    path = os.environ.get("PATH", os.defpath)
    basic = {
        "PATH": f"{prefix}/bin{os.pathsep}{path}",
        "CONDA_PREFIX": str(prefix),
        "CONDA_DEFAULT_ENV": prefix.name,
        "CONDA_SHLVL": "1",
        **_of_state(prefix / "conda-meta" / "state"),
    }
    if not any(prefix.glob(SCRIPTS)):
        return basic
    try:
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-c", ACTIVATE],
            env={"HOME": "/nonexistent", "LANG": "C.UTF-8", **basic},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Lacking(f"its scripts for activation do not run: {error}") from None
    items = done.stdout.decode(errors="replace").split("\0")
    made = dict(item.split("=", 1) for item in items if "=" in item)
    if done.returncode or not made:
        said = printable_line(" ".join(done.stderr.decode(errors="replace").split()))[-200:]
        raise Lacking(f"its scripts for activation fail; they said: {said or 'nothing'}")
    ours = ("HOME", "LANG", "PWD", "OLDPWD", "SHLVL", "_")
    return {name: value for name, value in made.items() if name not in ours}


def _of_state(path: Path) -> dict[str, str]:
    """Return the variables that `conda env config vars` has set."""
    try:
        variables: dict[str, str] = json.loads(path.read_text()).get("env_vars", {})
    except (OSError, ValueError, AttributeError):
        return {}
    return variables
