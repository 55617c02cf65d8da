"""The build of the pipelines by Maven: jars of pinned versions, checked by digest, and our classes.

The first build reads Maven's repository over the network, into .benchpaper/cache/maven; later ones
are offline. A jar reaches a class path only with the digest that jars.lock has for it. To try a
failed build again, and to write jars.lock after a change of the versions in pom.xml:

    .venv/bin/python -m experiments.streaming.maven
    .venv/bin/python -m experiments.streaming.maven --lock
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchpaper import capability

HERE = Path(__file__).parent / "pipelines"
POM, LOCK = HERE / "pom.xml", HERE / "jars.lock"
CACHE = Path(__file__).parents[2] / ".benchpaper" / "cache"
ENGINES = ("pekko", "akka", "flink", "kafka")  # the modules of pom.xml, each with a class path
OURS = "pipelines.jar"
PEKKO, AKKA = "org.apache.pekko", "akka"
BUILD_S = 1500
COMPILER = "scala-maven-plugin"
REFUSED = re.compile(r"\.scala:\d+: ")  # the place that the compiler names; without a network, none


class JarsMissing(RuntimeError):
    """Maven could not bring the jars, or brought others than jars.lock names."""


def sources() -> list[Path]:
    """Return all files that the build reads, in order."""
    return sorted([*HERE.rglob("*.scala"), *HERE.rglob("pom.xml"), LOCK])


def version(name: str) -> str:
    """Return the pinned version of "pekko", "akka", "flink", "rxjava", "reactor", or "kafka"."""
    matched = re.search(rf"<{name}\.version>(.+)</{name}\.version>", POM.read_text())
    if not matched:
        raise KeyError(f"pom.xml pins no version of {name}")
    return matched[1]


def refused() -> str:
    """Return why the last build of these sources got no jars, or an empty string."""
    note = _note()
    return note.read_text().strip() if note.exists() else ""


@capability(
    "maven_jars",
    "the jars of Pekko, Akka, Flink, RxJava and Kafka, which Maven fetches once (0.3 GB)",
    "install maven, let this machine reach Maven's repository, "
    "then: .venv/bin/python -m experiments.streaming.maven",
    on_controller=True,
)
def _maven_jars() -> tuple[bool, str]:
    """Count jars as present until Maven has failed: the step that compiles fetches them."""
    if reason := refused():
        return False, reason
    if _complete().exists():
        return True, "fetched"
    present = shutil.which("mvn") is not None
    return present, "not fetched yet" if present else "no mvn on PATH"


def build(work: Path) -> Path:
    """Compile into folders below `work`; return their parent: one for each engine, full of jars.

    Raises `JarsMissing` without Maven, network, or the right jars, and notes why; `RuntimeError`
    with the compiler's words if it refuses our code.
    """
    with exclusive("maven"):
        try:
            ready = _build(work)
            check(ready)
        except JarsMissing as error:
            if not _complete().exists():
                _note().write_text(f"{error}\n")
                raise
            # What was fetched is damaged: fetch it again.
            shutil.rmtree(CACHE / "maven")
            shutil.rmtree(work / "ready", ignore_errors=True)
            return _fetched_again(work)
        _done()
        return ready


def _fetched_again(work: Path) -> Path:
    try:
        ready = _build(work)
        check(ready)
    except JarsMissing as error:
        _note().write_text(f"{error}\n")
        raise
    _done()
    return ready


def _done() -> None:
    os.sync()  # later builds trust the repository once the mark is there
    _complete().parent.mkdir(exist_ok=True)
    _complete().touch()
    _note().unlink(missing_ok=True)


@contextmanager
def exclusive(name: str) -> Iterator[None]:
    """Hold the cache's lock of that name, because several experiments are built at once."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / f"{name}.lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _digest() -> str:
    parts = [path.read_bytes() for path in sorted([*HERE.rglob("pom.xml"), LOCK]) if path.exists()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]


def _complete() -> Path:
    return CACHE / "maven" / f"complete-{_digest()}"


def _note() -> Path:
    return CACHE / f"maven-{_digest()}.refused"


def _build(work: Path) -> Path:
    """Run Maven; return the folder of class paths, unchecked."""
    if not shutil.which("mvn"):
        raise JarsMissing("no mvn on PATH")
    work = work.resolve()  # Maven would take it relative to its file
    ready, akka = work / "ready", work / "akka-sources"
    akka.mkdir(exist_ok=True)
    for source in (HERE / "stream").glob("*.scala"):
        (akka / source.name).write_text(source.read_text().replace(PEKKO, AKKA))
    command = [
        "mvn",
        "--batch-mode",
        "--quiet",
        "--strict-checksums",
        *(["--offline"] if _complete().exists() else []),
        f"--file={POM}",
        f"-Dmaven.repo.local={CACHE / 'maven'}",
        f"-Doutput={ready}",
        f"-Dakka.sources={akka}",
        "package",
    ]
    environment = {
        **os.environ,
        "MAVEN_OPTS": "-Xmx1g -Xss4m -XX:+UseSerialGC -XX:TieredStopAtLevel=1",
    }
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=BUILD_S, env=environment
        )
    except subprocess.TimeoutExpired:
        raise JarsMissing(f"Maven took over {BUILD_S} s") from None
    if done.returncode:
        said = done.stdout + done.stderr
        words = " ".join(line for line in said.splitlines() if "ERROR" in line)
        if f"Failed to execute goal net.alchim31.maven:{COMPILER}" in said and REFUSED.search(said):
            raise RuntimeError(f"the Scala compiler refused the pipelines: {words[:3000]}")
        raise JarsMissing(f"Maven failed: {words[:300] or said.strip()[-300:]}")
    shutil.rmtree(ready / "work", ignore_errors=True)
    return ready


def jars(folder: Path) -> dict[str, str]:
    """Return {name: SHA-256} of the jars of others in all class paths below `folder`."""
    matched: dict[str, str] = {}
    for path in sorted(folder.glob("*/*.jar")):
        if path.name != OURS:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            if matched.setdefault(path.name, digest) != digest:
                raise JarsMissing(f"two different jars have the name {path.name}")
    return matched


def check(folder: Path) -> None:
    """Raise `JarsMissing` unless every jar is in jars.lock with its digest, and ours are whole."""
    locked = {
        name: digest for digest, name in (line.split() for line in LOCK.read_text().splitlines())
    }
    for name, digest in jars(folder).items():
        if name not in locked:
            raise JarsMissing(f"{name} is not in {LOCK.name}")
        if digest != locked[name]:
            raise JarsMissing(f"{name} has another digest than in {LOCK.name}")
    for engine in ENGINES:
        if not list((folder / engine).glob("*.jar")):
            raise JarsMissing(f"Maven left no jar for {engine}")


def whole(folder: Path) -> bool:
    """True if a power cut has left every jar below `folder` whole."""
    return all(map(zipfile.is_zipfile, folder.glob("*/*.jar"))) and all(
        list((folder / engine).glob("*.jar")) for engine in ENGINES
    )


def _main(words: list[str]) -> None:
    with tempfile.TemporaryDirectory() as work:
        if words == ["--lock"]:
            matched = jars(_build(Path(work)))
            LOCK.write_text("".join(f"{digest}  {name}\n" for name, digest in matched.items()))
            print(f"{LOCK.name} has the digests of {len(matched)} jars")
        else:
            build(Path(work))
            print("Maven has fetched all jars, and each has its digest")


if __name__ == "__main__":
    try:
        _main(sys.argv[1:])
    except (JarsMissing, RuntimeError) as error:
        sys.exit(str(error))
