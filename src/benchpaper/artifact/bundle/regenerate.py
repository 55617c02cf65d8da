"""`benchpaper verify --figures`: makes the exhibits, verdicts and PDF of an archive again.

Unlike the rest of `verify`, this runs code from the archive: its notebooks, claims and framework.
The code runs in a `sandbox`, with the packages of this environment. It cannot see what the archive
says should come out. A second sandbox, with our own code, compares what came out with that.
"""

import contextlib
import json
import os
import re
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, Any

from benchpaper.artifact.bundle import archive, likeness, metadata, sandbox
from benchpaper.core import checksums, environment
from benchpaper.core.errors import UserError
from benchpaper.core.printable import printable_line
from benchpaper.core.processes import die_with_parent, kill_marked
from benchpaper.core.project import Project
from benchpaper.paper.kernel_server import VARIABLE

TIMEOUT_S = 900
LAST_OUTPUT_S = 2.0  # for reading the output of a process that has ended
LONGEST_LINE = 10_000  # characters read of a line at once
INSIDE = "/artifact"  # where the archive lies in the sandbox
EQUAL, RENDERED, DIFFERENT = "byte-equal", "equal within rendering", "DIFFERENT"
STEP = re.compile(r"step (\d+) of (\d+): (.*)")  # as `workflow.rebuild` prints it
DRAWING = ("matplotlib", "numpy", "pandas", "scipy", "seaborn", "pyarrow", "papermill", "ipykernel")

Progress = Callable[[int, int, str], object]  # called with (steps done, steps in total, step)


def _silent(done: int, total: int, step: str) -> None:
    """Report no progress."""


def regenerate(path: Path, tell: Progress = _silent, trust_code: bool = False) -> dict[str, Any]:
    """Make the files of an archive again and compare them; `verify` must have accepted it before.

    Returns {"sandbox": how the code ran, "environment": whether the packages are the locked ones,
    "files": {name: EQUAL, RENDERED, or DIFFERENT}, "reasons": {name: what differs}}.
    With `trust_code` the code runs without a sandbox. Raises `UserError` if it fails, or
    `SandboxError` if no sandbox can be had.
    """
    box = None if trust_code else sandbox.find()
    files, executable = archive.read(path)
    description = json.loads(files[archive.ABOUT])
    beginning = f"{description['build']}/"
    given = {
        name.removeprefix(beginning): data
        for name, data in files.items()
        if name.startswith(beginning)
    }
    sources = {name: data for name, data in files.items() if not name.startswith(beginning)}
    with _folder("benchpaper-again-") as folder:
        project = Project(folder / "unpacked")
        archive.unpack(sources, executable, project.root)
        build = project.build(description["site"], description["source"])
        run(
            project,
            description["site"],
            description["source"],
            description["experiments"],
            "the archive does not run",
            tell,
            box,
        )
        packages, is_same = _environment(files)
        made = _made(build)
        reasons = _reasons(given, made, is_same, folder, box)
    return {
        "sandbox": f"in a sandbox ({box.name})" if box else "WITHOUT A SANDBOX (--trust-code)",
        "environment": packages,
        "files": {
            printable_line(name): _word(given.get(name), made.get(name), reasons.get(name, ""))
            for name in sorted({*given, *made})
        },
        "reasons": {printable_line(name): reason for name, reason in reasons.items() if reason},
    }


def _reasons(
    given: Mapping[str, bytes],
    made: Mapping[str, bytes],
    is_same: bool,
    folder: Path,
    box: sandbox.Sandbox | None,
) -> dict[str, str]:
    """Return {name: what differs, or ""} of the files that are not byte-equal."""
    lacking = {name: "the archive's code does not make it" for name in given if name not in made}
    extra = {name: "the archive does not hold it" for name in made if name not in given}
    pairs = {
        name: (given[name], made[name])
        for name in given
        if name in made and given[name] != made[name]
    }
    return {**lacking, **extra, **likeness.differences(pairs, is_same, folder, box)}


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
    box: sandbox.Sandbox | None = None,
) -> None:
    """Make exhibits, verdicts and PDF of an unpacked archive with its own code.

    Without a sandbox the code has all rights of the user. On return, no process that the code
    started is still running. If the code fails or takes too long, raises `UserError` with a text
    that begins with `problem`.
    """
    words = ["-m", "benchpaper.workflow.rebuild", site, source, *experiments]
    command, variables = _command(project, [sys.executable, *words], box)
    parent = os.getpid()

    def prepare() -> None:
        die_with_parent(parent)
        if box:
            sandbox.limit()

    with tempfile.TemporaryFile("w+", errors="replace") as errors:
        process = subprocess.Popen(
            command,
            cwd=project.root,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            errors="replace",
            start_new_session=True,
            preexec_fn=prepare,
        )
        # In a thread, because the output may never end: a hidden process may hold it open.
        reader = threading.Thread(target=_report, args=(process.stdout, tell), daemon=True)
        reader.start()
        try:
            status = process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise UserError(f"{problem}: it did not end within {TIMEOUT_S} s") from None
        finally:
            _kill(process, project)
            reader.join(LAST_OUTPUT_S)
        text = _last_line(errors)
    if status:
        raise UserError(f"{problem}: {text or 'it said nothing'}")


