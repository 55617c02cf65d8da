"""Write, read, and collect results as Parquet files."""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from benchpaper.core.atomic_write import replacing
from benchpaper.core.errors import UserError
from benchpaper.core.project import REFERENCE, Project
from benchpaper.results import accepted
from benchpaper.results.records import TrialRecord
from benchpaper.results.schema import (
    SCHEMA_VERSION,
    TRIAL,
    Described,
    columns,
    schema,
    schema_version,
)
from benchpaper.results.states import IMPORTED

OWN_OF_TRIAL = frozenset(column.name for column in TRIAL)
OBSERVATIONS, TRIALS = "observations.parquet", "trials.parquet"
JOURNALS = "journals"  # in a description: {number of a block: the key of its journal}
ENVIRONMENTS = "environments"  # in a description: [{role, name, identity, contents}]
INPUTS = "inputs"  # in a description: [{path, sha256, bytes, files, url, doi, licence}]


class ResultsError(UserError):
    """A results file that is missing, broken, or of another schema."""


def write(path: Path | str, rows: list[dict[str, Any]], described: Described, table: str) -> None:
    """Write the rows of a table ("observations" or "trials"). A reader never sees half a file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = Path(path)
    arrow = pa.Table.from_pylist(rows, schema=schema(described, table))
    with replacing(path) as part, open(part, "wb") as file:
        pq.write_table(
            arrow, file, compression="zstd", compression_level=9, write_page_checksum=True
        )


def read(path: Path | str) -> tuple[Any, dict[str, Any]]:
    """Return (Arrow table, the experiment's description).

    Raises `ResultsError`, which names the file and the cause.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = Path(path)
    if not path.exists():
        raise ResultsError(
            f"results file {_short(path)} does not exist; measure first (./reproduce)"
        )
    try:
        with open(path, "rb") as file:
            # In this thread only: a thread of Arrow's that holds the file at exit aborts the
            # program.
            table = pq.ParquetFile(file, page_checksum_verification=True, pre_buffer=False).read(
                use_threads=False
            )
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _unreadable(path, str(error).splitlines()[0]) from None
    metadata = table.schema.metadata or {}
    version = metadata.get(b"benchpaper.schema", b"none").decode(errors="replace")
    if version not in map(str, range(1, SCHEMA_VERSION + 1)):
        raise ResultsError(
            f"results file {_short(path)} has schema version {version}, but this program reads "
            f"1 to {SCHEMA_VERSION}; measure again, or use the version of benchpaper that wrote it"
        )
    described = _description(path, table)
    if IMPORTED in described and version != str(schema_version(described)):
        raise _unreadable(path, f"its schema version {version} is not that of its description")
    return table, described


def read_columns(path: Path | str, names: list[str]) -> list[dict[str, Any]]:
    """Return the rows of some columns, without a check of the rest. Raises `ResultsError`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = Path(path)
    try:
        with open(path, "rb") as file:
            table = pq.ParquetFile(file, pre_buffer=False).read(names, use_threads=False)
            rows: list[dict[str, Any]] = table.to_pylist()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _unreadable(path, str(error).splitlines()[0]) from None
    return rows


def read_description(path: Path | str) -> dict[str, Any]:
    """Return an experiment's description from the end of a results file, without reading its rows.

    What a power cut leaves has no whole end. Raises `ResultsError`.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = Path(path)
    try:
        with open(path, "rb") as file:
            metadata = pq.read_schema(file).metadata or {}
        known: dict[str, Any] = json.loads(metadata[b"benchpaper.experiment"])
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise _unreadable(path, str(error).splitlines()[0]) from None
    return known


def _description(path: Path, table: Any) -> dict[str, Any]:
    """Return the experiment's description from the file's metadata, and check the columns."""
    try:
        known: dict[str, Any] = json.loads(table.schema.metadata[b"benchpaper.experiment"])
        kind = "trials" if path.name.endswith(TRIALS) else "observations"
        wanted = [column.name for column in columns(known, kind) if not column.optional]
    except (KeyError, TypeError, ValueError):
        raise _unreadable(path, "it lacks the description of its experiment") from None
    if missing := [name for name in wanted if name not in table.column_names]:
        raise _unreadable(path, f"it lacks the column {', '.join(missing)}")
    return known


def _unreadable(path: Path, why: str) -> ResultsError:
    way_out = "remove it, and the next run rebuilds it from the journal"
    if REFERENCE in path.parts:
        way_out = "it is part of the artifact: restore it (git checkout artifacts/reference)"
    return ResultsError(f"results file {_short(path)} cannot be read ({why}); {way_out}")


def write_block(
    folder: Path | str, block: int, records: Iterable[TrialRecord], described: Described
) -> None:
    """Write one block's trials and observations below `folder`."""
    names = [
        column.name for column in columns(described, "trials") if column.name not in OWN_OF_TRIAL
    ]
    trials, rows = [], []
    for record in records:
        trial = record.to_json()
        identity = {name: trial[name] for name in names}
        rows += [
            {**identity, "row": row, **observation.pop("within", {}), **observation}
            for row, observation in enumerate(trial["observations"])
        ]
        trials.append({**trial, "started": int(record.started * 1e6)})
    write(block_file(folder, block, OBSERVATIONS), rows, described, "observations")
    write(block_file(folder, block, TRIALS), trials, described, "trials")


def records_of(files: Iterable[Path], block: int) -> list[TrialRecord]:
    """Return the records of a block, as the journal holds them.

    `files` are its observations and its trials, or those of all blocks, collected. Samples have the
    precision of the results. Raises `ResultsError`.
    """
    tables = [read(path) for path in files]
    observations, trials = (
        [row for row in table.to_pylist(maps_as_pydicts="strict") if row["block"] == block]
        for table, _ in tables
    )
    inner = [factor["name"] for factor in tables[0][1].get("within", [])]
    by_cell: dict[str, list[dict[str, Any]]] = {}
    for row in sorted(observations, key=lambda row: row["row"]):
        by_cell.setdefault(row["cell"], []).append(row)
    return [
        TrialRecord.from_json(
            {
                **trial,
                "started": trial["started"].timestamp(),
                "observations": [
                    _nested(row, trial, inner) for row in by_cell.get(trial["cell"], [])
                ],
            }
        )
        for trial in trials
    ]


def _nested(
    row: Mapping[str, Any], trial: Mapping[str, Any], inner: Collection[str]
) -> dict[str, Any]:
    """Return a row of observations as `Observation.to_json` has it."""
    within = {name: row[name] for name in inner if row[name] is not None}
    own = {
        name: value
        for name, value in row.items()
        if name not in trial and name not in inner and name != "row"
    }
    return {"within": within, **own} if within else own


def block_file(folder: Path | str, block: int, kind: str) -> Path:
    """Return the path of one block's file; `kind` is `OBSERVATIONS` or `TRIALS`."""
    return Path(folder) / "blocks" / f"{block:03d}.{kind}"


def collect(folder: Path | str, blocks: int, blocks_fixed: Mapping[str, Any] | None = None) -> None:
    """Join the blocks' files below `folder` into one file per table, sorted by block and position.

    `blocks` is their number. The description notes `blocks_fixed`, if given: how the number of
    blocks was fixed after a pilot. Raises `ResultsError` if different code or different plans
    produced the blocks.
    """
    import pyarrow as pa

    by_kind = {
        kind: [read(block_file(folder, block, kind)) for block in range(blocks)]
        for kind in (OBSERVATIONS, TRIALS)
    }
    changes = accepted.read(Path(folder))
    for column, what in (("plan_digest", "plans"), ("code_digest", "versions of the code")):
        different = {
            value
            for table, _ in by_kind[TRIALS]
            for value in table.column(column).unique().to_pylist()
        }
        if column == "code_digest" and different <= accepted.same_as(changes, min(different)):
            continue
        if len(different) > 1:
            raise ResultsError(
                f"blocks in {_short(Path(folder))} belong to {len(different)} {what}; "
                "run again to measure them alike"
            )
    if len({_inputs(described) for _, described in by_kind[TRIALS]}) > 1:
        raise ResultsError(
            f"blocks in {_short(Path(folder))} come from different inputs; "
            "run again to measure them alike"
        )
    for kind, files in by_kind.items():
        described = files[-1][1] | ({"blocks_fixed": blocks_fixed} if blocks_fixed else {})
        if keys := {
            key: value for _, of_block in files for key, value in of_block.get(JOURNALS, {}).items()
        }:
            described[JOURNALS] = keys
        table = pa.concat_tables([table for table, _ in files], promote_options="default")
        table = table.sort_by([("block", "ascending"), ("position", "ascending")])
        rows = table.to_pylist(maps_as_pydicts="strict")
        write(Path(folder) / kind, rows, described, kind.split(".")[0])


def _inputs(described: Described) -> tuple[tuple[str, str], ...]:
    return tuple((item["path"], item["sha256"]) for item in described.get(INPUTS, ()))


def stored_sites(project: Project, experiment: str) -> dict[str, Path]:
    """Return {site: folder of its reference results} of the sites with results of an experiment."""
    folders = sorted(project.results("x", REFERENCE).parent.glob("*/"))
    return {path.name: path for path in folders if (path / experiment / TRIALS).exists()}


def file_digest(path: Path | str) -> str:
    """Return the SHA-256 of a file, as hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _short(path: Path) -> str:
    """Return the path below the project: enough to find it, without this machine's folders."""
    for top in ("artifacts", "results"):
        if top in path.parts:
            return "/".join(path.parts[-1 - path.parts[::-1].index(top) :])
    return "/".join(path.parts[-4:])
