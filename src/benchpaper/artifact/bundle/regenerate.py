"""`benchpaper verify --figures`: makes the exhibits, verdicts and PDF of an archive again.

Unlike the rest of `verify`, this runs code from the archive: its notebooks, claims and framework.
They run in this environment, without a network if the system allows that. The new files are
compared with those in the archive.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, Any

from benchpaper.artifact.bundle import archive, metadata
from benchpaper.core import environment
from benchpaper.core.errors import UserError
from benchpaper.core.processes import die_with_parent, kill_marked
from benchpaper.core.project import Project
from benchpaper.paper.kernel_server import VARIABLE

TIMEOUT_S = 900
LAST_OUTPUT_S = 2.0  # for reading the output of a process that has ended
EQUAL, RENDERED, DIFFERENT = "byte-equal", "equal within rendering", "DIFFERENT"
TOLERANCE = 2.0  # mean difference of pixels, of 255: versions of a font differ in smooth edges
STEP = re.compile(r"step (\d+) of (\d+): (.*)")  # as `workflow.rebuild` prints it
DRAWING = ("matplotlib", "numpy", "pandas", "scipy", "seaborn", "pyarrow", "papermill", "ipykernel")

Progress = Callable[[int, int, str], object]  # called with (steps done, steps in total, step)


def _silent(done: int, total: int, step: str) -> None:
    """Report no progress."""


def regenerate(path: Path, tell: Progress = _silent) -> dict[str, Any]:
    """Make the files of an archive again and compare them; `verify` must have accepted it before.

    Returns {"network": how the code ran, "environment": whether the packages are the locked ones,
    "files": {name: EQUAL, RENDERED or DIFFERENT}}. Raises `UserError` if the code fails.
    """
    files, executable = archive.read(path)
    description = json.loads(files[archive.ABOUT])
    with tempfile.TemporaryDirectory(prefix="benchpaper-again-") as folder:
        project = Project(Path(folder) / "unpacked")
        archive.unpack(files, executable, project.root)
        site, source = description["site"], description["source"]
        build = project.build(site, source)
        given = Path(folder) / "given"
        build.rename(given)
        prefix, network = _without_network()
        experiments = description["experiments"]
        run(project, site, source, experiments, "the archive does not run", tell, prefix)
        compared = {str(p): _compared(given / p, build / p) for p in _exhibits(given)}
    return {"network": network, "environment": _environment(files), "files": compared}


def counted(files: Mapping[str, str]) -> dict[str, int]:
    """Return {EQUAL, RENDERED, DIFFERENT: number of files} from the "files" of `regenerate`."""
    counts = Counter(files.values())
    return {word: counts[word] for word in (EQUAL, RENDERED, DIFFERENT)}


def run(
    project: Project,
    site: str,
    source: str,
    experiments: Sequence[str],
    problem: str,
    tell: Progress = _silent,
    prefix: Iterable[str] = (),
) -> None:
    """Make exhibits, verdicts and PDF of an unpacked archive with its own code.

    The command starts with the words `prefix`. On return, no process that the code started is
    still running. If the code fails or takes too long, raises `UserError` with a text that begins
    with `problem`.
    """
    command = [
        *prefix,
        sys.executable,
        "-m",
        "benchpaper.workflow.rebuild",
        site,
        source,
        *experiments,
    ]
    own = {
        **environment.of_code(project.root / "src"),
        "BENCHPAPER_PROJECT": str(project.root),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    with tempfile.TemporaryFile("w+", errors="replace") as errors:
        process = subprocess.Popen(
            command,
            cwd=project.root,
            env={**os.environ, VARIABLE: "", **own},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            errors="replace",
            start_new_session=True,
            preexec_fn=partial(die_with_parent, os.getpid()),
        )
        # In a thread, because the output may never end: a hidden process may hold it open.
        reader = threading.Thread(target=_report, args=(process.stdout, tell), daemon=True)
        reader.start()
        try:
            status = process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise UserError(f"{problem}: it did not end within {TIMEOUT_S} s") from None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            kill_marked(f"BENCHPAPER_PROJECT={project.root}")  # processes in other sessions
            process.wait()
            reader.join(LAST_OUTPUT_S)
        errors.seek(0)
        text = errors.read().strip()
    if status:
        raise UserError(f"{problem}: {(text or 'it said nothing').splitlines()[-1]}")


def _report(output: IO[str], tell: Progress) -> None:
    with output:
        for line in output:
            if step := STEP.fullmatch(line.strip()):
                tell(int(step[1]), int(step[2]), step[3])


def _environment(files: Mapping[str, bytes]) -> str:
    """Say whether the packages that compute and draw are those of the archive's lock."""
    if "requirements.lock" not in files:
        return "with the packages that are here, for it has no requirements.lock"
    locked: dict[str, list[str]] = {}
    for pin in metadata.locked(files):
        locked.setdefault(pin.name, []).append(pin.version)
    installed = {name: _installed(name) for name in DRAWING if name in locked}
    others = [
        f"{name} {here} (lock: {' or '.join(locked[name])})"
        for name, here in installed.items()
        if here not in locked[name]
    ]
    if others:
        return f"with other versions than the lock's: {', '.join(others)}"
    return "with the packages of its lock"


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"


def _exhibits(given: Path) -> list[Path]:
    kept = [
        path
        for path in sorted(given.rglob("*"))
        if path.is_file() and path.suffix in (".pdf", ".png", ".tex", ".json")
    ]
    return [path.relative_to(given) for path in kept]


def _without_network() -> tuple[list[str], str]:
    """Return (words before a command that take its network away, a text that says so).

    If the system forbids that, there are no words, and the text says that too.
    """
    for words in (["unshare", "--net"], ["unshare", "--map-root-user", "--net"]):
        if (
            shutil.which("unshare")
            and subprocess.run([*words, "true"], capture_output=True).returncode == 0
        ):
            return words, "in a namespace without a network"
    return [], "with this machine's network, because the system allows no process without it"


def _compared(given: Path, made: Path) -> str:
    if not made.exists():
        return DIFFERENT
    if given.read_bytes() == made.read_bytes():
        return EQUAL
    if given.suffix == ".pdf":
        return RENDERED if _pages(given) == _pages(made) else DIFFERENT
    if given.suffix == ".png":
        return RENDERED if _alike(given, made) else DIFFERENT
    return DIFFERENT


def _pages(path: Path) -> list[str]:
    """Return the words of a PDF; the picture of a figure is compared as PNG."""
    return subprocess.run(
        ["pdftotext", "-q", path, "-"], capture_output=True, text=True
    ).stdout.split()


def _alike(given: Path, made: Path) -> bool:
    import numpy as np
    from matplotlib.image import imread

    a, b = (np.asarray(imread(path), dtype=float) for path in (given, made))
    return a.shape == b.shape and float(np.abs(a - b).mean()) * 255 <= TOLERANCE
