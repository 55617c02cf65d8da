"""The parts of an experiment's declaration: factors, metrics, evidence, scales, and cells.

Each validates itself when it is made. `spec` joins them to an `Experiment`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from benchpaper.core import emulation
from benchpaper.core.errors import did_you_mean
from benchpaper.design.checks import (
    NAME,
    SpecError,
    check_name,
    check_number,
    check_text,
    shown,
)
from benchpaper.design.levels import Level, check_type, checked_levels

MIN_PILOT_BLOCKS = 9
MAX_BLOCKS = 100_000


@dataclass(frozen=True)
class Factor:
    """A dimension that an experiment varies. Its levels are all str, int, float, or bool.

    `same_code` is {level: level whose code it runs}, for levels that stand in for hardware which
    the authors lack: `doctor` then says where that code was executed. Raises `SpecError` for levels
    that are missing, repeated, or of several types.
    """

    name: str
    levels: Sequence[Level]
    unit: str = ""
    meaning: str = ""
    same_code: Mapping[Level, Level] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        check_name("factor", self.name)
        object.__setattr__(self, "levels", checked_levels(self._what, self.levels))
        for what, text in (("unit", self.unit), ("meaning", self.meaning)):
            check_text(f"{self._what}: {what}", text)
        for level in (*self.same_code, *self.same_code.values()):
            check_levels(f"{self._what}: same_code", [self], {self.name: level})

    @property
    def _what(self) -> str:
        return f'factor "{self.name}"'

    def check(self, level: Level) -> Level:
        """Return `level` if it has this factor's type; else raise `SpecError`."""
        check_type(self._what, level, self.levels)
        return level


def described(factors: Iterable[Factor]) -> list[dict[str, Any]]:
    """Return factors as plain data."""
    return [
        {"name": f.name, "levels": list(f.levels), "unit": f.unit, "meaning": f.meaning}
        for f in factors
    ]


def factors_within(within: Any) -> tuple[Factor, ...]:
    """Return the factors of `within`; raises `SpecError` if it is no list of factors."""
    if isinstance(within, (list, tuple)) and all(isinstance(factor, Factor) for factor in within):
        return tuple(within)
    raise SpecError('within must be a list of factors: within=[Factor("second", [0, 1, 2])]')


def check_levels(where: str, factors: Iterable[Factor], levels: Mapping[str, Level]) -> None:
    """Raise `SpecError`, which begins with `where`, unless {factor: level} are declared."""
    by_name = {factor.name: factor for factor in factors}
    for name, level in levels.items():
        if name not in by_name:
            raise SpecError(f'{where}: no factor "{name}"{did_you_mean(name, by_name)}')
        factor = by_name[name]
        if factor.check(level) not in factor.levels:
            raise SpecError(
                f"{where}: {name}={level!r} is not a level{did_you_mean(level, factor.levels)} "
                f"(there are: {', '.join(map(str, factor.levels))})"
            )


@dataclass(frozen=True)
class Metric:
    """Something measured in each trial.

    `kept` is "value" (one number) or "all samples" (a distribution that keeps every sample, see
    `benchpaper.results`). `better` is "lower", "higher" or "neither". `minimum` is the smallest
    possible value; a smaller one fails the trial. An `optional` metric may be absent (None) in some
    cells. With `emulation`, an emulated machine may measure it: it is a count that no clock
    influences. Raises `SpecError` without a unit or a direction.
    """

    name: str
    unit: str = ""
    better: str = ""
    meaning: str = ""
    kept: str = "value"
    minimum: float | None = 0.0
    optional: bool = False
    emulation: bool = False

    def __post_init__(self) -> None:
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
                f'metric "{self.name}": better={self.better!r} must be '
                '"lower", "higher" or "neither"'
            )
        if self.kept not in ("value", "all samples"):
            raise SpecError(
                f'metric "{self.name}": kept={self.kept!r} must be "value" or "all samples"'
            )
        if self.emulation and emulation.is_of_time(self.unit):
            raise SpecError(
                f'metric "{self.name}": an emulated machine cannot measure {self.unit}, '
                "only counts; leave out emulation=True"
            )

    def describe(self) -> dict[str, Any]:
        """Return the declaration as plain data; older results know no `emulation`."""
        described = vars(self).copy()
        if not self.emulation:
            del described["emulation"]
        return described


@dataclass(frozen=True)
class Evidence:
    """A text that the trial reports about itself, such as the transport that a library chose."""

    name: str
    meaning: str = ""

    def __post_init__(self) -> None:
        check_name("evidence", self.name)
        check_text(f'evidence "{self.name}": meaning', self.meaning)


def check_distinct(parts: Iterable[Factor | Metric | Evidence]) -> None:
    """Raise `SpecError` if two parts of an experiment have one name."""
    names = [part.name for part in parts]
    for name in names:
        if names.count(name) > 1:
            raise SpecError(
                f'"{name}" is declared twice; factors, metrics and evidence share one table'
            )


