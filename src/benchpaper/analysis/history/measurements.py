"""Reads from git each time that a reference was measured.

The same trials in files of another schema are no new measurement: a measurement is known by the
start of its first trial.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchpaper.core.project import REFERENCE, Project
from benchpaper.core.revision import git, objects
from benchpaper.results import TRIALS

PATHS = (f"artifacts/{REFERENCE}/*/{TRIALS}",)  # git's wildcard crosses folders
COLUMNS = ("started", "git_commit", "scale")


@dataclass(frozen=True)
class Measurement:
    """One measurement of a reference: site, scale, the start of its first trial (ISO 8601, UTC),
    the commits whose code it measured, and the commit that added it."""

    site: str
    started: str
    scale: str
    commits: tuple[str, ...]
    added: str

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Measurement":
        """Return the measurement that `asdict` wrote."""
        return cls(**{**content, "commits": tuple(content["commits"])})


def of(project: Project) -> dict[str, Sequence[Measurement]]:
    """Return {experiment: its measurements, the oldest first} of all references ever committed."""
    log = git(
        project,
        *("log", "--reverse", "--topo-order", "--full-history", "-m", "--raw", "--no-abbrev"),
        *("--no-renames", "--format=commit %H", "--", *PATHS),
    )
    added: dict[str, tuple[str, str]] = {}  # {digest of a file: (its path, the commit)}
    commit = ""
    for line in log.splitlines():
        if line.startswith("commit "):
            commit = line.split()[1]
        elif line.startswith(":"):
            facts, _, path = line.partition("\t")
            added.setdefault(facts.split()[3], (path, commit))
    by_start: dict[tuple[str, str, str], Measurement] = {}
    for digest, content in objects(project, list(added)).items():
        path, commit = added[digest]
        _, _, site, *names, _ = path.split("/")
        if (measured := _measurement(content, site, commit)) is not None:
            by_start.setdefault(("/".join(names), site, measured.started), measured)
    times: dict[str, list[Measurement]] = {}
    for (name, _, _), measured in sorted(by_start.items()):
        times.setdefault(name, []).append(measured)
    return {name: tuple(sorted(some, key=_start)) for name, some in times.items()}


def _start(measured: Measurement) -> str:
    return measured.started


def _measurement(content: bytes, site: str, added: str) -> Measurement | None:
    """Return the measurement in a file of trials; None if it is not readable or has no trial."""
    import pyarrow.parquet as parquet
    from pyarrow.lib import ArrowException

    try:
        file = parquet.ParquetFile(io.BytesIO(content))
        columns = [name for name in COLUMNS if name in file.schema_arrow.names]
        table = file.read(columns=columns)
    except (ArrowException, OSError):
        return None
    if len(columns) < len(COLUMNS) or not table.num_rows:
        return None
    rows = table.to_pydict()
    starts = [each for each in rows["started"] if each is not None]
    if not starts:  # imported results
        return None
    commits = sorted({each for each in rows["git_commit"] if each})
    started = min(starts).isoformat(timespec="seconds")
    return Measurement(site, started, str(rows["scale"][0]), tuple(commits), added)
