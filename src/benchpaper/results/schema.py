"""The schema of results: columns, their Arrow types, and the check of an observation.

An experiment has two tables: observations (what each trial measured) and trials (one record per
trial, measured or not). One registry here holds every column of the framework with type, unit, and
meaning. Factors, metrics, and evidence add the columns that the experiment declares. A file's own
metadata holds all of this, so that the file explains itself.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchpaper.core.errors import did_you_mean
from benchpaper.results.distribution import Distribution, InvalidObservation, distribution
from benchpaper.results.records import Observation, Value
from benchpaper.results.row_levels import level_of_row
from benchpaper.results.states import FAILED, IMPORTED, MEASURED, NOT_TESTABLE

SCHEMA_VERSION = 3

# An experiment's description: `Experiment.describe()`, or read from a file.
Described = Mapping[str, Any]


@dataclass(frozen=True)
class Column:
    """One column: Arrow type (as text), unit ("" for none), and meaning.

    Old files may lack an `optional` column; its values are then unknown.
    """

    name: str
    type: str
    unit: str
    meaning: str
    optional: bool = False


IDENTITY = (
    Column("block", "int32", "", "number of the block, from 0"),
    Column("position", "int32", "", "place of the trial in the random order of its block, from 0"),
    Column("cell", "string", "", "the cell: one level of each factor, as text"),
    Column(
        "twin", "bool", "", "whether this is the second name of the noisiest cell (A against A)"
    ),
)
BLOCK_LEVEL = "block_level"
OBSERVATION = (Column("row", "int32", "", "number of the observation within its trial, from 0"),)
TRIAL = (
    Column("experiment", "string", "", "name of the experiment"),
    Column("site", "string", "", "named set of target hosts"),
    Column("scale", "string", "", f"how much was measured, such as smoke or full; or {IMPORTED}"),
    Column("seed", "int64", "", "seed of the trial's own random choices"),
    Column(
        "block_seed",
        "int64",
        "",
        "seed of the random choices that all cells of the block share",
        optional=True,
    ),
    Column("state", "string", "", f"{MEASURED}, {FAILED}, {NOT_TESTABLE} or {IMPORTED}"),
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


def _arrow(type_name: str) -> Any:
    """Return the Arrow type that a `Column` names."""
    import pyarrow as pa

    attempt = [
        ("started", pa.float64()),
        ("seconds", pa.float64()),
        ("outcome", pa.string()),
        ("message", pa.string()),
    ]
    command = [("host", pa.string()), ("argv", pa.list_(pa.string())), ("status", pa.int32())]
    samples = [("values", pa.list_(pa.float32())), ("counts", pa.list_(pa.int32()))]
    special = {
        "attempts": pa.list_(pa.struct(attempt)),
        "commands": pa.list_(pa.struct(command)),
        "map": pa.map_(pa.string(), pa.string()),
        "list<string>": pa.list_(pa.string()),
        "timestamp[us, tz=UTC]": pa.timestamp("us", tz="UTC"),
        "distribution": pa.struct(samples),
    }
    return special[type_name] if type_name in special else pa.type_for_alias(type_name)


def schema_version(described: Described) -> int:
    """Return the lowest version of the schema that can hold an experiment's results.

    Version 1 has blocks in time, and no levels within a trial; version 2 has others. The numbered
    observations of an optional metric are in version 1: each reader of it knows the column `row`.
    Version 3 has imported results, which must not pass for measured. An older program would
    misread anything else, so it must refuse that; it can read the rest.
    """
    if IMPORTED in described:
        return SCHEMA_VERSION
    return 2 if {"block", "within"} & set(described) else 1


def columns(described: Described, table: str) -> list[Column]:
    """Return the columns of a table ("observations" or "trials") of an experiment."""
    factors = [
        Column(f["name"], _type_of(f["levels"]), f["unit"], f["meaning"])
        for f in described["factors"]
    ]
    identity = [*IDENTITY, *_block_level(described)]
    if table == "trials":
        return [*identity, *factors, *TRIAL]
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
    within = [
        Column(f["name"], _type_of(f["levels"]), f["unit"], f["meaning"])
        for f in described.get("within", [])
    ]
    return [*identity, *factors, *OBSERVATION, *within, *metrics, *evidence]


def _block_level(described: Described) -> list[Column]:
    """Return the column with the level of the block, if blocks have levels."""
    if "block" not in described:
        return []
    block = described["block"]
    meaning = f"level of the block: {block['over']}" + (
        f" ({block['meaning']})" if block["meaning"] else ""
    )
    return [Column(BLOCK_LEVEL, _type_of(block["levels"]), block["unit"], meaning)]


def _type_of(levels: Sequence[Any]) -> str:
    """Return the type of a column that holds these levels."""
    return {str: "string", bool: "bool", int: "int64", float: "float64"}[type(levels[0])]


def schema(described: Described, table: str) -> Any:
    """Return the Arrow schema of a table, with units and meanings in the fields' metadata."""
    import pyarrow as pa

    fields = [
        pa.field(c.name, _arrow(c.type), metadata={"unit": c.unit, "meaning": c.meaning})
        for c in columns(described, table)
    ]
    metadata = {
        "benchpaper.schema": str(schema_version(described)),
        "benchpaper.experiment": json.dumps(described),
    }
    return pa.schema(fields, metadata=metadata)


