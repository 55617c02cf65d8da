"""`benchpaper verify --figures`: makes the exhibits, the verdicts and the PDF of an archive again, from the archive alone.

Unlike all else of `verify` this runs what is in the archive: its notebooks, claims and framework, in this environment,
without a network where the system lets a process have none. What comes out is compared with what the archive holds.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchpaper.bundle import archive
from benchpaper.errors import UserError
from benchpaper.project import Project

TIMEOUT_S = 900
EQUAL, RENDERED, DIFFERENT = "byte-equal", "equal within rendering", "DIFFERENT"
TOLERANCE = 2.0  # mean difference of the pixels, of 255: another version of a font smoothes edges otherwise


def regenerate(path):
    """Return {"network": how it was run, "files": {name: one of EQUAL, RENDERED, DIFFERENT}} of an archive that
    was verified before. Raises `UserError` when it cannot be run."""
    files, executable = archive.read(path)
    about = json.loads(files[archive.ABOUT])
    with tempfile.TemporaryDirectory(prefix="benchpaper-again-") as folder:
        project = Project(Path(folder) / "unpacked")
        archive.unpack(files, executable, project.root)
        build = project.build(about["site"], about["source"])
        given = Path(folder) / "given"
        build.rename(given)
        alone, told = _without_network()
        command = [*alone, sys.executable, "-m", "benchpaper.bundle.regenerate", about["site"], about["source"], *about["experiments"]]
        environment = {name: value for name, value in os.environ.items() if name != "BENCHPAPER_WARM"}
        environment |= {"PYTHONPATH": str(project.root / "src"), "BENCHPAPER_PROJECT": str(project.root), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(command, cwd=project.root, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S)
        if done.returncode:
            raise UserError(f"the archive does not run: {(done.stderr.strip() or 'it said nothing').splitlines()[-1]}")
        return {"network": told, "files": {str(p): _compared(given / p, build / p) for p in _exhibits(given)}}


def _exhibits(given):
    kept = [path for path in sorted(given.rglob("*")) if path.is_file() and path.suffix in (".pdf", ".png", ".tex", ".json")]
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
    """In the unpacked archive, by its own code: run every notebook, judge, gather, typeset."""
    from benchpaper import appendix, claims, typeset, warm

    project = Project.find()
    with warm.serving() as server, ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        os.environ.update(server)
        list(pool.map(lambda name: warm.ask(project, site, source, name), experiments))
    claims.save(project, site, source)
    typeset.gather(project, site, source, experiments)
    appendix.write(project, site, source, experiments)
    typeset.typeset(project, site, source)


if __name__ == "__main__":
    try:
        _main(*sys.argv[1:])
    except UserError as error:
        sys.exit(str(error))
