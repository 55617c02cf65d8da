"""The language of a notebook: the kernel that its metadata names, and whether it is installed.

Python's kernel comes with the framework. Any other, such as IRkernel or IJulia, runs if its
kernelspec lies in this environment or in the system's folders. A kernelspec in the user's home does
not count, because notebooks see no configuration of the user.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchpaper.core import environment
from benchpaper.core.errors import UserError

PYTHON = "python3"
INSTALLING = {  # {begin of a kernel's name: how to install it into this environment}
    "ir": "install r-cran-irkernel (Debian, Ubuntu), which brings it; elsewhere, with {bin} first "
    "on PATH: Rscript -e 'IRkernel::installspec(sys_prefix = TRUE)'",
    "julia": 'in Julia: using Pkg; Pkg.add("IJulia"); using IJulia; then move the kernelspec '
    "that it makes in ~/.local/share/jupyter/kernels to {kernels}",
}
METADATA: dict[str, Any] = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": PYTHON},
    "language_info": {"name": "python"},
}


def metadata(notebook: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a notebook's metadata says about its language, without versions."""
    spec = notebook.get("metadata", {}).get("kernelspec", {})
    if spec.get("name", PYTHON) == PYTHON:
        return METADATA
    language = spec.get("language", "")
    return {
        "kernelspec": {
            "display_name": spec.get("display_name", spec["name"]),
            "language": language,
            "name": spec["name"],
        },
        "language_info": {"name": language},
    }


def of(path: Path) -> str:
    """Return the name of a notebook's kernel; Python's for a file that is no notebook."""
    try:
        name: str = metadata(json.loads(path.read_text()))["kernelspec"]["name"]
    except (ValueError, AttributeError, TypeError):
        return PYTHON  # whoever reads the notebook says what is wrong with it
    return name


def check(shown: Path, name: str, home: Path) -> None:
    """Raise `UserError` unless the kernel `name` is installed.

    `shown` is the path of the notebook below the project, and `home` the home folder of notebooks.
    """
    if name == PYTHON:
        return
    from jupyter_client.kernelspec import KernelSpecManager

    with environment.replaced(environment.clean(home)):
        known = KernelSpecManager().find_kernel_specs()
    if name not in known:
        raise UserError(
            f'{shown} needs the kernel "{name}", which is not installed (there are: '
            f"{', '.join(sorted(known))}); {_remedy(name)}"
        )


def _remedy(name: str) -> str:
    folder = Path(sys.prefix).name
    kernels = f"{folder}/share/jupyter/kernels"
    for begin, how in INSTALLING.items():
        if name.lower().startswith(begin):
            return how.format(bin=f"{folder}/bin", kernels=kernels)
    return f"install its kernelspec for all users, or into {kernels}"
