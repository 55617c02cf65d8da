"""A sandbox for the code of an archive, and for programs that parse foreign files.

Inside there is no network, no process of this machine, no home folder, no environment but a few
variables, and no root. Programs see the system and this Python environment, both read-only, and the
folders that the caller names. When the sandbox ends, the kernel kills what still runs in it.

A kernel may forbid that, and a container usually does. So `find` tries each way to make a sandbox,
and checks from inside that it keeps what it promises.
"""

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchpaper.artifact.bundle import namespaces
from benchpaper.core import environment
from benchpaper.core.errors import UserError

SYSTEM = (
    *("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64"),
    *("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives"),
    *("/etc/fonts", "/etc/texmf", "/var/lib/texmf", "/etc/perl"),
)
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LIMITS = {  # of each process inside
    resource.RLIMIT_AS: 16 << 30,  # bytes of address space; libraries reserve more than they use
    resource.RLIMIT_FSIZE: 1 << 30,  # bytes of a file
    resource.RLIMIT_CORE: 0,
}
PROBE_S = 60
REMEDY = (
    "install bubblewrap on a system that lets you make namespaces, "
    "or add --trust-code to give the archive's code all of your rights"
)
SPACES = ("net", "pid", "ipc", "mnt", "uts")
PROBE = f"""
import json, os, socket, sys
SPACES, CAPABILITIES = {SPACES}, ("CapPrm", "CapEff")
secret, readable, writable = sys.argv[1:]
def works(act, *words):
    try: act(*words)
    except OSError: return False
    return True
json.dump({{
    "ids": [*os.getresuid(), *os.getresgid()],
    "capabilities": [line[8:] for line in open("/proc/self/status") if line[:6] in CAPABILITIES],
    "interfaces": [name for _, name in socket.if_nameindex()],
    "namespaces": [os.stat("/proc/self/ns/" + name).st_ino for name in SPACES],
    "variables": list(os.environ),
    "prefix": sys.prefix,
    "secret": works(os.stat, secret),
    "system": works(open, "/usr/.benchpaper", "w") or works(open, "/.benchpaper", "w"),
    "readable": works(open, readable + "/new", "w"),
    "writable": works(open, writable + "/new", "w"),
}}, sys.stdout)
"""


class SandboxError(UserError):
    """No sandbox can be had on this machine; the text is one line that says why."""


@dataclass(frozen=True)
class Sandbox:
    """A way to start programs in a sandbox; `words` is one of the functions of `namespaces`."""

    name: str
    words: Callable[[Mapping[str, Path], Mapping[str, Path], str], list[str]]

    def command(
        self,
        words: Sequence[str],
        readable: Mapping[str, Path],
        writable: Mapping[str, Path],
        variables: Mapping[str, str],
    ) -> list[str]:
        """Return the command that runs `words` in the sandbox, with only these variables.

        `readable` and `writable` are {path inside: folder outside}; the command starts in the first
        readable one. As root, the writable folders are given to the sandbox's user.
        """
        if os.geteuid() == 0:
            for folder in writable.values():
                os.chown(folder, namespaces.NOBODY, namespaces.NOBODY)
        shown = {path: Path(path) for path in _system()} | dict(readable)
        settings = [f"{name}={value}" for name, value in {**_variables(), **variables}.items()]
        made = self.words(shown, writable, next(iter(readable)))
        return ["/usr/bin/env", "-i", *settings, *made, *words]


def find() -> Sandbox:
    """Return the first way that works here; raise `SandboxError` if none does."""
    ways = (
        Sandbox("bubblewrap", namespaces.bubblewrap),
        Sandbox("unshare", namespaces.util_linux),
    )
    defects = {}
    for sandbox in ways:
        if not (defect := _defect(sandbox)):
            return sandbox
        defects[sandbox.name] = defect
    reasons = "; ".join(f"{name}: {defect}" for name, defect in defects.items())
    raise SandboxError(f"no sandbox works here ({reasons}); {REMEDY}")


def limit() -> None:
    """Limit this process and its children, as they must be before they enter a sandbox."""
    for kind, most in LIMITS.items():
        hard = resource.getrlimit(kind)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, most))


def _system() -> list[str]:
    """Return the paths of the system and of this Python environment."""
    paths = [path for path in SYSTEM if os.path.lexists(path)]
    interpreter = Path(sys.executable).resolve().parents[1]
    for prefix in (sys.base_prefix, str(interpreter), sys.prefix):
        if not any(Path(prefix).is_relative_to(path) for path in paths):
            paths.append(prefix)
    return paths


def _variables() -> dict[str, str]:
    here = Path(sys.executable).parent
    return {**environment.FIXED, "PATH": f"{here}:{PATH}", "HOME": "/tmp", "TMPDIR": "/tmp"}


def _defect(sandbox: Sandbox) -> str:
    """Run the probe in a sandbox; return what is wrong with it, or ""."""
    program = sandbox.words({}, {}, "/")[0]
    if not shutil.which(program, path=PATH):
        return f"{program} is not installed"
    with tempfile.TemporaryDirectory(prefix="benchpaper-probe-") as top:
        secret, readable, writable = (Path(top) / name for name in ("secret", "read", "write"))
        readable.mkdir()
        writable.mkdir()
        secret.touch()
        command = sandbox.command(
            [sys.executable, "-c", PROBE, str(secret), "/read", "/write"],
            {"/read": readable},
            {"/write": writable},
            {},
        )
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=PROBE_S,
                preexec_fn=limit,
            )
        except subprocess.TimeoutExpired:
            return f"no answer within {PROBE_S} s"
    if done.returncode:
        return (done.stderr.strip() or f"exit status {done.returncode}").splitlines()[-1]
    return _broken_promise(json.loads(done.stdout))


def _broken_promise(seen: Mapping[str, Any]) -> str:
    """Return the first promise that what a probe saw breaks, or ""."""
    ours = {os.stat(f"/proc/self/ns/{name}").st_ino for name in SPACES}
    broken = {
        "it runs as root": 0 in seen["ids"] or any(int(caps, 16) for caps in seen["capabilities"]),
        "it has a network": seen["interfaces"] != ["lo"],
        "it shares a namespace with this process": not ours.isdisjoint(seen["namespaces"]),
        "it sees the environment": set(seen["variables"]) - {*_variables(), "PWD", "LC_CTYPE"},
        "it sees files of this machine": seen["secret"],
        "it writes to the system": seen["system"],
        "it writes to a read-only folder": seen["readable"],
        "it lacks this Python environment": seen["prefix"] != sys.prefix,
        "it cannot write where it should": not seen["writable"],
    }
    return next((promise for promise, is_broken in broken.items() if is_broken), "")
