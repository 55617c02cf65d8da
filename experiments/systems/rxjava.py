"""RxJava 3, from the system package librx-java."""

from pathlib import Path

from benchpaper import capability

JAR = Path("/usr/share/java/rxjava.jar")


@capability("rxjava", "RxJava 3", "install the package librx-java")
def _rxjava():
    return JAR.exists(), "librx-java" if JAR.exists() else "no rxjava.jar in /usr/share/java"


def version():
    """Return the version in the name of the file behind the link, or "none"."""
    return JAR.resolve().stem.rpartition("-")[2] if JAR.exists() else "none"
