"""What travels between the parts of a run: counts of trials, failures, and the summary."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class TrialCount:
    """How many trials of an experiment are planned, and how many of them are in the journals.

    `trial_seconds` is how long a trial takes on average, as planned.
    """

    trials: int
    done: int
    trial_seconds: float

    @property
    def seconds(self) -> float:
        return self.trials * self.trial_seconds

    @property
    def seconds_done(self) -> float:
        return self.done * self.trial_seconds

    @property
    def is_finished(self) -> bool:
        return self.done == self.trials


@dataclass(frozen=True)
class Remeasured:
    """How many blocks are measured again although they were measured before, and why.

    Each has `cells` cells. `elsewhere` names the two machines if they differ; else it is empty.
    """

    blocks: int
    cells: int
    why: tuple[str, ...]
    levels_added: bool
    elsewhere: str


@dataclass(frozen=True)
class Failure:
    """A step of a run that failed, and the error in one line."""

    step: str
    error: str


@dataclass(frozen=True)
class TrialStates:
    """How the trials of an experiment ended: {state: trials}, {"state: reason": trials}.

    `imported` is where results come from that others measured.
    """

    states: Mapping[str, int]
    reasons: Mapping[str, int]
    blocks: int
    imported: str = ""


@dataclass(frozen=True)
class Summary:
    """What a run did.

    The tables have a key per experiment; an experiment is None if its results are incomplete.
    `findings` and `checks` are {verdict: claims}, `outputs` {kind: path in the project}, `missing`
    what was not built and why, and `seconds` the duration of the run.
    """

    site: str
    source: str
    status: int
    seconds: float
    experiments: Mapping[str, TrialStates | None]
    finished: Mapping[str, TrialCount]
    warnings: Mapping[str, list[str]]
    changed_since_reference: Mapping[str, list[str]]
    failures: tuple[Failure, ...]
    findings: Mapping[str, int]
    checks: Mapping[str, int]
    outputs: Mapping[str, str]
    missing: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the summary as plain data."""
        return asdict(self)