def check_observation(described: Described, observation: Any) -> Observation:
    """Return what a trial yielded, a dict of metrics and evidence, with distributions compressed.

    Raises `InvalidObservation` for a missing or undeclared column, a wrong type, NaN, a value below
    the metric's minimum, or an undeclared level.
    """
    if wrong := wrong_form(described, observation):
        raise InvalidObservation(wrong)
    within = level_of_row(described, observation)
    metrics = {m["name"]: m for m in described["metrics"]}
    evidence = [e["name"] for e in described["evidence"]]
    values = {
        name: _checked_metric(metric, observation.get(name)) for name, metric in metrics.items()
    }
    for name in evidence:
        if not isinstance(observation.get(name), str):
            raise InvalidObservation(
                f'evidence "{name}" must be text, not {observation.get(name)!r}'
            )
    return Observation(values, {name: observation[name] for name in evidence}, within)


def wrong_form(described: Described, observation: Any) -> str:
    """Return why something cannot be an observation of an experiment; empty if it can."""
    if not isinstance(observation, dict):
        return f"a trial yields dicts of metrics, not {type(observation).__name__}"
    kinds = ("within", "metrics", "evidence")
    declared = [part["name"] for kind in kinds for part in described.get(kind, [])]
    for name in observation:
        if name not in declared:
            return f'column "{name}" is not declared{did_you_mean(name, declared)}' + (
                f" (there are: {', '.join(declared)}); declare it or drop it"
            )
    return ""


def _checked_metric(metric: Mapping[str, Any], value: Any) -> Value:
    name = metric["name"]
    if value is None:
        if metric["optional"]:
            return None
        raise InvalidObservation(f'metric "{name}" is missing; yield it, or declare it optional')
    stored: float | Distribution
    if metric["kept"] == "all samples":
        stored = _checked_samples(name, value)
        smallest = stored.values[0]
    else:
        stored = smallest = _checked_number(name, value)
    if metric["minimum"] is not None and smallest < metric["minimum"]:
        raise InvalidObservation(
            f'metric "{name}": {smallest:g} {metric["unit"]} is below its minimum '
            f"{metric['minimum']:g}"
        )
    return stored


def _checked_samples(name: str, samples: Any) -> Distribution:
    try:
        if isinstance(samples, (str, bytes)):
            raise TypeError
        return distribution(samples)
    except InvalidObservation as error:
        raise InvalidObservation(f'metric "{name}" {error}') from None
    except (TypeError, ValueError):
        raise InvalidObservation(f'metric "{name}" must be an array of numbers') from None


def _checked_number(name: str, value: Any) -> float:
    is_number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value):
        raise InvalidObservation(f'metric "{name}" must be a finite number, not {value!r}')
    return float(value)
