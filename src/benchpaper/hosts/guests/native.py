"""Compiles the small programs that run in guests: `starter.c`, and `boot.c` of emulated ones."""

import hashlib
import os
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

SOURCES = Path(__file__).parent
STARTER, BOOT = "starter.c", "boot.c"
# Static, because a guest has no libraries before it has a root.
COMMAND = ("cc", "-std=c11", "-O2", "-static", "-x", "c")
COMPILE_S = 60.0


def program(name: str, folder: Path) -> Path:
    """Return the program of a source, which is compiled once and kept in `folder`.

    Raises `OSError` if this machine cannot compile it.
    """
    source = SOURCES / name
    digest = hashlib.sha256(" ".join(COMMAND).encode() + source.read_bytes()).hexdigest()
    made = folder / f"{source.stem}-{digest[:16]}"
    if made.exists():
        return made
    folder.mkdir(parents=True, exist_ok=True)
    descriptor, part = tempfile.mkstemp(dir=folder, prefix=".", suffix=".part")
    os.close(descriptor)
    try:
        _compile(source, part)
        os.chmod(part, 0o755)
        os.replace(part, made)
    finally:
        Path(part).unlink(missing_ok=True)
    return made


def _compile(source: Path, target: str) -> None:
    command = [*COMMAND, "-o", target, str(source)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=COMPILE_S)
    except (FileNotFoundError, PermissionError):  # a folder of PATH may be closed to this user
        raise OSError("no cc on PATH; install the packages gcc and libc6-dev") from None
    except subprocess.TimeoutExpired:
        raise OSError(f"cc did not compile {source.name} within {COMPILE_S:g} s") from None
    if done.returncode:
        raise OSError(f"cc could not compile {source.name}: {' '.join(done.stderr.split())[:500]}")


def starter(folder: Path) -> Path | None:
    """Return the program that starts others in guests, as `program` does.

    Return None if this machine cannot compile it: guests work without it, and start commands more
    slowly (`doctor` says so).
    """
    with suppress(OSError):
        return program(STARTER, folder)
    return None
