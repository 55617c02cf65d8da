"""The environment of the programs that we start: short lists of variables, not all of the caller's.

There are two. What is measured, drawn, or typeset gets `clean`: nothing that could change a result,
a figure, or a PDF, and a home folder without configuration files. Our own programs (Snakemake, the
steps, the agent) get `ours`, which adds what reaches other machines: SSH's agent, proxies for
set-up, a cluster's settings.

Standard library only, because this module is sent to target hosts too.
"""

import os
import re
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from benchpaper.core.output import COLOURING

OWN = "BENCHPAPER_"  # no other program reads these, and no user sets them by accident
CODE = f"{OWN}CODE"  # names a src folder to run instead of the installed code, as for a clone
SET_ASIDE = f"{OWN}SET_ASIDE"  # the names of variables that were not passed on, for `doctor`
PLUMBING = {  # passed from process to process
    f"{OWN}{name}"
    for name in ("CODE", "EVENTS", "PROJECT", "RUN", "SET_ASIDE", "STEPS_OF", "TRIAL", "WARM")
}
HOME = "an empty folder"
# Compiled modules are not written: an installed package and a host's store never change.
FIXED = {"LANG": "C.UTF-8", "TZ": "UTC", "PYTHONDONTWRITEBYTECODE": "1"}
PASSED_ON = {"PATH", "TMPDIR"}  # which programs are installed; where temporary files go

# Programs parse Git's output, so the user's configuration of colours and signatures must not apply.
FIXED_OURS = {
    "LANG": FIXED["LANG"],
    "PYTHONDONTWRITEBYTECODE": "1",
    "MPLBACKEND": "Agg",
    "GIT_CONFIG_COUNT": "2",
    "GIT_CONFIG_KEY_0": "color.ui",
    "GIT_CONFIG_VALUE_0": "false",
    "GIT_CONFIG_KEY_1": "log.showSignature",
    "GIT_CONFIG_VALUE_1": "false",
}
PROXIES = r"(?i:https?|ftp|all|no)_(?i:proxy)"
PASSED_ON_OURS = re.compile(
    r"HOME|USER|LOGNAME|SHELL|XDG_CACHE_HOME|XDG_RUNTIME_DIR"  # the user
    r"|SSH_\w+|DISPLAY|WAYLAND_DISPLAY|XAUTHORITY|KRB5CCNAME|GPG_TTY"  # SSH, and its passphrases
    rf"|{PROXIES}|PIP_\w+|SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|NETRC"  # packages
    r"|(SLURM|SBATCH|SALLOC|SRUN|PBS)_\w+"  # a cluster
    r"|DOCKER_(HOST|CONTEXT)|CONDA_ENVS_(PATH|DIRS)|MAMBA_ROOT_PREFIX|MODULE(PATH|SHOME)"  # trials'
    r"|TERM|COLORTERM|COLUMNS|LINES|NO_COLOR|FORCE_COLOR"  # the terminal
    r"|COMP_\w+|_BENCHPAPER_\w+"  # completion
    r"|TZ"  # the user's time
)
# Variables known to change a result, a figure, or where a run goes. `doctor` names those set aside,
# and those of the project's own programs (benchpaper.toml).
WITH_EFFECT = re.compile(
    rf"{PROXIES}|LC_\w+|LANG|LANGUAGE|TZ|LD_\w+|GLIBC_TUNABLES|MALLOC_\w+|BASH_ENV"
    r"|SOURCE_DATE_EPOCH"
    r"|(SNAKEMAKE|MATPLOTLIB|MPL|GIT_|PYTHON|JUPYTER|IPYTHON|NUMEXPR|NUMBA)\w*"
    r"|(OMP_|OPENBLAS|MKL_|ARROW_|POLARS_)\w*"
    r"|(JAVA_|_JAVA_|JDK_|JVM_|GO|RUST_|NCCL_|CUDA_|AWS_)\w+"
    r"|(TEX|BIB|BST)INPUTS|TEX\w*|FONTCONFIG_\w+|XDG_(CONFIG|DATA)_\w+"
    r"|CC|CXX|(C|CXX|CPP|LD)FLAGS|C\w*_INCLUDE_PATH|CPATH|LIBRARY_PATH|GCC_\w+"
)
# These take effect while a program starts, so removing them afterwards is too late.
AT_START = re.compile(
    r"LD_\w+|GLIBC_TUNABLES|MALLOC_\w+|GCONV_PATH|PYTHON(?!DONTWRITEBYTECODE$)\w+"
)
LOCALE = re.compile(r"LC_\w+|LANG|LANGUAGE")


