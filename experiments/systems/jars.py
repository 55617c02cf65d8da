"""Jars of Pekko Streams, Akka Streams, Flink, and Scala's compiler.

The versions are Pekko 1.4.0, Akka 2.6.20 (the last under the Apache licence), and Flink 2.3.0. They
come from two versions of one Python package, which an environment cannot hold side by side. They
are fetched once, by the hashes in jars.lock (0.56 GB), into a folder below .benchpaper/cache that
is named by the lock's content. Only the jars are kept. If they cannot be fetched, the capability
`flink_jars` is missing, and says why. To try again:

    .venv/bin/python -m experiments.systems.jars
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from contextlib import contextmanager
from pathlib import Path

from benchpaper import capability

LOCK = Path(__file__).with_suffix(".lock")
CACHE = Path(__file__).parents[2] / ".benchpaper" / "cache"
NEW, OLD = "2.3.0", "1.17.2"  # versions of the package: with Pekko and Flink, and with Akka
VERSIONS = {"pekko": "1.4.0", "akka": "2.6.20", "flink": NEW}
STREAMS = "flink-rpc-akka.jar"  # its name in both versions
FETCH_S = 900


class JarsMissing(RuntimeError):
    """The jars could not be fetched."""


def folder():
    """Return the folder of the jars; its name changes with the lock."""
    return CACHE / f"jars-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]}"


def path(name):
    """Return the jar "pekko", "akka", "flink" or "scala"."""
    return folder() / f"{name}.jar"


def present():
    """True if the jars have been fetched, and a power cut has left them whole."""
    return (folder() / "complete").exists() and all(
        zipfile.is_zipfile(jar) for jar in folder().glob("*.jar")
    )


def refused():
    """Return why the last fetch failed, or an empty string if none failed."""
    note = folder().with_suffix(".refused")
    return note.read_text().strip() if note.exists() and not present() else ""


@capability(
    "flink_jars",
    "the jars of Pekko, Akka and Flink, fetched once by hash (0.56 GB) when they are first needed",
    "let this machine reach its Python package index, "
    "then: .venv/bin/python -m experiments.systems.jars",
)
def _flink_jars():
    """Count jars as present until a fetch has failed: the step that compiles fetches them."""
    if reason := refused():
        return False, reason
    return True, "fetched" if present() else "not fetched yet"


def fetch():
    """Fetch what is missing and return `folder()`.

    Raises `JarsMissing` if that fails, and notes why.
    """
    with exclusive("jars"):
        if not present():
            note = folder().with_suffix(".refused")
            try:
                with tempfile.TemporaryDirectory(dir=CACHE) as work:
                    _fetch(Path(work))
            except (JarsMissing, OSError, KeyError, zipfile.BadZipFile, tarfile.TarError) as error:
                note.write_text(f"{error}\n")
                raise JarsMissing(str(error)) from None
            note.unlink(missing_ok=True)
    return folder()


@contextmanager
def exclusive(name):
    """Hold the cache's lock of that name, because several experiments are built at once."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / f"{name}.lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _fetch(work):
    (new,) = _download(work, NEW, ["--only-binary", ":all:"])
    (old,) = _download(work, OLD, ["--no-binary", ":all:", "--no-build-isolation"])
    ready = work / "ready"
    ready.mkdir()
    with zipfile.ZipFile(new) as wheel:
        flink = _member(wheel, rf"pyflink/lib/flink-dist-{re.escape(NEW)}\.jar")
        scala = _member(wheel, r"pyflink/lib/flink-scala_.*\.jar")
        _copy(wheel.open(flink), ready / "flink.jar")
        _copy(wheel.open(scala), ready / "scala.jar")
    with tarfile.open(old) as source:
        member = next(m for m in source if m.name.endswith(f"/flink-dist-{OLD}.jar"))
        _copy(source.extractfile(member), work / "old.jar")
    for whole, name in ((ready / "flink.jar", "pekko.jar"), (work / "old.jar", "akka.jar")):
        with zipfile.ZipFile(whole) as jar:
            _copy(jar.open(STREAMS), ready / name)
    (ready / "complete").touch()
    os.sync()  # later runs trust whatever has the name
    shutil.rmtree(folder(), ignore_errors=True)
    ready.rename(folder())


def _download(work, version, options):
    """Let pip fetch one version of the package by its hash; return the files."""
    target, lines = work / version, LOCK.read_text()
    chosen = re.search(rf"^\S+=={re.escape(version)} (?:.*\\\n)*.*$", lines, re.MULTILINE)
    if not chosen:
        raise JarsMissing(f"{LOCK.name} has no version {version}")
    requirement = work / f"{version}.txt"
    requirement.write_text(chosen.group(0) + "\n")
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--no-cache-dir",
        "--require-hashes",
        *options,
        "--dest",
        str(target),
        "--requirement",
        str(requirement),
    ]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=FETCH_S,
            env={**os.environ, "PIP_RETRIES": "1"},
        )
    except subprocess.TimeoutExpired:
        raise JarsMissing(
            f"fetching apache-flink-libraries {version} took over {FETCH_S} s"
        ) from None
    if done.returncode:
        said = [
            line for line in done.stderr.splitlines() if line.startswith("ERROR")
        ] or done.stderr.splitlines()[-1:]
        raise JarsMissing(
            f"pip could not fetch apache-flink-libraries {version}: {' '.join(said)[:300]}"
        )
    return list(target.iterdir())


def _member(archive, pattern):
    return next(name for name in archive.namelist() if re.fullmatch(pattern, name))


def _copy(source, target):
    with source, open(target, "wb") as file:
        shutil.copyfileobj(source, file, 1 << 20)


if __name__ == "__main__":
    try:
        print(f"the jars lie in {fetch()}")
    except JarsMissing as error:
        sys.exit(f"{error}")
