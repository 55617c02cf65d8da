"""The parts of an experiment's declaration: factors, metrics, evidence, scales, and the cells that follow.

Each validates itself when it is made. `spec` joins them to an `Experiment`.
"""

import math
import re
from dataclasses import dataclass, field
from types import MappingProxyType

from benchpaper.core.errors import UserError, did_you_mean

SCALES = ("smoke", "quick", "full")
LEAST_PILOT = 9
INTEGERS = range(-(2**63), 2**63)  # what a column holds
LONGEST_LEVEL = (
    200  # of a text: it is part of a cell's name, which stands in tables, logs and file names
)
LONGEST_NAME = 63
MOST_BLOCKS = 100_000
NAME = re.compile(r"[a-z][a-z0-9_]*")
# Columns of the framework itself (a factor or metric of the same name would overwrite them), then what cells, scales,
# sites and estimates call their own things.
RESERVED = frozenset(
    [
        "experiment",
        "site",
        "scale",
        "block",
        "position",
        "cell",
        "twin",
        "row",
        "seed",
        "state",
        "reason",
        "attempt",
        "attempts",
        "started",
        "seconds",
        "overhead_s",
        "paused_s",
        "suspended_s",
        "steal_s",
        "load_1m",
        "swapped_mb",
        "throttled_s",
        "overheated",
        "commands",
        "code_digest",
        "plan_digest",
        "git_commit",
        "git_clean",
        "tools",
        "hosts",
        "capabilities",
        "id",
        "levels",
        "blocks",
        "counts",
        "programs",
        "trial_seconds",
        "disk_mb",
        "pilot",
        "half_width",
        "budget_s",
        "metric",
        "q",
        "of",
        "to",
        "value",
        "low",
        "high",
        "n",
        "missing",
    ]
)


class SpecError(UserError):
    """An experiment that declares something which cannot be."""


def check_name(kind, name):
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise SpecError(
            f"{kind} name {name!r} must match {NAME.pattern} (it becomes a column name)"
        )
    if len(name) > LONGEST_NAME:
        raise SpecError(
            f"{kind} name {name[:20]!r}... has {len(name)} characters; {LONGEST_NAME} are the most"
        )
    if name in RESERVED:
        raise SpecError(f'{kind} name "{name}" is taken by the framework; choose another')


def check_text(what, text, may_be_empty=True):
    """Raise `SpecError` unless `text` can be written into tables, logs and the paper as one line."""
    if not isinstance(text, str) or not (text or may_be_empty):
        raise SpecError(
            f"{what} {_shown(text)} must be a text{'' if may_be_empty else ' that is not empty'}"
        )
    if wrong := next((c for c in text if not c.isprintable()), None):
        raise SpecError(
            f"{what} {_shown(text)} holds {wrong!r}; give one line of printable characters"
        )
    if text != text.strip():
        raise SpecError(
            f"{what} {_shown(text)} begins or ends with a blank, which nobody sees; take it off"
        )


def check_number(what, number, least=-math.inf, above=-math.inf):
    """Raise `SpecError` unless `number` is a finite one that a column can hold."""
    if type(number) not in (int, float):
        raise SpecError(f"{what} {_shown(number)} must be a number")
    if type(number) is int and number not in INTEGERS:
        raise SpecError(
            f"{what} {_shown(number)} does not fit into 64 bits; take a larger unit, or a float"
        )
    if not math.isfinite(number):
        raise SpecError(f"{what} {number} must be a finite number")
    if number < least or number <= above:
        raise SpecError(
            f"{what} {_shown(number)} must be {f'at least {least}' if number < least else f'above {above}'}"
        )