def clean(home: Path | str, variables: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the environment for what is measured, drawn, or typeset, chosen from `variables`.

    Its home folder is `home`.
    """
    kept = {name: value for name, value in variables.items() if name in PASSED_ON or _is_own(name)}
    return {**kept, **FIXED, **_chosen_code(variables), "HOME": str(home)}


def ours(variables: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the environment for our own programs, chosen from `variables`."""
    kept = {
        name: value
        for name, value in variables.items()
        if name in PASSED_ON or _is_own(name) or PASSED_ON_OURS.fullmatch(name)
    }
    return {**kept, **FIXED_OURS, **_chosen_code(variables)}


def of_code(source: Path) -> dict[str, str]:
    """Return the variables that make our programs run the code in `source`, a folder `src`."""
    return {CODE: str(source), "PYTHONPATH": str(source)}


def _chosen_code(variables: Mapping[str, str]) -> dict[str, str]:
    return {"PYTHONPATH": variables[CODE]} if variables.get(CODE) else {}


def of_snakemake(**extra: str) -> dict[str, str]:
    """Return the environment of Snakemake.

    PATH begins with this virtual environment's programs. There are no colours, because all output
    of the steps goes to logs.
    """
    here = str(Path(sys.executable).parent)
    path = os.environ.get("PATH", os.defpath)
    plain = {name: value for name, value in ours().items() if name not in COLOURING}
    return {**plain, "NO_COLOR": "1", "PATH": f"{here}{os.pathsep}{path}", **extra}


def _is_own(name: str) -> bool:
    return name.startswith(OWN)


def describe() -> str:
    """Describe the clean environment for a trial's record: names, and the values of fixed ones."""
    names = sorted(
        name for name in clean("") if name not in FIXED and name not in PLUMBING and name != "HOME"
    )
    fixed = [f"{name}={value}" for name, value in FIXED.items()]
    return ", ".join([*fixed, f"HOME={HOME}", *names])


def set_aside(prefixes: Iterable[str] = ()) -> list[str]:
    """Return the names of variables with a known effect that no measured program receives.

    Those that begin with one of the `prefixes` have an effect too.
    """
    starts = tuple(prefixes)
    return sorted(
        name for name in _dropped() if WITH_EFFECT.fullmatch(name) or name.startswith(starts)
    )


def _dropped() -> set[str]:
    """Return the names of all variables that no measured program receives."""
    passed, now = {**FIXED_OURS, **clean("")}, os.environ
    dropped = {name for name in now if now[name] != passed.get(name) and name != SET_ASIDE}
    return dropped | set(now.get(SET_ASIDE, "").split())


def replace(variables: Mapping[str, str]) -> None:
    """Make `variables` the environment of this process, for C libraries too."""
    os.environ.clear()
    os.environ.update(variables)
    time.tzset()


@contextmanager
def replaced(variables: Mapping[str, str]) -> Iterator[None]:
    """Make `variables` the environment inside the `with` block."""
    before = dict(os.environ)
    replace(variables)
    try:
        yield
    finally:
        replace(before)


def enter() -> None:
    """Reduce the environment to `ours` at the start of our own program.

    If a variable has taken effect already, start the program once more. The locale counts only in a
    step, whose messages go to a log; a command speaks the user's language.
    """
    code = _chosen_code(os.environ)
    at_start = [name for name in {*os.environ, *code} if AT_START.fullmatch(name)]
    late = [name for name in at_start if os.environ.get(name) != code.get(name)]
    if sys.argv[1:2] == ["step"]:
        late += [
            name
            for name in os.environ
            if LOCALE.fullmatch(name) and os.environ[name] != FIXED.get(name)
        ]
    names = sorted(_dropped())
    replace(ours() | ({SET_ASIDE: " ".join(names)} if names else {}))
    if late:
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