class Scale:
    """How much of an experiment is run.

    Further keyword arguments restrict a factor to some of its levels: `Scale(blocks=2,
    size_bytes=[8, 4096])`. `counts` are the numbers that shrink with the scale (iterations,
    requests); the trial receives them as `site.counts`. The announced budget is `trial_seconds` for
    a trial, and `disk_mb` (in MB) for the whole run. `blocks` may be left out if the experiment's
    blocks have levels (see `Block`): it then measures a block for each level.

    With a `pilot`, `benchpaper pilot` fixes the number of blocks after that many blocks, so that
    the interval of the twin's cell comes to about +-`half_width` (0.05 is 5 %). The number is at
    most `blocks`, and at most what fits into `budget_s` seconds.
    """

    def __init__(
        self,
        *,
        blocks: int | None = None,
        trial_seconds: float = 1.0,
        disk_mb: float = 10.0,
        counts: Mapping[str, Any] | None = None,
        pilot: int | None = None,
        half_width: float | None = None,
        budget_s: float | None = None,
        **levels: Sequence[Level],
    ):
        if blocks is not None:
            _check_blocks(blocks)
        check_number("trial_seconds", trial_seconds, above=0)
        check_number("disk_mb", disk_mb, minimum=0)
        if (pilot is None) != (half_width is None) or (pilot is None and budget_s is not None):
            raise SpecError(
                "pilot, half_width and budget_s belong together: "
                "Scale(pilot=9, half_width=0.05, blocks=40)"
            )
        if pilot is not None and half_width is not None:
            if blocks is None:
                raise SpecError("a pilot needs blocks=..., the most that may be measured")
            _check_pilot(pilot, half_width, budget_s, blocks)
        self.blocks = blocks or 0  # 0 until the experiment knows the levels of its blocks
        self.pilot, self.half_width, self.budget_s = pilot, half_width, budget_s
        self.trial_seconds = float(trial_seconds)
        self.disk_mb = float(disk_mb)
        self.counts = dict(counts or {})
        for name, count in self.counts.items():
            _check_count(name, count)
        self.levels = {name: tuple(chosen) for name, chosen in levels.items()}


def _check_blocks(blocks: int) -> None:
    if type(blocks) is not int or blocks < 1:
        raise SpecError(f"blocks={shown(blocks)} must be a whole number of at least 1")
    if blocks > MAX_BLOCKS:
        raise SpecError(f"blocks={shown(blocks)} must be at most {MAX_BLOCKS}")


def _check_count(name: str, count: Any) -> None:
    """Check a number that shrinks with the scale, or a list of them. The plan writes it down."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise SpecError(
            f"count name {shown(name)} must match {NAME.pattern} "
            "(it becomes an attribute of site.counts)"
        )
    for value in count if isinstance(count, (list, tuple)) else [count]:
        if type(value) in (int, float):
            check_number(f"count {name}:", value)
        elif isinstance(value, str):
            check_text(f"count {name}:", value)


def _check_pilot(pilot: int, half_width: float, budget_s: float | None, blocks: int) -> None:
    if type(pilot) is not int or not MIN_PILOT_BLOCKS <= pilot <= blocks:
        raise SpecError(
            f"pilot={pilot!r} must be a whole number from {MIN_PILOT_BLOCKS} to blocks={blocks}: "
            "fewer tell too little of the spread"
        )
    check_number("half_width", half_width, above=0)
    if budget_s is not None:
        check_number("budget_s", budget_s, above=0)


@dataclass(frozen=True)
class Cell:
    """One level of each factor. Levels are attributes: `cell.size_bytes`.

    `twin` marks the second name under which each block measures the noisiest cell again (A against
    A): the difference between the two is the noise floor.
    """

    levels: Mapping[str, Level]
    twin: bool = False
    id: str = field(init=False)

    def __post_init__(self) -> None:
        text = " ".join(f"{name}={level}" for name, level in self.levels.items())
        object.__setattr__(self, "id", f"{text} twin" if self.twin else text)

    def __getattr__(self, name: str) -> Any:
        levels = object.__getattribute__(self, "levels")
        if name in levels:
            return levels[name]
        raise AttributeError(f'a cell has no factor "{name}"{did_you_mean(name, levels)}')

    def __reduce__(self) -> tuple[Any, ...]:
        return make_cell, (dict(self.levels), self.twin)

    def __hash__(self) -> int:
        return hash(self.id)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Cell) and self.id == other.id


def make_cell(
    levels: Mapping[str, Level] | Iterable[tuple[str, Level]], twin: bool = False
) -> Cell:
    """Return a `Cell` of levels, given as {factor: level} or as pairs."""
    return Cell(MappingProxyType(dict(levels)), twin)
