"""Runs a function in a child process with limits on memory, time, and output, and no network.

Parsers of Parquet, PDF, YAML, and JSON read what a stranger wrote. A file of a few kilobytes can
unpack to gigabytes in them. The child dies at a limit, and the parent says which file it read.

    call("package.module:function", "an argument", folder=..., limits=Limits())
"""

import ctypes
import importlib
import json
import os
import resource
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import astuple, dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

from benchpaper.core.errors import UserError
from benchpaper.core.processes import die_with_parent

CLONE_NEWUSER, CLONE_NEWNET = 0x1000_0000, 0x4000_0000  # of unshare(2)
# Libraries reserve memory for each thread, which would count against the limit.
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "MALLOC_ARENA_MAX": "2",
}
NETWORK_EVENTS = {
    f"socket.{name}"
    for name in ("connect", "sendto", "sendmsg", "getaddrinfo", "gethostbyname", "gethostbyaddr")
}
OUT_OF_TIME = (signal.SIGXCPU, signal.SIGKILL)  # the soft limit on CPU time, and the hard one


@dataclass(frozen=True)
class Limits:
    """What the child may use: bytes of address space, s of CPU, s in all, bytes a file and report.

    Reading this project's own archive takes less than 1.5 GiB of address space and 15 s of CPU.
    """

    memory_bytes: int = 4 << 30
    cpu_s: int = 300
    wall_s: int = 1800
    file_bytes: int = 1 << 30
    report_bytes: int = 4 << 20


DEFAULT_LIMITS = Limits()


class Refused(UserError):
    """The function raised `UserError`, or reached a limit; the text is one line."""


def call(function: str, *arguments: str, folder: Path, limits: Limits) -> Any:
    """Return what `function`, given as "MODULE:NAME", returns for `arguments` (plain JSON data).

    The child's files go to `folder`; the caller removes it. Raises `Refused`.
    """
    command = [
        sys.executable, "-m", __name__, json.dumps(astuple(limits)), function, *arguments,
    ]  # fmt: skip
    report, errors = folder / "report", folder / "errors"
    with open(report, "wb") as out, open(errors, "wb") as err:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **ONE_THREAD, "TMPDIR": str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
            preexec_fn=partial(die_with_parent, os.getpid()),
        )
        try:
            status = process.wait(limits.wall_s)
        except subprocess.TimeoutExpired:
            raise Refused(f"{_place(report, limits)} takes more than {limits.wall_s} s") from None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    lines = _lines(report, limits)
    if status == 0 and lines and "result" in lines[-1]:
        return lines[-1]["result"]
    if status == 0 and lines and "error" in lines[-1]:
        raise Refused(str(lines[-1]["error"]))
    raise Refused(_death(status, _place(report, limits), limits))


def _lines(report: Path, limits: Limits) -> list[dict[str, Any]]:
    if report.stat().st_size > limits.report_bytes:
        raise Refused(f"the report on it has more than {limits.report_bytes:,} bytes")
    whole, _, _ = report.read_text().rpartition("\n")  # a killed child may leave half a line
    return [json.loads(line) for line in whole.splitlines()]


def _place(report: Path, limits: Limits) -> str:
    places = [line["reading"] for line in _lines(report, limits) if "reading" in line]
    return f"reading {places[-1]}" if places else "reading it"


def _death(status: int, place: str, limits: Limits) -> str:
    """Return why a child without a result ended."""
    if -status in OUT_OF_TIME:
        return f"{place} takes more than {limits.cpu_s} s of CPU time, which no honest file does"
    if -status == signal.SIGXFSZ:
        return f"{place} writes a file above {limits.file_bytes:,} bytes, which no honest file does"
    return f"{place} ended the reader ({_signal(status)}); the file is broken, or means harm"


def _signal(status: int) -> str:
    with suppress(ValueError):
        return signal.Signals(-status).name
    return f"status {status}"


# ---- in the child ----


def reading(name: str) -> None:
    """Say which file is read next, for the message if reading it ends this process."""
    if _is_child:
        _say({"reading": name})


_is_child = False


def _say(line: dict[str, Any]) -> None:
    _report.write(f"{json.dumps(line)}\n".encode())
    _report.flush()


_report: IO[bytes] = sys.stdout.buffer


def _main(limits: str, function: str, *arguments: str) -> None:
    global _report
    _report = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no part of the report
    allowed = Limits(*json.loads(limits))
    _limit(allowed)
    _leave_network()
    sys.addaudithook(_refuse_network)
    module, _, name = function.partition(":")
    try:
        _say({"result": getattr(importlib.import_module(module), name)(*arguments)})
    except UserError as error:
        _say({"error": str(error)})
    except MemoryError:
        _say({"error": f"it takes more than {allowed.memory_bytes:,} bytes of memory to read"})


def _limit(limits: Limits) -> None:
    """Set the limits of this process and of each program that it starts."""
    for kind, soft, hard in (
        (resource.RLIMIT_AS, limits.memory_bytes, limits.memory_bytes),
        (resource.RLIMIT_CPU, limits.cpu_s, limits.cpu_s + 5),
        (resource.RLIMIT_FSIZE, limits.file_bytes, limits.file_bytes),
        (resource.RLIMIT_CORE, 0, 0),
    ):
        _, most = resource.getrlimit(kind)
        if most != resource.RLIM_INFINITY:
            soft, hard = min(soft, most), min(hard, most)
        resource.setrlimit(kind, (soft, hard))
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python ignores it


def _leave_network() -> None:
    """Move to a network namespace without interfaces, if the kernel allows this user to."""
    flags = CLONE_NEWNET if os.geteuid() == 0 else CLONE_NEWNET | CLONE_NEWUSER
    ctypes.CDLL(None).unshare(flags)


def _refuse_network(event: str, arguments: tuple[Any, ...]) -> None:
    """Audit hook that lets no code of this process reach another machine."""
    if event in NETWORK_EVENTS:
        raise Refused(f"something in it made the reader use the network ({event}); it may not")


if __name__ == "__main__":
    # The functions import this module by its name, and must see the same `_is_child`.
    from benchpaper.artifact.bundle import confined

    confined._is_child = True
    confined._main(*sys.argv[1:])
