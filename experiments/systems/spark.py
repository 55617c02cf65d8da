"""Apache Spark as a streaming engine, in an environment of its own: its wheel has 400 MB.

It needs Java 17 or 21, and the connector for Kafka, which the wheel lacks:

    python3 -m venv .venv/spark
    .venv/spark/bin/pip install pyspark==4.0.0 obstore pyarrow
    for name in org.apache.spark:spark-sql-kafka-0-10_2.13:4.0.0 \\
        org.apache.spark:spark-token-provider-kafka-0-10_2.13:4.0.0 \\
        org.apache.kafka:kafka-clients:3.9.1 org.apache.commons:commons-pool2:2.12.0
    do mvn dependency:copy -Dartifact=$name -DoutputDirectory=.venv/spark/jars; done
    export BENCHPAPER_SPARK=$PWD/.venv/spark
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

from benchpaper import capability

NONE = "none"
VERSION = "from importlib.metadata import version; print(version('pyspark'))"
JARS = ("spark-sql-kafka", "spark-token-provider-kafka", "kafka-clients", "commons-pool2")
JAVAS = ("17", "21")


def prefix() -> Path | None:
    """Return the environment that holds Spark, or None."""
    chosen = os.environ.get("BENCHPAPER_SPARK")
    return Path(chosen).absolute() if chosen else None


def version() -> str:
    """Return Spark's version, or "none"."""
    home = prefix()
    if not home or not (home / "bin/python").exists():
        return NONE
    done = subprocess.run([home / "bin/python", "-c", VERSION], capture_output=True, text=True)
    return done.stdout.strip() or NONE


def jars() -> list[Path]:
    """Return the jars of the connector, in the folder `jars` of the environment."""
    home = prefix()
    return sorted((home / "jars").glob("*.jar")) if home else []


def missing() -> str:
    """Return what keeps Spark from running here, or an empty string."""
    if version() == NONE:
        return "BENCHPAPER_SPARK names no such environment"
    names = [path.name for path in jars()]
    for jar in JARS:
        if not any(name.startswith(jar) for name in names):
            return f"its folder jars has no {jar}"
    if _java() not in JAVAS:
        return f"the Java on PATH is {_java() or 'missing'}, and must be 17 or 21"
    return ""


def _java() -> str:
    """Return the major version of the Java on PATH, or an empty string."""
    if not shutil.which("java"):
        return ""
    said = subprocess.run(["java", "-version"], capture_output=True, text=True).stderr
    matched = re.search(r'version "(\d+)', said)
    return matched[1] if matched else ""


@capability(
    "spark",
    "Apache Spark with its connector for Kafka, in an environment of its own",
    "set BENCHPAPER_SPARK to that environment (experiments/systems/spark.py says how to make it)",
    on_controller=True,
)
def _spark() -> tuple[bool, str]:
    reason = missing()
    return not reason, reason or version()
