"""Compiles the small program that starts others in guests (`starter.c`)."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

SOURCE = Path(__file__).with_name("starter.c")
COMMAND = ("cc", "-O2", "-static", "-x", "c", str(SOURCE))


def starter(folder: Path) -> Path | None:
    """Return the program, which is compiled once and kept in `folder`.

    Return None if this machine has no C compiler with its libraries: guests work without it, too.
    """
    program = folder / f"starter-{hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]}"
    if program.exists() or not shutil.which(COMMAND[0]):
        return program if program.exists() else None
    folder.mkdir(parents=True, exist_ok=True)
    descriptor, part = tempfile.mkstemp(dir=folder, prefix=".", suffix=".part")
    os.close(descriptor)
    try:
        if subprocess.run([*COMMAND, "-o", part], capture_output=True).returncode:
            return None
        os.chmod(part, 0o755)
        os.replace(part, program)
    finally:
        Path(part).unlink(missing_ok=True)
    return program