def _kill(process: subprocess.Popen[str], project: Project) -> None:
    """Kill all that a process has started for a project, in its session or another."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    kill_marked(f"BENCHPAPER_PROJECT={project.root}")
    process.wait()


def _command(
    project: Project, words: list[str], box: sandbox.Sandbox | None
) -> tuple[list[str], dict[str, str]]:
    """Return the command, and the environment to start it in."""
    if box is None:
        own = environment.of_code(project.root / "src")
        own["BENCHPAPER_PROJECT"] = str(project.root)
        return words, {**os.environ, VARIABLE: "", "PYTHONDONTWRITEBYTECODE": "1", **own}
    writable = {f"{INSIDE}/{folder}": project.root / folder for folder in ("build", ".benchpaper")}
    for folder in writable.values():
        folder.mkdir(exist_ok=True)
    for folder in (project.root, *project.root.rglob("*/")):  # whatever the umask is
        folder.chmod(0o755)
    inside = {**environment.of_code(Path(INSIDE, "src")), "BENCHPAPER_PROJECT": INSIDE}
    return box.command(words, {INSIDE: project.root}, writable, inside), {}


def _last_line(errors: IO[str]) -> str:
    """Return the last line of an output, without characters that move the cursor."""
    errors.seek(max(0, errors.seek(0, os.SEEK_END) - LONGEST_LINE))
    lines = errors.read().strip().splitlines()
    return printable_line(lines[-1]) if lines else ""


def _report(output: IO[str], tell: Progress) -> None:
    with output:
        while line := output.readline(LONGEST_LINE):
            if step := STEP.fullmatch(line.strip()):
                tell(int(step[1]), int(step[2]), printable_line(step[3]))


def _environment(files: Mapping[str, bytes]) -> tuple[str, bool]:
    """Say whether the packages that compute and draw are those of the archive's lock."""
    if "requirements.lock" not in files:
        return "with the packages that are here, for it has no requirements.lock", False
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
        return f"with other versions than the lock's: {', '.join(others)}", False
    return "with the packages of its lock", True


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"


@contextlib.contextmanager
def _folder(prefix: str) -> Iterator[Path]:
    """Make a temporary folder; remove it whatever foreign code has left in it."""
    path = Path(tempfile.mkdtemp(prefix=prefix))
    try:
        yield path
    finally:
        for command in (["chmod", "-R", "u+rwx"], ["rm", "-rf"]):
            subprocess.run([*command, "--", path], capture_output=True)


def _made(build: Path) -> dict[str, bytes]:
    """Return {name: bytes} of what foreign code has made: plain files that a bundle may hold."""
    made: dict[str, bytes] = {}
    size = 0
    for folder, folders, names in os.walk(build) if not build.is_symlink() else ():
        left_out = ("latex", checksums.FOLDER) if folder == str(build) else ()
        folders[:] = [name for name in folders if name not in left_out]
        for path in (Path(folder, name) for name in names if not name.startswith(".")):
            if not stat.S_ISREG(path.lstat().st_mode):
                continue
            size += path.stat().st_size
            if size > archive.MAX_ARCHIVE_BYTES or len(made) == archive.MAX_FILES:
                raise UserError("the archive's code makes more than a bundle may hold")
            made[path.relative_to(build).as_posix()] = path.read_bytes()
    return made


def _word(given: bytes | None, made: bytes | None, reason: str) -> str:
    if given == made:
        return EQUAL
    return DIFFERENT if reason else RENDERED
