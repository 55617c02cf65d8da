"""Container images, run by podman, docker, or apptainer: the first of them that has the image.

A command of a trial runs in a container of its own, as the user who measures, with the host's
network and shared memory, and sees no files of the host but those that the trial names. Nothing is
downloaded while a trial runs.
"""

import hashlib
import json
import os
import re
import resource
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchpaper.core.deployment.software import Lacking, Software
from benchpaper.core.printable import printable_line

ENGINES = ("podman", "docker", "apptainer", "singularity")
SIF = ("apptainer", "singularity")  # these run image files
TIMEOUT_S = 40
UNKNOWN = re.compile(r"no such image|image not known", re.I)
LABEL = "benchpaper.trial"
NO_PROGRAM = "/no/such/program"
NO_SUCH_PROGRAM = 127  # the status of podman and docker if they work, but find no such program
PASSED_ON = ("HOME", "XDG_RUNTIME_DIR", "DOCKER_HOST", "DOCKER_CONTEXT")
# Both kill at once what still runs; podman would wait for 10 s before.
REMOVE = {"podman": ("rm", "--force", "--time=0"), "docker": ("rm", "--force")}
# Where a container's processes were killed, podman's first try fails, and notes that they are gone.
REMOVE_ALL = """
for try in 1 2 3 4 5; do
    ids=$("$@" ps --all --quiet --filter label={label}) || exit
    [ -n "$ids" ] || break
    there=yes
    "$@" {remove} $ids
done
[ -n "$there" ] && [ -z "$ids" ]
"""
# Without an init, a program has process id 1, and SIGTERM ends it only if it has a handler.
INIT = "--init"
INITS = {
    "podman": ("/usr/libexec/podman/catatonit", "/usr/bin/catatonit"),
    "docker": ("/usr/bin/docker-init", "/usr/libexec/docker/docker-init"),
}


@dataclass(frozen=True)
class Command:
    """How a command runs in a container.

    `folders` are those of the host that it sees, {folder: whether it may write}. It starts in
    `folder`. `options` are the engine's, from the experiment.
    """

    argv: Sequence[str]
    env: Mapping[str, str]
    folders: Mapping[str, bool]
    folder: str
    options: Sequence[str] = ()


def meaning(text: str) -> str:
    return f"the container image {text}, and podman, docker, or apptainer to run it"


def remedy(text: str) -> str:
    if text.startswith("localhost/"):
        return f"build or load the image on that host: podman build --tag {text} FOLDER"
    file = sif(text).relative_to(Path.home())
    return f"podman pull {text}, or docker pull, or apptainer pull ~/{file} docker://{text}"


def sif(image: str) -> Path:
    """Return where an image lies as a file for Apptainer."""
    digest = hashlib.sha256(image.encode()).hexdigest()[:12]
    name = re.sub(r"\W+", "-", image.rpartition("/")[2].partition("@")[0])
    return Path.home() / ".local/share/benchpaper/images" / f"{name}-{digest}.sif"


def find(image: str) -> Software:
    """Look for an image, and try to run it. Raises `Lacking`."""
    why = []
    for kind in ENGINES:
        if program := shutil.which(kind):
            try:
                return _software(kind, program, image)
            except Lacking as lacking:
                why.append(f"{kind}: {lacking}")
    raise Lacking("; ".join(why) or f"none of {', '.join(ENGINES)} on PATH")


def _software(kind: str, program: str, image: str) -> Software:
    settings = [f"{name}={os.environ[name]}" for name in PASSED_ON if name in os.environ]
    engine = ("env", *settings, program)
    if kind == "docker" and _is_elsewhere(engine):
        raise Lacking("its daemon is on another machine (DOCKER_HOST, or docker context), not here")
    version = _said(_answer([*engine, "--version"])).split()
    number = next((word.strip(",") for word in version if word[:1].isdigit()), "unknown")
    if kind in SIF:
        known, digests = str(sif(image)), _of_file(image)
    else:
        known, digests = _of_store(engine, image)
    short = digests[0].partition("sha256:")[2][:16]
    identity = f"image {short} ({kind} {number})"
    software = Software(identity, digests, {}, engine, _options(kind), kind, known)
    _try(software)
    return software


def _is_elsewhere(engine: Sequence[str]) -> bool:
    """Return whether docker's client speaks to another machine: a trial must run on this one."""
    answer = _answer([*engine, "context", "inspect", "--format", "{{.Endpoints.docker.Host}}"])
    context = "" if answer.returncode else answer.stdout.strip()  # podman's `docker` has none
    host = os.environ.get("DOCKER_HOST") or context
    return bool(host) and not host.startswith("unix:")


