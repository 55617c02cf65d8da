"""The Parquet schema, and writing and reading it.

Two tables per experiment: observations (what each trial measured) and trials (one record per trial, measured or
not). Every column of the framework stands in one registry with its type, unit and meaning; factors, metrics and
evidence add columns declared by the experiment. All of it is written into the file's own metadata, so that a file
explains itself.

A metric of which all samples are kept is stored as a distribution: pairs of a value and its count, values rounded
to `SUB_BUCKETS` steps per power of two, as in an HDR histogram (Tene, hdrhistogram.org), so that a quantile is
known to within 0.05 % whatever the number of samples.
"""

import hashlib
import json
import math
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchpaper.core.errors import UserError, did_you_mean
from benchpaper.core.project import REFERENCE

SCHEMA_VERSION = 1
SUB_BUCKETS = 1024
RAW_BOUND = 64  # up to so many samples are kept as they are
LARGEST = float(np.finfo(np.float32).max)
OBSERVATIONS, TRIALS = "observations.parquet", "trials.parquet"
MEASURED, FAILED, NOT_TESTABLE = "measured", "failed", "not testable here"


class ResultsError(UserError):
    """A results file that is missing, broken, or of another schema."""


class InvalidObservation(Exception):
    """A trial's observation that breaks the declared schema; the text names column and rule."""


@dataclass(frozen=True)
class Column:
    """One column: Arrow type (as text), unit ("" for none) and meaning. Files from before an `optional` column was
    thought of lack it: unknown."""

    name: str
    type: str
    unit: str
    meaning: str
    optional: bool = False


IDENTITY = (
    Column("block", "int32", "", "repetition of the whole experiment, from 0"),
    Column("position", "int32", "", "place of the trial in the random order of its block, from 0"),
    Column("cell", "string", "", "the cell: one level of each factor, as text"),
    Column(
        "twin", "bool", "", "whether this is the second name of the noisiest cell (A against A)"
    ),
)
OBSERVATION = (Column("row", "int32", "", "number of the observation within its trial, from 0"),)
TRIAL = (
    Column("experiment", "string", "", "name of the experiment"),
    Column("site", "string", "", "named set of target hosts"),
    Column("scale", "string", "", "smoke, quick or full"),
    Column("seed", "int64", "", "seed of the trial's own random choices"),
    Column("state", "string", "", f"{MEASURED}, {FAILED} or {NOT_TESTABLE}"),
    Column("reason", "string", "", "why it failed or was not testable; empty when measured"),
    Column("attempts", "attempts", "", "each try: when it started, seconds, outcome, message"),
    Column("started", "timestamp[us, tz=UTC]", "", "start of the last attempt"),
    Column("seconds", "float64", "s", "duration of the last attempt"),
    Column("overhead_s", "float64", "s", "time that the framework added around the attempts"),
    Column(
        "paused_s",
        "float64",
        "s",
        "gap before this trial because the run was interrupted within the block",
    ),
    Column(
        "suspended_s",
        "float64",
        "s",
        "time the machine, or a process of the trial, was suspended during the trial",
    ),
    Column(
        "steal_s",
        "float64",
        "s",
        "CPU time taken by the hypervisor during the trial, over all CPUs",
    ),
    Column("load_1m", "float64", "1", "load average over one minute, at the start"),
    Column(
        "swapped_mb",
        "float64",
        "MB",
        "pages swapped in and out on the machine during the trial",
        optional=True,
    ),
    Column(
        "throttled_s",
        "float64",
        "s",
        "time that a CPU quota held this control group back in the trial",
        optional=True,
    ),
    Column(
        "overheated",
        "int64",
        "",
        "thermal throttling events during the trial, over all CPUs",
        optional=True,
    ),
    Column(
        "commands", "commands", "", "command lines in order: host, arguments, exit status; redacted"
    ),
    Column("code_digest", "string", "", "SHA-256 of everything the experiment runs"),
    Column("plan_digest", "string", "", "SHA-256 of the plan that the trial belongs to"),
    Column("git_commit", "string", "", "commit of the checkout"),
    Column("git_clean", "bool", "", "whether the checkout had no changes"),
    Column("tools", "map", "", "versions of the tools used"),
    Column("hosts", "map", "", "facts of the host in each role: `role.fact`"),
    Column("capabilities", "list<string>", "", "what the hosts could do"),
)


def _arrow(type_name):
    import pyarrow as pa

    special = {
        "attempts": pa.list_(
            pa.struct(
                [
                    ("started", pa.float64()),
                    ("seconds", pa.float64()),
                    ("outcome", pa.string()),
                    ("message", pa.string()),
                ]
            )
        ),
        "commands": pa.list_(
            pa.struct(
                [("host", pa.string()), ("argv", pa.list_(pa.string())), ("status", pa.int32())]
            )
        ),
        "map": pa.map_(pa.string(), pa.string()),
        "list<string>": pa.list_(pa.string()),
        "timestamp[us, tz=UTC]": pa.timestamp("us", tz="UTC"),
        "distribution": pa.struct(
            [("values", pa.list_(pa.float32())), ("counts", pa.list_(pa.int32()))]
        ),
    }
    return special[type_name] if type_name in special else pa.type_for_alias(type_name)