def _shown(value):
    """Return a value in one short line: an integer of 10,000 digits cannot even be printed."""
    if type(value) is int and value not in INTEGERS:
        return f"{'-' if value < 0 else ''}2**{abs(value).bit_length() - 1} or more"
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:40]}..."


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
        for what, text in (("unit", self.unit), ("meaning", self.meaning)):
            check_text(f'factor "{self.name}": {what}', text)
        if not self.levels:
            raise SpecError(f'factor "{self.name}" has no levels; give at least one')
        if self.type not in (str, int, float, bool):
            raise SpecError(
                f'factor "{self.name}": a level must be str, int, float or bool, not {self.type.__name__}'
            )
        for level in self.levels:
            self.check(level)
            self._check_value(level)
        if len(set(self.levels)) != len(self.levels):
            raise SpecError(f'factor "{self.name}" has a level twice: {list(self.levels)}')

    @property
    def type(self):
        return type(self.levels[0])

    def check(self, level):
        """Return `level` when it has this factor's type; else raise `SpecError`."""
        if type(level) is not self.type:
            raise SpecError(
                f'factor "{self.name}": level {_shown(level)} is {type(level).__name__}, '
                f"but the others are {self.type.__name__}; make them all one type"
            )
        return level

    def _check_value(self, level):
        """A level becomes a value of a column and a part of the cell's name."""
        what = f'factor "{self.name}": level'
        if self.type in (int, float):
            check_number(what, level)
        if self.type is float and str(level) == "-0.0":
            raise SpecError(f"{what} -0.0 equals 0.0 and reads differently; write 0.0")
        if self.type is str:
            check_text(what, level, may_be_empty=False)
            if len(level) > LONGEST_LEVEL:
                raise SpecError(
                    f"{what} {_shown(level)} has {len(level)} characters; {LONGEST_LEVEL} are the most"
                )


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
            raise SpecError(
                f'metric "{self.name}" has no unit; give one (unit="1" for a pure number)'
            )
        for what, text in (("unit", self.unit), ("meaning", self.meaning)):
            check_text(f'metric "{self.name}": {what}', text)
        if self.minimum is not None:
            check_number(f'metric "{self.name}": minimum', self.minimum)
        if self.better not in ("lower", "higher", "neither"):
            raise SpecError(
                f'metric "{self.name}": better={self.better!r} must be "lower", "higher" or "neither"'
            )
        if self.kept not in ("value", "all samples"):
            raise SpecError(
                f'metric "{self.name}": kept={self.kept!r} must be "value" or "all samples"'
            )


@dataclass(frozen=True)
class Evidence:
    """A text that the trial reports about itself, such as the transport that a library really chose."""

    name: str
    meaning: str = ""

    def __post_init__(self):
        check_name("evidence", self.name)
        check_text(f'evidence "{self.name}": meaning', self.meaning)


class Scale:
    """How much of an experiment is run.

    Keyword arguments beyond the named ones restrict a factor to some of its levels:
    `Scale(blocks=2, size_bytes=[8, 4096])`. `counts` are the numbers that shrink with the scale (iterations,
    requests), handed to the trial as `site.counts`. `trial_seconds` and `disk_mb` are the announced budget.

    With a `pilot` of so many blocks the number of blocks is fixed after it (`benchpaper pilot`), so that the interval
    of the twin's cell comes to about +-`half_width` (0.05 is 5 %): at most `blocks`, and what takes `budget_s` seconds.
    """

    def __init__(
        self,
        *,
        blocks,
        trial_seconds=1.0,
        disk_mb=10.0,
        counts=None,
        pilot=None,
        half_width=None,
        budget_s=None,
        **levels,
    ):
        if type(blocks) is not int or blocks < 1:
            raise SpecError(f"blocks={_shown(blocks)} must be a whole number of at least 1")
        if blocks > MOST_BLOCKS:
            raise SpecError(f"blocks={_shown(blocks)} must be at most {MOST_BLOCKS}")
        check_number("trial_seconds", trial_seconds, above=0)
        check_number("disk_mb", disk_mb, least=0)
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
        for name, count in self.counts.items():
            _check_count(name, count)
        self.levels = {name: tuple(chosen) for name, chosen in levels.items()}


def _check_count(name, count):
    """What shrinks with a scale: numbers, or lists of them. The plan writes them down."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise SpecError(
            f"count name {_shown(name)} must match {NAME.pattern} (it becomes an attribute of site.counts)"
        )
    for one in count if isinstance(count, (list, tuple)) else [count]:
        if type(one) in (int, float):
            check_number(f"count {name}:", one)
        elif isinstance(one, str):
            check_text(f"count {name}:", one)


def _check_pilot(pilot, half_width, budget_s, blocks):
    if type(pilot) is not int or not LEAST_PILOT <= pilot <= blocks:
        rule = f"must be a whole number from {LEAST_PILOT} to blocks={blocks}: fewer tell too little of the spread"
        raise SpecError(f"pilot={pilot!r} {rule}")
    check_number("half_width", half_width, above=0)
    if budget_s is not None:
        check_number("budget_s", budget_s, above=0)


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
