"""A trial's record: what the journal holds of a trial, and what the tables are made from.

A record is flat in the journal, as in the table of trials: the columns of `schema`, and a column
per factor.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, TypeAlias

from benchpaper.results.distribution import Distribution

Level: TypeAlias = str | int | float | bool
Value: TypeAlias = float | Distribution | None


@dataclass(frozen=True)
class Command:
    """A command line of a trial, redacted; `status` is None if its end was not seen."""

    host: str
    argv: tuple[str, ...]
    status: int | None

    def __str__(self) -> str:
        return f"[{self.host}] {' '.join(self.argv)}  -> {self.status}"

    @classmethod
    def from_json(cls, command: Mapping[str, Any]) -> "Command":
        """Return a command from plain data: its fields as keys."""
        return cls(command["host"], tuple(command["argv"]), command["status"])


@dataclass(frozen=True)
class AttemptSummary:
    """What a record keeps of one attempt; `started` is in seconds since 1970."""

    started: float
    seconds: float
    outcome: str
    message: str


@dataclass(frozen=True)
class Observation:
    """What a trial measured once, checked against the schema: the values of metrics, and evidence.

    Evidence is text that shows what really ran. `within` has a level of each factor that varies
    within the trial; it is empty if the observation belongs to the whole trial.
    """

    metrics: Mapping[str, Value]
    evidence: Mapping[str, str]
    within: Mapping[str, Level] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return {column: value} as plain data."""
        metrics = {
            name: asdict(value) if isinstance(value, Distribution) else value
            for name, value in self.metrics.items()
        }
        within = {"within": dict(self.within)} if self.within else {}
        return {**within, **metrics, **self.evidence}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> "Observation":
        """Return the observation that `to_json` wrote."""
        values = dict(row)
        within = values.pop("within", {})
        metrics = {
            name: Distribution(**value) if isinstance(value, dict) else value
            for name, value in values.items()
            if not isinstance(value, str)
        }
        evidence = {name: text for name, text in values.items() if isinstance(text, str)}
        return cls(metrics, evidence, within)


@dataclass(frozen=True)
class Origin:
    """Where a trial was measured, and with what: see the columns of `schema.TRIAL`."""

    experiment: str
    site: str
    scale: str
    code_digest: str
    plan_digest: str
    tools: Mapping[str, str]
    hosts: Mapping[str, str]
    capabilities: tuple[str, ...]
    git_commit: str
    git_clean: bool


@dataclass(frozen=True)
class Disturbances:
    """What disturbed the machines during a trial; None stands for what they do not report."""

    steal_s: float | None
    load_1m: float | None
    suspended_s: float | None
    swapped_mb: float | None = None
    throttled_s: float | None = None
    overheated: float | None = None


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """A finished trial: measured, failed, or not testable.

    `levels` has the level of each factor. `started` is the start of the last attempt, in seconds
    since 1970, and `seconds` its duration. `commands` are those of the last attempt. `cause` says
    what the machine lacked, if that made the trial fail; then the next run measures it again.
    `block_level` is None for blocks in time, and `block_seed` in records that are older than it.
    """

    block: int
    position: int
    cell: str
    twin: bool
    levels: Mapping[str, Level]
    origin: Origin
    state: str
    reason: str
    cause: str = ""
    seed: int
    started: float
    seconds: float
    attempts: tuple[AttemptSummary, ...]
    commands: tuple[Command, ...]
    observations: tuple[Observation, ...]
    paused_s: float
    disturbances: Disturbances
    overhead_s: float
    block_seed: int | None = None
    block_level: Level | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the record as plain data, flat: {column or factor: value}."""
        flat: dict[str, Any] = {}
        for each in fields(self):
            name, value = each.name, getattr(self, each.name)
            if value is None and name.startswith("block_"):
                continue  # as in older records
            if name == "levels":
                flat |= value
            elif isinstance(value, (Origin, Disturbances)):
                flat |= asdict(value)
            elif name == "observations":
                flat[name] = [observation.to_json() for observation in value]
            elif isinstance(value, tuple):
                flat[name] = [asdict(part) for part in value]
            else:
                flat[name] = value
        return flat

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> "TrialRecord":
        """Return the record that `to_json` wrote.

        Raises `KeyError` or `TypeError` for data of another form.
        """
        rest = dict(entry)
        parts: dict[str, Any] = {
            "origin": _taken(Origin, rest),
            "disturbances": _taken(Disturbances, rest),
            "attempts": tuple(AttemptSummary(**attempt) for attempt in rest.pop("attempts")),
            "commands": tuple(map(Command.from_json, rest.pop("commands"))),
            "observations": tuple(map(Observation.from_json, rest.pop("observations"))),
        }
        own = {each.name for each in fields(cls)} - {*parts, "levels"}
        parts |= {name: rest.pop(name) for name in own.intersection(rest)}
        return cls(**parts, levels=rest)


def _taken(part: type[Any], rest: dict[str, Any]) -> Any:
    """Return a `part` of a record, made from its own columns, which leave `rest`."""
    names = [each.name for each in fields(part) if each.name in rest]
    columns = {name: rest.pop(name) for name in names}
    return part(**{n: tuple(v) if isinstance(v, list) else v for n, v in columns.items()})
