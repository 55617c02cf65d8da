"""Reads from git each time that a reference was measured.

The same trials in files of another schema are no new measurement: a measurement is known by the
start of its first trial.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from benchpaper.core.project import REFERENCE, Project
from benchpaper.core.revision import git, objects
from benchpaper.results import TRIALS, reference_log

PATHS = (f"artifacts/{REFERENCE}/*/{TRIALS}",)  # git's wildcard crosses folders
COLUMNS = ("started", "git_commit", "scale")


@dataclass(frozen=True)
class Measurement:
    """One measurement of a reference: site, scale, the start of its first trial (ISO 8601, UTC),
    the commits whose code it measured, the commit that added it, and why it was measured, as far
    as the log of the reference says."""

    site: str
    started: str
    scale: str
    commits: tuple[str, ...]
    added: str
    why: str = ""

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
    whys = {row.key: row.why for row in reference_log.read(project)}
    by_start: dict[tuple[str, str, str], Measurement] = {}
    for digest, content in objects(project, list(added)).items():
        path, commit = added[digest]
        _, _, site, *names, _ = path.split("/")
        if (measured := _measurement(content, site, commit)) is not None:
            name = "/".join(names)
            why = whys.get((site, name, measured.started), "")
            by_start.setdefault((name, site, measured.started), replace(measured, why=why))
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
    if not (started := reference_log.first_start(rows["started"])):  # imported results
        return None
    commits = sorted({each for each in rows["git_commit"] if each})
    return Measurement(site, started, str(rows["scale"][0]), tuple(commits), added)
