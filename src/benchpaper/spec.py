"""What an experiment declares: factors, metrics, scales, and the code that runs one cell.

An `Experiment` is built at import time and validates itself then, so that a mistake is found before anything
runs. Nothing here measures.
"""

import itertools
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
    id levels blocks counts programs trial_seconds disk_mb pilot half_width budget_s metric q of to value low high n missing
    """.split()
)


class SpecError(UserError):
    """An experiment that declares something which cannot be."""


def _check_name(kind, name):
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
        _check_name("factor", self.name)
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
        _check_name("metric", self.name)
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
        _check_name("evidence", self.name)


class Scale:
    """How much of an experiment is run.

    Keyword arguments beyond the named ones restrict a factor to some of its levels:
    `Scale(blocks=2, size_bytes=[8, 4096])`. `counts` are the numbers that shrink with the scale (iterations,
    requests), handed to the trial as `site.counts`. `trial_seconds` and `disk_mb` are the announced budget.

    With a `pilot` of so many blocks the number of blocks is fixed after it (`benchpaper pilot`), so that the interval
    of the twin's cell comes to about +-`half_width` (0.05 is 5 %): at most `blocks`, and what takes `budget_s` seconds.
    """

    def __init__(
        self, *, blocks, trial_seconds=1.0, disk_mb=10.0, counts=None, pilot=None, half_width=None, budget_s=None, **levels
    ):  # fmt: skip
        if type(blocks) is not int or blocks < 1:
            raise SpecError(f"blocks={blocks!r} must be a whole number of at least 1")
        if not trial_seconds > 0:
            raise SpecError(f"trial_seconds={trial_seconds!r} must be above 0: plan prices the run with it")
        if (pilot is None) != (half_width is None) or (pilot is None and budget_s is not None):
            raise SpecError("pilot, half_width and budget_s belong together: Scale(pilot=9, half_width=0.05, blocks=40)")
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


class Experiment:
    """One question, its factors, metrics and the code that runs one cell.

    The functions are attached by decorators: `@experiment.trial` (required; `trial(cell, site)` yields dicts of
    metrics and evidence), `@experiment.valid` (which cells make sense), `@experiment.needs` (capabilities of a
    cell), `@experiment.uses` (versions of tools) and `@experiment.build` (`build(folder)` compiles the programs). `name` is given
    by the catalog, from the folder. `packages` are the locked Python packages that the trial's programs import or run on
    the target hosts: those alone are sent to a remote one. `twin` names the levels of the noisiest cell; `attempts` and
    `timeout_s` bound a trial.
    """

    def __init__(
        self, *, title, question, factors, metrics, scales, evidence=(), roles=("client",), packages=(), twin=None,
        attempts=2, timeout_s=60.0,
    ):  # fmt: skip
        for what, names in (("roles", roles), ("packages", packages)):
            if isinstance(names, str):
                raise SpecError(f"{what} {names!r} must be a list of names")
        self.name = None
        self.title, self.question = title, question
        self.factors, self.metrics, self.evidence = tuple(factors), tuple(metrics), tuple(evidence)
        self.roles, self.packages, self.scales = tuple(roles), tuple(packages), dict(scales)
        self.twin = dict(twin) if twin else None
        self.attempts, self.timeout_s = attempts, timeout_s
        self._valid = self._needs = self._build = self._trial = self._tools = None
        self._tools_found = None
        self.build_needs = ()
        self._check()

    def _check(self):
        for kind, text in (("title", self.title), ("question", self.question)):
            if not text:
                raise SpecError(f"an experiment needs a {kind}")
        if not self.metrics:
            raise SpecError("an experiment needs at least one metric")
        for role in self.roles:
            _check_name("role", role)
        if type(self.attempts) is not int or self.attempts < 1:
            raise SpecError(f"attempts={self.attempts!r} must be a whole number of at least 1")
        if not self.timeout_s > 0:
            raise SpecError(f"timeout_s={self.timeout_s!r} must be above 0")
        names = [part.name for part in (*self.factors, *self.metrics, *self.evidence)]
        for name in names:
            if names.count(name) > 1:
                raise SpecError(f'"{name}" is declared twice; factors, metrics and evidence share one table')
        if missing := [name for name in SCALES if name not in self.scales]:
            raise SpecError(f"scales lack {', '.join(missing)}; every experiment declares {', '.join(SCALES)}")
        for name, scale in self.scales.items():
            self._check_scale(name, scale)
        if self.twin is not None:
            self._check_levels("twin", self.twin)
            if missing := [f.name for f in self.factors if f.name not in self.twin]:
                raise SpecError(f"twin gives no level for {', '.join(missing)}")

    def _check_scale(self, name, scale):
        if name not in SCALES:
            raise SpecError(f'scale "{name}" is not one of {", ".join(SCALES)}{did_you_mean(name, SCALES)}')
        if scale.pilot is not None and self.twin is None:
            raise SpecError(f'scale "{name}": a pilot needs a twin: the spread of the noisiest cell decides')
        for factor_name, levels in scale.levels.items():
            for level in levels:
                self._check_levels(f'scale "{name}"', {factor_name: level})
            if len(set(levels)) != len(levels):
                raise SpecError(f'scale "{name}": {factor_name} has a level twice: {list(levels)}')

    def _check_levels(self, where, levels):
        factors = {factor.name: factor for factor in self.factors}
        for name, level in levels.items():
            if name not in factors:
                raise SpecError(f'{where}: no factor "{name}"{did_you_mean(name, factors)}')
            factor = factors[name]
            if factor.check(level) not in factor.levels:
                raise SpecError(
                    f'{where}: {name}={level!r} is not a level{did_you_mean(level, factor.levels)} '
                    f"(there are: {', '.join(map(str, factor.levels))})"
                )

    def trial(self, function):
        """Decorator: `function(cell, site)` runs one cell and yields its observations."""
        self._trial = function
        return function

    def valid(self, function):
        """Decorator: `function(cell) -> bool` says whether a combination of levels makes sense."""
        self._valid = function
        return function

    def needs(self, function):
        """Decorator: `function(cell) -> list of capability names` that the cell cannot do without."""
        self._needs = function
        return function

    def build(self, function=None, *, needs=("cc",)):
        """Decorator: `function(folder)` compiles the experiment's programs into `folder`, where the machine that compiles
        has the capabilities `needs`: `@experiment.build`, or `@experiment.build(needs=["jdk"])`."""
        if function is None:
            return lambda function: self.build(function, needs=needs)
        self._build, self.build_needs = function, tuple(needs)
        return function

    def uses(self, function):
        """Decorator: `function() -> {tool: version}` names the tools whose version decides what is measured."""
        self._tools = function
        return function

    def tools(self):
        """Return {tool: version} of the tools that the experiment uses."""
        if self._tools_found is None:
            self._tools_found = dict(self._tools()) if self._tools else {}
        return self._tools_found

    def capabilities(self, cell):
        """Return the capabilities that `cell` needs, as a list of names."""
        return list(self._needs(cell)) if self._needs else []

    def is_valid(self, cell):
        """Say whether the cell's combination of levels makes sense."""
        return bool(self._valid(cell)) if self._valid else True

    def scale(self, name):
        """Return the `Scale` of that name; raises `UserError` for an unknown one."""
        if name not in self.scales:
            raise UserError(f'scale "{name}" not found{did_you_mean(name, SCALES)} (there are: {", ".join(SCALES)})')
        return self.scales[name]

    def cells(self, scale_name):
        """Return the valid cells at a scale, in declared order, the twin last."""
        scale = self.scale(scale_name)
        axes = [scale.levels.get(factor.name, factor.levels) for factor in self.factors]
        names = [factor.name for factor in self.factors]
        cells = [make_cell(zip(names, levels)) for levels in itertools.product(*axes)]
        cells = [cell for cell in cells if self.is_valid(cell)]
        if not cells:
            raise SpecError(f'{self.name}: no valid cell at scale "{scale_name}"; widen its levels or valid()')
        cells += self._twin_cells(scale_name, cells)
        ids = [cell.id for cell in cells]
        if len(set(ids)) != len(ids):
            twice = next(name for name in ids if ids.count(name) > 1)
            raise SpecError(f'{self.name}: two cells are both called "{twice}"; choose other names for the levels')
        return cells

    def _twin_cells(self, scale_name, cells):
        if self.twin is None:
            return []
        ordered = {factor.name: self.twin[factor.name] for factor in self.factors}
        original = make_cell(ordered)
        if original not in cells:
            raise SpecError(f'{self.name}: the twin\'s cell "{original.id}" is not measured at scale "{scale_name}"')
        return [make_cell(ordered, twin=True)]

    def describe(self):
        """Return what is declared as plain data, for Parquet metadata and `--json`."""
        return {
            "name": self.name,
            "title": self.title,
            "question": self.question,
            "roles": list(self.roles),
            "factors": [
                {"name": f.name, "levels": list(f.levels), "unit": f.unit, "meaning": f.meaning} for f in self.factors
            ],
            "metrics": [vars(metric).copy() for metric in self.metrics],
            "evidence": [vars(evidence).copy() for evidence in self.evidence],
            "twin": self.twin,
        }
