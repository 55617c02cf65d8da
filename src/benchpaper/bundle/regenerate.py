"""`benchpaper verify --figures`: makes the exhibits, the verdicts and the PDF of an archive again, from the archive
alone.

Unlike all else of `verify` this runs what is in the archive: its notebooks, claims and framework, in this environment,
without a network where the system lets a process have none. What comes out is compared with what the archive holds.
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
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchpaper import environment, leftovers
from benchpaper.bundle import archive, metadata
from benchpaper.errors import UserError
from benchpaper.hosts.processes import die_with_parent
from benchpaper.project import Project
from benchpaper.warm import VARIABLE

TIMEOUT_S = 900
HEARING_S = 2.0  # for the last that it said, once it has ended
EQUAL, RENDERED, DIFFERENT = "byte-equal", "equal within rendering", "DIFFERENT"
TOLERANCE = 2.0  # mean difference of the pixels, of 255: another version of a font smoothes edges otherwise
STEP = re.compile(r"step (\d+) of (\d+): (.*)")  # what the process that makes them again says of itself
DRAWING = ("matplotlib", "numpy", "pandas", "scipy", "seaborn", "pyarrow", "papermill", "ipykernel")


def regenerate(path, tell=lambda done, total, what: None):
    """Return {"network": how it was run, "environment": whether it is the locked one, "files": {name: one of EQUAL,
    RENDERED, DIFFERENT}} of an archive that was verified before. `tell(done, total, what)` hears of each step that is
    done. Raises `UserError` when it cannot be run."""
    files, executable = archive.read(path)
    about = json.loads(files[archive.ABOUT])
    with tempfile.TemporaryDirectory(prefix="benchpaper-again-") as folder:
        project = Project(Path(folder) / "unpacked")
        archive.unpack(files, executable, project.root)
        build = project.build(about["site"], about["source"])
        given = Path(folder) / "given"
        build.rename(given)
        before, network = _without_network()
        run(project, about["site"], about["source"], about["experiments"], "the archive does not run", tell, before)
        compared = {str(p): _compared(given / p, build / p) for p in _exhibits(given)}
    return {"network": network, "environment": _environment(files), "files": compared}


def counted(files):
    """Return {word: how many files} of what `regenerate` found, in the order EQUAL, RENDERED, DIFFERENT."""
    counts = Counter(files.values())
    return {word: counts[word] for word in (EQUAL, RENDERED, DIFFERENT)}


def run(project, site, source, experiments, wrong, tell=lambda done, total, what: None, before=()):
    """Make exhibits, verdicts and PDF of an unpacked archive by its own code, as a command after the words `before`.
    When it returns, nothing that the code started runs any more. Raises `UserError`, which begins with what is `wrong`,
    when the code fails or does not end in time."""
    command = [*before, sys.executable, "-m", "benchpaper.bundle.regenerate", site, source, *experiments]
    own = {
        **environment.of_code(project.root / "src"), "BENCHPAPER_PROJECT": str(project.root), "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip
    with tempfile.TemporaryFile("w+", errors="replace") as errors:
        process = subprocess.Popen(
            command, cwd=project.root, env={**os.environ, VARIABLE: "", **own}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=errors, text=True, errors="replace", start_new_session=True,
            preexec_fn=partial(die_with_parent, os.getpid()),
        )  # fmt: skip
        # Apart, for the end of what it says may never come: a process that has hidden itself may hold it open.
        hearing = threading.Thread(target=_hear, args=(process.stdout, tell), daemon=True)
        hearing.start()
        try:
            status = process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise UserError(f"{wrong}: it did not end within {TIMEOUT_S} s") from None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            leftovers.kill_marked(f"BENCHPAPER_PROJECT={project.root}")  # what is in a session of its own
            process.wait()
            hearing.join(HEARING_S)
        errors.seek(0)
        said = errors.read().strip()
    if status:
        raise UserError(f"{wrong}: {(said or 'it said nothing').splitlines()[-1]}")


def _hear(output, tell):
    with output:
        for line in output:
            if step := STEP.fullmatch(line.strip()):
                tell(int(step[1]), int(step[2]), step[3])


def _environment(files):
    """Whether the packages that draw and reckon are those of the archive's lock; one text."""
    if "requirements.lock" not in files:
        return "with the packages that are here, for it has no requirements.lock"
    locked = {}
    for name, pin, _ in metadata.locked(files):  # one may have several versions, for several versions of Python
        locked.setdefault(name.lower(), []).append(pin)
    here = {name: _installed(name) for name in DRAWING if name in locked}
    others = [
        f"{name} {found} (lock: {' or '.join(locked[name])})"
        for name, found in here.items()
        if found not in locked[name]
    ]
    return f"with other versions than the lock's: {', '.join(others)}" if others else "with the packages of its lock"


def _installed(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"


def _exhibits(given):
    kept = [
        path for path in sorted(given.rglob("*")) if path.is_file() and path.suffix in (".pdf", ".png", ".tex", ".json")
    ]
    return [path.relative_to(given) for path in kept]


def _without_network():
    """Return (the words before a command that run it in an empty network namespace, how to call that)."""
    for words in (["unshare", "--net"], ["unshare", "--map-root-user", "--net"]):
        if shutil.which("unshare") and subprocess.run([*words, "true"], capture_output=True).returncode == 0:
            return words, "in a namespace without a network"
    return [], "with this machine's network, for the system lets no process do without"


def _compared(given, made):
    if not made.exists():
        return DIFFERENT
    if given.read_bytes() == made.read_bytes():
        return EQUAL
    if given.suffix == ".pdf":
        return RENDERED if _pages(given) == _pages(made) else DIFFERENT
    if given.suffix == ".png":
        return RENDERED if _alike(given, made) else DIFFERENT
    return DIFFERENT


def _pages(path):
    """The words of a PDF; of a figure, its picture is compared beside it."""
    return subprocess.run(["pdftotext", "-q", path, "-"], capture_output=True, text=True).stdout.split()


def _alike(given, made):
    import numpy as np
    from matplotlib.image import imread

    a, b = (np.asarray(imread(path), dtype=float) for path in (given, made))
    return a.shape == b.shape and float(np.abs(a - b).mean()) * 255 <= TOLERANCE


def _main(site, source, *experiments):
    """In the unpacked archive, by its own code: run every notebook, judge, gather, typeset; say each step that is
    done."""
    from benchpaper import appendix, claims, typeset, warm

    project = Project.find()
    total = len(experiments) + 2

    def finished(done, what):
        print(f"step {done} of {total}: {what}", flush=True)

    with warm.serving(project) as server, ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        os.environ.update(server)
        asked = {pool.submit(warm.ask, project, site, source, name): name for name in experiments}
        try:
            for done, answer in enumerate(as_completed(asked), 1):
                answer.result()
                finished(done, asked[answer])
        finally:
            pool.shutdown(cancel_futures=True)  # when one failed, the others need not begin
    claims.save(project, site, source)
    typeset.gather(project, site, source, experiments)
    appendix.write(project, site, source, experiments)
    finished(total - 1, "verdicts and appendix")
    typeset.typeset(project, site, source)
    finished(total, "paper.pdf")


if __name__ == "__main__":
    try:
        _main(*sys.argv[1:])
    except UserError as error:
        sys.exit(str(error))