def columns(described, table):
    """Return the `Column`s of one table ("observations" or "trials") of an experiment's description."""
    types = {str: "string", bool: "bool", int: "int64", float: "float64"}
    factors = [
        Column(f["name"], types[type(f["levels"][0])], f["unit"], f["meaning"])
        for f in described["factors"]
    ]
    if table == "trials":
        return [*IDENTITY, *factors, *TRIAL]
    metrics = [
        Column(
            m["name"],
            "distribution" if m["kept"] == "all samples" else "float64",
            m["unit"],
            m["meaning"],
        )
        for m in described["metrics"]
    ]
    evidence = [Column(e["name"], "string", "", e["meaning"]) for e in described["evidence"]]
    return [*IDENTITY, *factors, *OBSERVATION, *metrics, *evidence]


def schema(described, table):
    """Return the Arrow schema of one table, units and meanings in the fields' metadata."""
    import pyarrow as pa

    fields = [
        pa.field(c.name, _arrow(c.type), metadata={"unit": c.unit, "meaning": c.meaning})
        for c in columns(described, table)
    ]
    about = {
        "benchpaper.schema": str(SCHEMA_VERSION),
        "benchpaper.experiment": json.dumps(described),
    }
    return pa.schema(fields, metadata=about)


def distribution(samples):
    """Return samples as {"values": [...], "counts": [...]}, values ascending.

    Up to `RAW_BOUND` samples keep their value (as float32); more are rounded to `SUB_BUCKETS` steps per power of
    two, a relative error of at most 1/2048. Raises `InvalidObservation` for none, NaN or infinity.
    """
    samples = np.asarray(samples, dtype=np.float64).ravel()
    if not samples.size:
        raise InvalidObservation("has no samples")
    fine = np.isfinite(samples) & (np.abs(samples) <= LARGEST)
    if not fine.all():
        raise InvalidObservation(
            f"holds {int((~fine).sum())} samples that are not finite numbers up to {LARGEST:.1e}"
        )
    if samples.size > RAW_BOUND:
        mantissa, exponent = np.frexp(samples)
        samples = np.ldexp(np.rint(mantissa * (2 * SUB_BUCKETS)) / (2 * SUB_BUCKETS), exponent)
    values, counts = np.unique(samples.astype(np.float32), return_counts=True)
    return {"values": values.tolist(), "counts": counts.tolist()}


def check_observation(described, observation):
    """Return a trial's observation ready to be stored, distributions compressed.

    Raises `InvalidObservation` for a missing or undeclared column, a wrong type, NaN, or a value below the
    metric's minimum.
    """
    if not isinstance(observation, dict):
        raise InvalidObservation(
            f"a trial yields dicts of metrics, not {type(observation).__name__}"
        )
    metrics = {m["name"]: m for m in described["metrics"]}
    evidence = [e["name"] for e in described["evidence"]]
    for name in observation:
        if name not in metrics and name not in evidence:
            known = [*metrics, *evidence]
            raise InvalidObservation(
                f'column "{name}" is not declared{did_you_mean(name, known)}; declare it or drop it'
            )
    checked = {
        name: _checked_metric(metric, observation.get(name)) for name, metric in metrics.items()
    }
    for name in evidence:
        if not isinstance(observation.get(name), str):
            raise InvalidObservation(
                f'evidence "{name}" must be text, not {observation.get(name)!r}'
            )
        checked[name] = observation[name]
    return checked


def _checked_metric(metric, value):
    name = metric["name"]
    if value is None:
        if metric["optional"]:
            return None
        raise InvalidObservation(f'metric "{name}" is missing; yield it, or declare it optional')
    if metric["kept"] == "all samples":
        try:
            if isinstance(value, (str, bytes)):
                raise TypeError
            stored = distribution(value)
        except InvalidObservation as error:
            raise InvalidObservation(f'metric "{name}" {error}') from None
        except (TypeError, ValueError):
            raise InvalidObservation(f'metric "{name}" must be an array of numbers') from None
        least = stored["values"][0]
    else:
        if (
            isinstance(value, bool)
            or not isinstance(value, (int, float, np.number))
            or not math.isfinite(value)
        ):
            raise InvalidObservation(f'metric "{name}" must be a finite number, not {value!r}')
        stored = least = float(value)
    if metric["minimum"] is not None and least < metric["minimum"]:
        raise InvalidObservation(
            f'metric "{name}": {least:g} {metric["unit"]} is below its minimum {metric["minimum"]:g}'
        )
    return stored


