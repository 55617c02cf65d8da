"""`benchpaper import`: results that others measured, as results in the state "imported".

The reference of the experiment holds four files: a copy of the table, the record of the import, and
the two Parquet files, which follow from table and record alone. So `verify` can make them again.
"""

import hashlib
import json
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchpaper import results
from benchpaper.core.atomic_write import flush, replacing
from benchpaper.core.errors import UserError
from benchpaper.core.project import REFERENCE, Project
from benchpaper.design import catalog
from benchpaper.design.declarations import make_cell
from benchpaper.design.plan import digest
from benchpaper.design.spec import Experiment
from benchpaper.results.import_map import ImportedRow, imported_rows
from benchpaper.results.import_record import (
    RECORD,
    ImportRecord,
    ImportRefused,
    read_record,
    record_of,
)
from benchpaper.results.import_table import FORMATS, MAX_TABLE_BYTES, read_table

ROLE = "original"  # of the host that measured
TABLE = "table"  # the stem of the copy's name
Rows = list[dict[str, Any]]


def read(path: Path) -> bytes:
    """Return the bytes of a table to import. Raises `ImportRefused`."""
    if path.suffix.lower() not in FORMATS:
        raise ImportRefused(f"{path.name} must be one of {', '.join(FORMATS)}; convert it")
    if not path.is_file():
        raise ImportRefused(
            f"{path.name} does not exist, or is not a file; name the table to import"
        )
    if (size := path.stat().st_size) > MAX_TABLE_BYTES:
        raise ImportRefused(
            f"{path.name} has {size:,} bytes, and {MAX_TABLE_BYTES:,} are the most; "
            "import the rows that the paper uses"
        )
    return path.read_bytes()


def save(project: Project, site: str, record: ImportRecord, data: bytes) -> list[Path]:
    """Write table, record, and results to the reference of `site`; return their paths.

    `data` are the bytes of the table. An earlier import is replaced. Raises `UserError`, and
    writes nothing, for the first mistake, and if measured results are there.
    """
    experiment = catalog.load(project, record.experiment)
    folder = project.results(site, REFERENCE) / record.experiment
    _check_free(folder, record.experiment)
    made = make(experiment.describe(), record, data, site)
    _check_valid(experiment, made[results.TRIALS])
    described = description(experiment.describe(), record)
    with ExitStack() as all_at_once:  # each is replaced as a whole, when all are on disk
        texts = {record.table: data, RECORD: as_text(record)}
        for name, content in texts.items():
            part = all_at_once.enter_context(replacing(folder / name))
            part.write_bytes(content)
            flush(part)
        for kind, rows in made.items():
            part = all_at_once.enter_context(replacing(folder / kind))
            results.write(part, rows, described, kind.split(".")[0])
            flush(part)
    for name in (f"{TABLE}{ending}" for ending in FORMATS):
        if name != record.table:  # that of an earlier import
            (folder / name).unlink(missing_ok=True)
    return [folder / name for name in (*texts, *made)]


def collect(project: Project, site: str, scale: str, name: str) -> None:
    """Write imported results next to those measured at a scale: the same at every scale."""
    record, data = recorded(project, site, name)
    declared = catalog.load(project, name).describe()
    folder = project.results(site, scale) / name
    for kind, rows in make(declared, record, data, site).items():
        results.write(folder / kind, rows, description(declared, record), kind.split(".")[0])


def sources(project: Project, site: str, name: str) -> list[Path]:
    """Return the files from which imported results follow: the record, and the table.

    Raises `UserError` if nothing was imported.
    """
    folder = project.results(site, REFERENCE) / name
    if not (folder / RECORD).exists():
        raise ImportRefused(
            f"{name} has neither a trial nor imported results for site {site}; "
            f"give it a trial, or benchpaper import TABLE --experiment {name} ..."
        )
    return [folder / RECORD, folder / read_record(folder / RECORD).table]


def recorded(project: Project, site: str, name: str) -> tuple[ImportRecord, bytes]:
    """Return the record of an import, and the bytes of its table, after checking their digest."""
    record_path, table = sources(project, site, name)
    record = read_record(record_path)
    return record, checked(record, table, name)


def checked(record: ImportRecord, table: Path, name: str) -> bytes:
    """Return the bytes of the recorded table. Raises `ImportRefused` if they have changed."""
    if record.experiment != name or Path(record.table).name != record.table:
        raise ImportRefused(f"{RECORD} of {name} is of {record.experiment}; import again")
    if not table.is_file():
        raise ImportRefused(f"{table.name} of {name} is gone; restore it, or import again")
    data = table.read_bytes()
    if (actual := hashlib.sha256(data).hexdigest()) != record.sha256:
        raise ImportRefused(
            f"{table.name} of {name} has the SHA-256 {actual[:16]}…, and {RECORD} says "
            f"{record.sha256[:16]}…: it has changed since the import; restore it, or import again"
        )
    return data


