"""The parts of an experiment's declaration: factors, metrics, evidence, scales, and the cells that follow.

Each validates itself when it is made. `spec` joins them to an `Experiment`.
"""

import re
from dataclasses import dataclass, field
from types import MappingProxyType

from benchpaper.errors import UserError, did_you_mean

SCALES = ("smoke", "quick", "full")
LEAST_PILOT = 9
NAME = re.compile(r"[a-z][a-z0-9_]*")
# Columns of the framework itself (a factor or metric of the same name would overwrite them), then what cells, scales,
# sites and estimates call their own things.
RESERVED = frozenset(
    """
    experiment site scale block position cell twin row seed state reason attempt attempts started seconds overhead_s
    paused_s suspended_s steal_s load_1m swapped_mb throttled_s overheated commands code_digest plan_digest
    git_commit git_clean tools hosts capabilities
    id levels blocks counts programs trial_seconds disk_mb pilot half_width budget_s metric q of to value low high n
    missing
    """.split()
)


class SpecError(UserError):
    """An experiment that declares something which cannot be."""


def check_name(kind, name):
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise SpecError(f"{kind} name {name!r} must match {NAME.pattern} (it becomes a column name)")
    if name in RESERVED:
        raise SpecError(f'{kind} name "{name}" is taken by the framework; choose another')


@dataclass(frozen=True)
class Factor:
    """A dimension that is varied. `levels` are all of one type: str, int, float or bool."""

    name: str
    levels: tuple
    unit: str = ""
    meaning: str = ""

    def __post_init__(self):
        check_name("factor", self.name)
        if isinstance(self.levels, str):
            raise SpecError(f'factor "{self.name}": levels {self.levels!r} must be a list')
        object.__setattr__(self, "levels", tuple(self.levels))
        if not self.levels:
            raise SpecError(f'factor "{self.name}" has no levels; give at least one')
        if self.type not in (str, int, float, bool):
            raise SpecError(f'factor "{self.name}": a level must be str, int, float or bool, not {self.type.__name__}')
        for level in self.levels:
            self.check(level)
        if len(set(self.levels)) != len(self.levels):
            raise SpecError(f'factor "{self.name}" has a level twice: {list(self.levels)}')

    @property
    def type(self):
        return type(self.levels[0])

    def check(self, level):
        """Return `level` when it has this factor's type; else raise `SpecError`."""
        if type(level) is not self.type:
            raise SpecError(
                f'factor "{self.name}": level {level!r} is {type(level).__name__}, '
                f"but the others are {self.type.__name__}; make them all one type"
            )
        return level


@dataclass(frozen=True)
class Metric:
    """Something measured in each trial.

    `kept` is "value" (one number) or "all samples" (a distribution, of which every sample is kept, see
    `benchpaper.results`). `better` is "lower", "higher" or "neither". `minimum` is the smallest value that can be
    true; a smaller one fails the trial. An `optional` metric may be absent (None) in cells that do not have it.
    """

    name: str
    unit: str = ""
    better: str = ""
    meaning: str = ""
    kept: str = "value"
    minimum: float = 0.0
    optional: bool = False

    def __post_init__(self):
        check_name("metric", self.name)
        if not self.unit:
            raise SpecError(f'metric "{self.name}" has no unit; give one (unit="1" for a pure number)')
        if self.better not in ("lower", "higher", "neither"):
            raise SpecError(f'metric "{self.name}": better={self.better!r} must be "lower", "higher" or "neither"')
        if self.kept not in ("value", "all samples"):
            raise SpecError(f'metric "{self.name}": kept={self.kept!r} must be "value" or "all samples"')


@dataclass(frozen=True)
class Evidence:
    """A text that the trial reports about itself, such as the transport that a library really chose."""

    name: str
    meaning: str = ""

    def __post_init__(self):
        check_name("evidence", self.name)


class Scale:
    """How much of an experiment is run.

    Keyword arguments beyond the named ones restrict a factor to some of its levels:
    `Scale(blocks=2, size_bytes=[8, 4096])`. `counts` are the numbers that shrink with the scale (iterations,
    requests), handed to the trial as `site.counts`. `trial_seconds` and `disk_mb` are the announced budget.

    With a `pilot` of so many blocks the number of blocks is fixed after it (`benchpaper pilot`), so that the interval
    of the twin's cell comes to about +-`half_width` (0.05 is 5 %): at most `blocks`, and what takes `budget_s` seconds.
    """

    def __init__(
        self, *, blocks, trial_seconds=1.0, disk_mb=10.0, counts=None, pilot=None, half_width=None, budget_s=None,
        **levels,
    ):  # fmt: skip
        if type(blocks) is not int or blocks < 1:
            raise SpecError(f"blocks={blocks!r} must be a whole number of at least 1")
        if not trial_seconds > 0:
            raise SpecError(f"trial_seconds={trial_seconds!r} must be above 0: plan prices the run with it")
        if (pilot is None) != (half_width is None) or (pilot is None and budget_s is not None):
            raise SpecError(
                "pilot, half_width and budget_s belong together: Scale(pilot=9, half_width=0.05, blocks=40)"
            )
        if pilot is not None:
            _check_pilot(pilot, half_width, budget_s, blocks)
        self.blocks = blocks
        self.pilot, self.half_width, self.budget_s = pilot, half_width, budget_s
        self.trial_seconds = float(trial_seconds)
        self.disk_mb = float(disk_mb)
        self.counts = dict(counts or {})
        self.levels = {name: tuple(chosen) for name, chosen in levels.items()}


def _check_pilot(pilot, half_width, budget_s, blocks):
    if type(pilot) is not int or not LEAST_PILOT <= pilot <= blocks:
        rule = f"must be a whole number from {LEAST_PILOT} to blocks={blocks}: fewer tell too little of the spread"
        raise SpecError(f"pilot={pilot!r} {rule}")
    if not half_width > 0:
        raise SpecError(f"half_width={half_width!r} must be above 0; 0.05 is 5 %")
    if budget_s is not None and not budget_s > 0:
        raise SpecError(f"budget_s={budget_s!r} must be above 0 seconds")


@dataclass(frozen=True)
class Cell:
    """One level of each factor. Levels are attributes: `cell.size_bytes`.

    `twin` marks the second name under which the noisiest cell is measured in each block (A against A): the
    difference between the two is the noise floor.
    """

    levels: MappingProxyType
    twin: bool = False
    id: str = field(init=False)

    def __post_init__(self):
        text = " ".join(f"{name}={level}" for name, level in self.levels.items())
        object.__setattr__(self, "id", f"{text} twin" if self.twin else text)

    def __getattr__(self, name):
        levels = object.__getattribute__(self, "levels")
        if name in levels:
            return levels[name]
        raise AttributeError(f'a cell has no factor "{name}"{did_you_mean(name, levels)}')

    def __reduce__(self):
        return make_cell, (dict(self.levels), self.twin)

    def __hash__(self):
        return hash(self.id)

    def __eq__(self, other):
        return isinstance(other, Cell) and self.id == other.id


def make_cell(levels, twin=False):
    """Return a `Cell` of a plain dict of levels."""
    return Cell(MappingProxyType(dict(levels)), twin)