def write(path, rows, described, table):
    """Write rows (dicts) as Parquet: to a temporary file, then renamed, so that a reader never sees half a file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    arrow = pa.Table.from_pylist(rows, schema=schema(described, table))
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            pq.write_table(
                arrow, file, compression="zstd", compression_level=9, write_page_checksum=True
            )
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def read(path):
    """Return (Arrow table, the experiment's description). Raises `ResultsError` naming file and cause."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = Path(path)
    if not path.exists():
        raise ResultsError(
            f"results file {_short(path)} does not exist; measure first (./reproduce)"
        )
    try:
        with open(path, "rb") as file:
            # In this thread alone: one of Arrow's that still held the file at the program's end would abort it.
            table = pq.ParquetFile(file, page_checksum_verification=True, pre_buffer=False).read(
                use_threads=False
            )
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _unreadable(path, str(error).splitlines()[0]) from None
    about = table.schema.metadata or {}
    version = about.get(b"benchpaper.schema", b"none").decode(errors="replace")
    if version != str(SCHEMA_VERSION):
        raise ResultsError(
            f"results file {_short(path)} has schema version {version}, but this program reads {SCHEMA_VERSION}; "
            "measure again, or use the version of benchpaper that wrote it"
        )
    return table, _description(path, table)


def _description(path, table):
    """Return what the experiment declared, from the file's own metadata, when the table has the columns of it."""
    try:
        described = json.loads(table.schema.metadata[b"benchpaper.experiment"])
        kind = "trials" if path.name.endswith(TRIALS) else "observations"
        wanted = [column.name for column in columns(described, kind) if not column.optional]
    except (KeyError, TypeError, ValueError):
        raise _unreadable(path, "it lacks the description of its experiment") from None
    if missing := [name for name in wanted if name not in table.column_names]:
        raise _unreadable(path, f"it lacks the column {', '.join(missing)}")
    return described


def _unreadable(path, why):
    way_out = "remove it, and the next run rebuilds it from the journal"
    if REFERENCE in path.parts:
        way_out = "it is part of the artifact: restore it (git checkout artifacts/reference)"
    return ResultsError(f"results file {_short(path)} cannot be read ({why}); {way_out}")


def write_block(folder, block, records, described):
    """Write one block's trials and observations below `folder`. `records` come from the journal: each has the
    columns of a trial and its "observations", a list of checked observations."""
    rows = []
    for record in records:
        same = {
            name: record[name]
            for name in (*(c.name for c in IDENTITY), *(f["name"] for f in described["factors"]))
        }
        rows += [
            {**same, "row": row, **observed} for row, observed in enumerate(record["observations"])
        ]
    write(block_file(folder, block, OBSERVATIONS), rows, described, "observations")
    trials = [{**record, "started": int(record["started"] * 1e6)} for record in records]
    write(block_file(folder, block, TRIALS), trials, described, "trials")


def block_file(folder, block, kind):
    """Return the path of one block's file, `kind` being `OBSERVATIONS` or `TRIALS`."""
    return Path(folder) / "blocks" / f"{block:03d}.{kind}"


def collect(folder, blocks, blocks_fixed=None):
    """Join the blocks' files below `folder` into one observations and one trials file, sorted by block and position.
    `blocks_fixed`, if given, is noted in the description: how the number of blocks was fixed after a pilot.

    Raises `ResultsError` when the blocks were not measured by the same code and plan.
    """
    import pyarrow as pa

    found = {
        kind: [read(block_file(folder, block, kind)) for block in range(blocks)]
        for kind in (OBSERVATIONS, TRIALS)
    }
    for column, what in (("plan_digest", "plans"), ("code_digest", "versions of the code")):
        different = {
            value
            for table, _ in found[TRIALS]
            for value in table.column(column).unique().to_pylist()
        }
        if len(different) > 1:
            raise ResultsError(
                f"blocks in {_short(Path(folder))} belong to {len(different)} {what}; run again to measure them alike"
            )
    for kind, read_blocks in found.items():
        described = read_blocks[-1][1] | ({"blocks_fixed": blocks_fixed} if blocks_fixed else {})
        table = pa.concat_tables([table for table, _ in read_blocks], promote_options="default")
        table = table.sort_by([("block", "ascending"), ("position", "ascending")])
        write(
            Path(folder) / kind,
            table.to_pylist(maps_as_pydicts="strict"),
            described,
            kind.split(".")[0],
        )


def file_digest(path):
    """Return the SHA-256 of a file, as hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _short(path):
    """The path below the project: enough to find it, without naming this machine's folders."""
    for top in ("artifacts", "results"):
        if top in path.parts:
            return "/".join(path.parts[-1 - path.parts[::-1].index(top) :])
    return "/".join(path.parts[-4:])