def _of_store(engine: Sequence[str], image: str) -> tuple[str, tuple[str, ...]]:
    """Return an image's id, and its digests in words.

    The id is the digest of its configuration, which covers all of its contents. A tag may move.
    """
    name, _, digest = image.partition("@")
    if digest:  # podman takes no tag next to it
        last = name.rpartition("/")[2].partition(":")[0]
        name = f"{name.rpartition('/')[0]}/{last}@{digest}"
    answer = _answer([*engine, "image", "inspect", name])
    if answer.returncode:
        said = _said(answer)
        # A daemon that does not run is another fault than an image that is not there.
        raise Lacking("no such image" if UNKNOWN.search(said) else said or "it says nothing")
    described = json.loads(answer.stdout)[0]
    known = described["Id"].removeprefix("sha256:")
    return known, (f"image sha256:{known}", *sorted(described.get("RepoDigests") or ()))


def _of_file(image: str) -> tuple[str, ...]:
    path = sif(image)
    if not path.is_file():
        raise Lacking(f"no ~/{path.relative_to(Path.home())}")
    if "@" in image:  # hosts convert the same image to different files
        return (image,)
    with open(path, "rb") as file:
        return (f"file sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}",)


def _try(software: Software) -> None:
    """Run the image without a program: that shows whether the engine can run it at all."""
    name = f"benchpaper-try-{os.getpid()}-{time.monotonic_ns()}"
    # An init would find no program either, and end with a status of its own.
    bare = replace(software, options=tuple(o for o in software.options if o != INIT))
    tried = _answer(command(bare, Command([NO_PROGRAM], {}, {}, "/"), name))
    # Apptainer has one status for all that fails.
    works = (
        NO_PROGRAM in tried.stderr if software.kind in SIF else tried.returncode == NO_SUCH_PROGRAM
    )
    if not works:
        raise Lacking(f"it cannot run the image: {_said(tried)}")


def _answer(argv: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Lacking(f"it does not answer: {printable_line(str(error))}") from None


def _said(done: "subprocess.CompletedProcess[str]") -> str:
    lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
    return printable_line(lines[-1])[:200] if lines else ""


# ---- running in it ----


def command(software: Software, inner: Command, name: str, trial: str = "") -> list[str]:
    """Return the command line that runs `inner` in a container called `name`, of a trial."""
    for folder in inner.folders:
        if ":" in folder or "," in folder:
            raise ValueError(f"{folder} holds a colon or a comma, so no container can have it")
    return (_of_apptainer if software.kind in SIF else _of_docker)(software, inner, name, trial)


def _of_apptainer(software: Software, inner: Command, name: str, trial: str) -> list[str]:
    seen = [
        f"--bind={folder}:{folder}:{'rw' if writable else 'ro'}"
        for folder, writable in inner.folders.items()
    ]
    settings = [f"--env={key}={value}" for key, value in inner.env.items()]
    options = [*software.options, f"--pwd={inner.folder}", *seen, *settings, *inner.options]
    return [*software.engine, "--silent", "exec", *options, software.image, *inner.argv]


def _of_docker(software: Software, inner: Command, name: str, trial: str) -> list[str]:
    folders = inner.folders.items()
    options = [
        f"--name={name}",
        f"--label={LABEL}={trial}",
        f"--workdir={inner.folder}",
        *(f"--volume={folder}:{folder}{'' if rw else ':ro'}" for folder, rw in folders),
        *(f"--env={key}={value}" for key, value in inner.env.items()),
        *inner.options,
    ]
    # An entry point of the image would take the command for its arguments.
    program, *arguments = inner.argv
    started = [*software.engine, "run", *software.options, *options, f"--entrypoint={program}"]
    return [*started, software.image, *arguments]


def _options(kind: str) -> tuple[str, ...]:
    """Return the options with which an engine runs every container on this machine."""
    if kind in SIF:
        return ("--cleanenv", "--no-home", "--no-mount=tmp,cwd,bind-paths")
    both = [
        "--rm",
        "--pull=never",
        "--network=host",
        "--log-driver=none",
        "--volume=/dev/shm:/dev/shm",
        f"--user={os.geteuid()}:{os.getegid()}",
        *([INIT] if any(map(os.path.exists, INITS[kind])) else []),
    ]
    if kind == "docker":
        return tuple(both)
    # The limits of this process: podman's own may exceed what it is allowed to set.
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    tasks = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    most = int(Path("/proc/sys/kernel/pid_max").read_text())
    tasks = most if tasks == resource.RLIM_INFINITY else min(tasks, most)
    limits = [f"--ulimit=nofile={files}:{files}", f"--ulimit=nproc={tasks}:{tasks}"]
    return (*both, *limits, *(["--userns=keep-id"] if os.geteuid() else []))


def removal(software: Software, trial: str) -> list[str]:
    """Return the command that removes the containers of a trial; it fails if there are none."""
    if software.kind in SIF:
        return []  # its containers are processes of the trial, and end with them
    script = REMOVE_ALL.format(label=f"{LABEL}={trial}", remove=" ".join(REMOVE[software.kind]))
    return ["sh", "-c", script, "sh", *software.engine]


def end(software: Software, name: str) -> list[str]:
    """Return the command that ends a container, and removes it."""
    return [*software.engine, *REMOVE[software.kind], name]