def flaw(project: Project, site: str, experiment: Experiment) -> str:
    """Return why imported reference results are not what table, record, and declaration give."""
    folder = project.results(site, REFERENCE) / experiment.name
    try:
        record, data = recorded(project, site, experiment.name)
        declared = experiment.describe()
        make(declared, record, data, site)
        for kind in (results.TRIALS, results.OBSERVATIONS):
            then = results.read(folder / kind)[1]
            if not _within(then, plain(description(declared, record))):
                return f"{experiment.name}: its declaration or {RECORD} changed; import again"
    except UserError as error:
        return f"{experiment.name}: {error}"
    return ""


def make(
    declared: Mapping[str, Any], record: ImportRecord, data: bytes, site: str
) -> dict[str, Rows]:
    """Return {kind: rows} of both results files, from a declaration, a record, and a table.

    What nobody knows of the original trials is null. Raises `ImportRefused`.
    """
    table = read_table(record.table, data)
    if len(table.rows) != record.rows:
        raise ImportRefused(f"{RECORD} counts {record.rows} rows, and the table has others")
    rows = imported_rows(declared, record, table)
    positions = _positions(rows)
    cells = [make_cell(row.levels).id for row in rows]
    plan = digest(
        (row.block, position, 0, cell)
        for row, position, cell in zip(rows, positions, cells, strict=True)
    )
    trials, observations = [], []
    for row, position, cell in zip(rows, positions, cells, strict=True):
        identity = {"block": row.block, "position": position, "cell": cell, "twin": False}
        same = {**identity, **row.levels}
        trials.append({**same, **_unknown(record, site), "plan_digest": plan})
        observations.append({**same, "row": 0, **row.observation.to_json()})
    return {results.OBSERVATIONS: observations, results.TRIALS: trials}


def description(declared: Mapping[str, Any], record: ImportRecord) -> dict[str, Any]:
    """Return the description of an experiment's imported results, for their metadata."""
    return {**declared, results.IMPORTED: record.to_json()}


def as_text(record: ImportRecord) -> bytes:
    """Return the content of the record's file."""
    return (json.dumps(record.to_json(), indent=1, ensure_ascii=False) + "\n").encode()


def plain(content: Mapping[str, Any]) -> Any:
    """Return a content as JSON would give it back, with lists for tuples."""
    return json.loads(json.dumps(content))


def _within(then: Any, now: Any) -> bool:
    """Return whether all that a description said holds now; newer versions may say more."""
    if isinstance(then, dict) and isinstance(now, dict):
        return all(key in now and _within(then[key], now[key]) for key in then)
    if isinstance(then, list) and isinstance(now, list):
        return len(then) == len(now) and all(map(_within, then, now))
    return bool(then == now)


def _check_free(folder: Path, name: str) -> None:
    trials = folder / results.TRIALS
    if trials.exists() and record_of(results.read_description(trials)) is None:
        raise ImportRefused(
            f"artifacts/reference has measured results of {name}, which an import never replaces; "
            "remove them first, or import as another experiment"
        )


def _check_valid(experiment: Experiment, trials: Rows) -> None:
    """Raise `ImportRefused` for a cell that the experiment declares invalid."""
    for trial in trials:
        cell = make_cell({factor.name: trial[factor.name] for factor in experiment.factors})
        if not experiment.is_valid(cell):
            raise ImportRefused(
                f"the table has {cell.id}, which valid() of {experiment.name} excludes; "
                "leave those rows out, or correct valid()"
            )


def _positions(rows: list[ImportedRow]) -> list[int]:
    counts: dict[int, int] = {}
    positions = []
    for row in rows:
        positions.append(counts.get(row.block, 0))
        counts[row.block] = positions[-1] + 1
    return positions


def _unknown(record: ImportRecord, site: str) -> dict[str, Any]:
    """Return what the table of trials says of every imported trial."""
    return {
        "experiment": record.experiment,
        "site": site,
        "scale": results.IMPORTED,
        "seed": 0,
        "state": results.IMPORTED,
        "reason": "",
        "attempts": [],
        "commands": [],
        "code_digest": "",
        "git_commit": "",
        "git_clean": False,
        "tools": {},
        "hosts": {f"{ROLE}.{name}": value for name, value in record.machine.items()},
        "capabilities": [],
    }
