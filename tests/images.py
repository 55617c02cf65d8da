"""A container image of a few programs of this machine, and the engines that can run it."""

import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import psutil

from benchpaper.core.deployment.containers import sif

PROGRAMS = ("sh", "sleep", "cat", "env", "id", "ls", "touch", "echo")
NAME = f"localhost/benchpaper-test-{os.getpid()}:1"


def engines():
    """Return the engines that answer here: podman, and docker if its daemon runs."""
    known = ("podman", "docker", "apptainer")
    return [engine for engine in known if shutil.which(engine) and _answers(engine)]


def _answers(engine):
    asked = "version" if engine == "apptainer" else "info"
    return subprocess.run([engine, asked], capture_output=True).returncode == 0


def make(engine, folder, name=NAME):
    """Import the image `name`; `remove` takes it away again."""
    root = Path(folder) / "root"
    (root / "bin").mkdir(parents=True)
    (root / "tmp").mkdir()
    for program in PROGRAMS:
        path = Path(shutil.which(program)).resolve()
        shutil.copy(path, root / "bin" / program)
        linked = subprocess.run(["ldd", path], capture_output=True, text=True).stdout
        for library in [word for word in linked.split() if word.startswith("/")]:
            target = root / library[1:]
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, target)
    (root / "etc").mkdir()
    (root / "etc/inside").write_text("in the image\n")
    if engine == "apptainer":
        sif(name).parent.mkdir(parents=True, exist_ok=True)
        build = [engine, "build", "--force", sif(name), root]
        subprocess.run(build, check=True, capture_output=True)
        return name
    with tarfile.open(Path(folder) / "image.tar", "w") as archive:
        archive.add(root, "/")
    subprocess.run(
        [engine, "import", Path(folder) / "image.tar", name], check=True, capture_output=True
    )
    return name


def remove(engine, name=NAME):
    if engine == "apptainer":
        sif(name).unlink(missing_ok=True)
        return
    subprocess.run([engine, "rmi", "--force", name], capture_output=True)


def containers(engine, *options):
    """Return the ids of the containers that our trials have made and that are there."""
    if engine == "apptainer":
        names = [process.info["name"] or "" for process in psutil.process_iter(["name"])]
        return [name for name in names if name.startswith(("apptainer", "starter"))]
    command = [engine, "ps", "--quiet", "--filter", "label=benchpaper.trial", *options]
    return subprocess.run(command, capture_output=True, text=True).stdout.split()
