"""Whether two files of an exhibit show the same, though their bytes differ.

The same notebook gives other bytes if a library has another version. A PDF is compared by what it
draws, in its own coordinates (`drawing`, `marks`); a picture is compared tile by tile (`pixels`);
all else must have the same bytes. `files` holds how much may differ.

With the packages of the lock, only last digits and smooth edges may. Between versions, labels are
wider by a hair and move the axes. All 30 figures of the paper, drawn with Matplotlib 3.10 and 3.11
(with another FreeType, and another program that shapes text), differed by

- 1.44 pt at most in the places of labels and axes, and 0.02 pt in data relative to their axes;
- 18 pixels of the worst tile of 24 x 24, moved by 6 pixels at most, and 0.19 % of all pixels;

save for five figures (as PDF, PNG, or both) whose ticks, simplified curves, or hatching are really
others. The mean difference of their pixels was 4 to 18 of 255, while that of a forged curve was
below 2: a mean cannot tell them apart. Of the forgeries in the tests, each changes 24 pixels of a
tile or more, but for single digits: between versions, these are found in the PDF alone.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from benchpaper.artifact.bundle import sandbox
from benchpaper.core import environment
from benchpaper.core.errors import UserError
from benchpaper.core.processes import die_with_parent
from benchpaper.core.project import CODE

PROGRAM = "benchpaper.artifact.bundle.likeness.files"
TIMEOUT_S = 900
MAX_ANSWER_CHARACTERS = 10_000_000


def differences(
    pairs: Mapping[str, tuple[bytes, bytes]],
    is_same: bool,
    folder: Path,
    box: sandbox.Sandbox | None,
) -> dict[str, str]:
    """Return {name: what differs, or ""} of files {name: (given, made)}.

    `is_same` says whether both were made with the same packages. The files are foreign, so a
    process of its own compares them, in the sandbox if there is one; they are written to `folder`.
    Raises `UserError` if the process dies.
    """
    if not pairs:
        return {}
    for name, sides in pairs.items():
        for side, data in zip(("given", "made"), sides, strict=True):
            path = folder / "compared" / side / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    leeway = "same" if is_same else "other"
    with tempfile.TemporaryFile("w+", errors="replace") as answer:
        try:
            done = subprocess.run(
                _command(folder / "compared", leeway, box),
                env={} if box else None,
                stdin=subprocess.DEVNULL,
                stdout=answer,
                stderr=subprocess.PIPE,
                text=True,
                timeout=TIMEOUT_S,
                preexec_fn=_prepare,
            )
        except subprocess.TimeoutExpired:
            raise UserError(f"its files could not be compared within {TIMEOUT_S} s") from None
        answer.seek(0)
        text = answer.read(MAX_ANSWER_CHARACTERS)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise UserError(f"its files could not be compared: {lines[-1]}")
    reasons = json.loads(text)
    return {name: str(reasons[name]) for name in pairs}


def _prepare() -> None:
    die_with_parent()
    sandbox.limit()


def _command(folder: Path, leeway: str, box: sandbox.Sandbox | None) -> list[str]:
    words = [sys.executable, "-m", PROGRAM, leeway]
    if box is None:
        return [*words, str(folder)]
    for path in (folder, *folder.rglob("*/")):  # whatever the umask is
        path.chmod(0o755)
    source = CODE.parent
    readable = {"/compared": folder, str(source): source}
    return box.command([*words, "/compared"], readable, {}, environment.of_code(source))
