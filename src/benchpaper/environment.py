"""What programs find in their environment: a short list, never what the caller's shell happens to hold.

Two lists. What is measured, drawn or typeset gets `clean`: nothing that could change a result, a figure or a PDF, and a
home folder without anybody's configuration files. Our own programs (Snakemake, the steps, the agent) get `ours`, which
adds what reaches other machines: SSH's agent, proxies for set-up, a cluster's settings. Standard library only: it is
sent to target hosts too.
"""

import os
import re
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

OWN = "BENCHPAPER_"  # nobody else's programs read these, and nobody sets them by accident
CODE = f"{OWN}CODE"  # names a src folder whose code is run instead of what is installed, as that of a clone
SET_ASIDE = f"{OWN}SET_ASIDE"  # the names that were found and not passed on, for `doctor`
PLUMBING = {f"{OWN}{name}" for name in ("CODE", "EVENTS", "PROJECT", "RUN", "SET_ASIDE", "STEPS_OF", "TRIAL", "WARM")}  # from process to process
HOME = "an empty folder"
# Compiled modules are not written, since an installed package and a host's store never change.
FIXED = {"LANG": "C.UTF-8", "TZ": "UTC", "PYTHONDONTWRITEBYTECODE": "1"}
LET_IN = {"PATH", "TMPDIR"}  # which programs are installed; where there is room for temporary files

# What Git prints is read by programs, whatever the user's configuration says of colours and signatures.
FIXED_OURS = {
    "LANG": FIXED["LANG"], "PYTHONDONTWRITEBYTECODE": "1", "MPLBACKEND": "Agg", "GIT_CONFIG_COUNT": "2",
    "GIT_CONFIG_KEY_0": "color.ui", "GIT_CONFIG_VALUE_0": "false",
    "GIT_CONFIG_KEY_1": "log.showSignature", "GIT_CONFIG_VALUE_1": "false",
}  # fmt: skip
PROXIES = r"(?i:https?|ftp|all|no)_(?i:proxy)"
REACHING = re.compile(
    r"HOME|USER|LOGNAME|SHELL|XDG_CACHE_HOME|XDG_RUNTIME_DIR"  # who it is
    r"|SSH_\w+|DISPLAY|WAYLAND_DISPLAY|XAUTHORITY|KRB5CCNAME|GPG_TTY"  # SSH, and where it asks for a passphrase
    rf"|{PROXIES}|PIP_\w+|SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|NETRC"  # packages, fetched by digest
    r"|(SLURM|SBATCH|SALLOC|SRUN)_\w+"  # a cluster
    r"|TERM|COLORTERM|COLUMNS|LINES|NO_COLOR|FORCE_COLOR|COMP_\w+|_BENCHPAPER_\w+"  # the terminal, and completion
    r"|TZ"  # the time as the user is told it
)
# What is known to change a result, a figure or where a run goes, so that `doctor` names it when it is not passed on.
WITH_EFFECT = re.compile(
    rf"{PROXIES}|LC_\w+|LANG|LANGUAGE|TZ|LD_\w+|GLIBC_TUNABLES|MALLOC_\w+|BASH_ENV|SOURCE_DATE_EPOCH"
    r"|(SNAKEMAKE|MATPLOTLIB|MPL|GIT_|PYTHON|JUPYTER|IPYTHON|NUMEXPR|NUMBA|OMP_|OPENBLAS|MKL_|ARROW_|POLARS_)\w*"
    r"|(JAVA_|_JAVA_|JDK_|JVM_|PEKKO_|GO|RUST_|UCX_|FI_|NCCL_|CUDA_|MC_|AWS_|S3_|RCLONE_|JFS_|WEED_|KAFKA_|NATS_)\w+"
    r"|(TEX|BIB|BST)INPUTS|TEX\w*|FONTCONFIG_\w+|XDG_(CONFIG|DATA)_\w+|CC|CXX|(C|CXX|CPP|LD)FLAGS|C\w*_INCLUDE_PATH"
    r"|CPATH|LIBRARY_PATH|GCC_\w+"
)
# What has its effect while a program starts: too late to take it away within.
AT_START = re.compile(r"LD_\w+|GLIBC_TUNABLES|MALLOC_\w+|GCONV_PATH|PYTHON(?!DONTWRITEBYTECODE$)\w+")
LOCALE = re.compile(r"LC_\w+|LANG|LANGUAGE")


def clean(home: Path | str, found: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the environment of what is measured, drawn or typeset, of what is `found`. Its home folder is `home`."""
    kept = {name: value for name, value in found.items() if name in LET_IN or _is_own(name)}
    return {**kept, **FIXED, **_chosen_code(found), "HOME": str(home)}


def ours(found: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the environment of our own programs, which measure nothing themselves."""
    kept = {name: value for name, value in found.items() if name in LET_IN or _is_own(name) or REACHING.fullmatch(name)}
    return {**kept, **FIXED_OURS, **_chosen_code(found)}


def of_code(source: Path) -> dict[str, str]:
    """Return the variables that have our programs run the code in `source`, a folder `src`."""
    return {CODE: str(source), "PYTHONPATH": str(source)}


def _chosen_code(found: Mapping[str, str]) -> dict[str, str]:
    return {"PYTHONPATH": found[CODE]} if found.get(CODE) else {}


def _is_own(name: str) -> bool:
    return name.startswith(OWN)


def told() -> str:
    """Return what is let in here, as stands in each trial's record: names, and the values that are fixed."""
    names = sorted(name for name in clean("") if name not in FIXED and name not in PLUMBING and name != "HOME")
    return ", ".join([*(f"{name}={value}" for name, value in FIXED.items()), f"HOME={HOME}", *names])


def set_aside() -> list[str]:
    """Return the names of the variables with a known effect that were found and reach nothing that is measured."""
    passed, now = clean(""), os.environ
    left = {name for name in now if WITH_EFFECT.fullmatch(name) and now[name] != {**FIXED_OURS, **passed}.get(name)}
    return sorted(left | set(now.get(SET_ASIDE, "").split()))


def replace(variables: Mapping[str, str]) -> None:
    """Make `variables` the environment of this process, for C libraries too."""
    os.environ.clear()
    os.environ.update(variables)
    time.tzset()


@contextmanager
def replaced(variables: Mapping[str, str]) -> Iterator[None]:
    """Make `variables` the environment within."""
    before = dict(os.environ)
    replace(variables)
    try:
        yield
    finally:
        replace(before)


def enter() -> None:
    """At the start of our own program: keep `ours` alone. Where something has had its effect already, the program
    starts once more; the locale counts only in a step, whose words go to a log and not to the user's terminal."""
    code = _chosen_code(os.environ)
    at_start = [name for name in {*os.environ, *code} if AT_START.fullmatch(name)]
    late = [name for name in at_start if os.environ.get(name) != code.get(name)]
    if sys.argv[1:2] == ["step"]:
        late += [name for name in os.environ if LOCALE.fullmatch(name) and os.environ[name] != FIXED.get(name)]
    names = set_aside()
    replace(ours() | ({SET_ASIDE: " ".join(names)} if names else {}))
    if late:
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
