"""What an experiment declares: factors, metrics, scales (see `parts`), and the code that runs one cell.

An `Experiment` is built at import time and validates itself then, so that a mistake is found before anything
runs. Nothing here measures.
"""

import itertools

from benchpaper.core.errors import UserError, did_you_mean
from benchpaper.design.declarations import (
    SCALES,
    Cell,
    Evidence,
    Factor,
    Metric,
    Scale,
    SpecError,
    check_name,
    check_number,
    check_text,
    make_cell,
)

__all__ = [
    "SCALES",
    "Cell",
    "Evidence",
    "Experiment",
    "Factor",
    "Metric",
    "Scale",
    "SpecError",
    "make_cell",
    "null_of",
]
NULL = "null"  # by convention the level of a factor that means: the load generator against nothing


def null_of(factors):
    """Return {factor: level} of the null target by convention, of {factor: levels}: the one factor with the level
    "null". None without one; raises `SpecError` where several have it, since then it has to be declared."""
    found = [name for name, levels in factors.items() if NULL in levels]
    if len(found) > 1:
        raise SpecError(
            f'{" and ".join(found)} both have the level "{NULL}"; say which is the null target: null=dict(...)'
        )
    return {found[0]: NULL} if found else None


class Experiment:
    """One question, its factors, metrics and the code that runs one cell.

    The functions are attached by decorators: `@experiment.trial` (required; `trial(cell, site)` yields dicts of metrics
    and evidence), `@experiment.valid` (which cells make sense), `@experiment.needs` (capabilities of a cell),
    `@experiment.uses` (versions of tools) and `@experiment.build` (`build(folder)` compiles the programs). `name` is
    given by the catalog, from the folder. `packages` are the locked Python packages that the trial's programs import or
    run on the target hosts: those alone are sent to a remote one. `twin` names the levels of the noisiest cell, `null`
    the level that is the load generator against nothing, as {factor: level}: by default the one called "null", if a
    factor has it; `attempts` and `timeout_s` bound a trial.
    """

    def __init__(
        self,
        *,
        title,
        question,
        factors,
        metrics,
        scales,
        evidence=(),
        roles=("client",),
        packages=(),
        twin=None,
        null=None,
        attempts=2,
        timeout_s=60.0,
    ):
        for what, names in (("roles", roles), ("packages", packages)):
            if isinstance(names, str):
                raise SpecError(f"{what} {names!r} must be a list of names")
        self.name = None
        self.title, self.question = title, question
        self.factors, self.metrics, self.evidence = tuple(factors), tuple(metrics), tuple(evidence)
        self.roles, self.packages, self.scales = tuple(roles), tuple(packages), dict(scales)
        self.twin = dict(twin) if twin else None
        self.null = (
            dict(null) if null else null_of({factor.name: factor.levels for factor in self.factors})
        )
        self.attempts, self.timeout_s = attempts, timeout_s
        self._valid = self._needs = self._build = self._trial = self._tools = None
        self._tools_found = None
        self.build_needs = ()
        self._check()

    def _check(self):
        for kind, text in (("title", self.title), ("question", self.question)):
            if not text:
                raise SpecError(f"an experiment needs a {kind}")
            check_text(kind, text)
        if not self.metrics:
            raise SpecError("an experiment needs at least one metric")
        for role in self.roles:
            check_name("role", role)
        if type(self.attempts) is not int or self.attempts < 1:
            raise SpecError(f"attempts={self.attempts!r} must be a whole number of at least 1")
        check_number("timeout_s", self.timeout_s, above=0)
        names = [part.name for part in (*self.factors, *self.metrics, *self.evidence)]
        for name in names:
            if names.count(name) > 1:
                raise SpecError(
                    f'"{name}" is declared twice; factors, metrics and evidence share one table'
                )
        if missing := [name for name in SCALES if name not in self.scales]:
            raise SpecError(
                f"scales lack {', '.join(missing)}; every experiment declares {', '.join(SCALES)}"
            )
        for name, scale in self.scales.items():
            self._check_scale(name, scale)
        if self.twin is not None:
            self._check_levels("twin", self.twin)
            if missing := [f.name for f in self.factors if f.name not in self.twin]:
                raise SpecError(f"twin gives no level for {', '.join(missing)}")
        if self.null is not None:
            self._check_levels("null", self.null)
            if len(self.null) != 1:
                raise SpecError(
                    f'null={self.null} must be one level of one factor, as null=dict(path="null")'
                )

    def _check_scale(self, name, scale):
        if name not in SCALES:
            raise SpecError(
                f'scale "{name}" is not one of {", ".join(SCALES)}{did_you_mean(name, SCALES)}'
            )
        if scale.pilot is not None and self.twin is None:
            raise SpecError(
                f'scale "{name}": a pilot needs a twin: the spread of the noisiest cell decides'
            )
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
                    f"{where}: {name}={level!r} is not a level{did_you_mean(level, factor.levels)} "
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
        """Decorator: `function(folder)` compiles the experiment's programs into `folder`, where the machine that
        compiles has the capabilities `needs`: `@experiment.build`, or `@experiment.build(needs=["jdk"])`."""
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
            raise UserError(
                f'scale "{name}" not found{did_you_mean(name, SCALES)} (there are: {", ".join(SCALES)})'
            )
        return self.scales[name]

    def cells(self, scale_name):
        """Return the valid cells at a scale, in declared order, the twin last."""
        scale = self.scale(scale_name)
        axes = [scale.levels.get(factor.name, factor.levels) for factor in self.factors]
        names = [factor.name for factor in self.factors]
        cells = [make_cell(zip(names, levels)) for levels in itertools.product(*axes)]
        cells = [cell for cell in cells if self.is_valid(cell)]
        if not cells:
            raise SpecError(
                f'{self.name}: no valid cell at scale "{scale_name}"; widen its levels or valid()'
            )
        cells += self._twin_cells(scale_name, cells)
        ids = [cell.id for cell in cells]
        if len(set(ids)) != len(ids):
            twice = next(name for name in ids if ids.count(name) > 1)
            raise SpecError(
                f'{self.name}: two cells are both called "{twice}"; choose other names for the levels'
            )
        return cells

    def _twin_cells(self, scale_name, cells):
        if self.twin is None:
            return []
        ordered = {factor.name: self.twin[factor.name] for factor in self.factors}
        original = make_cell(ordered)
        if original not in cells:
            raise SpecError(
                f'{self.name}: the twin\'s cell "{original.id}" is not measured at scale "{scale_name}"'
            )
        return [make_cell(ordered, twin=True)]

    def describe(self):
        """Return what is declared as plain data, for Parquet metadata and `--json`."""
        return {
            "name": self.name,
            "title": self.title,
            "question": self.question,
            "roles": list(self.roles),
            "factors": [
                {"name": f.name, "levels": list(f.levels), "unit": f.unit, "meaning": f.meaning}
                for f in self.factors
            ],
            "metrics": [vars(metric).copy() for metric in self.metrics],
            "evidence": [vars(evidence).copy() for evidence in self.evidence],
            "twin": self.twin,
            "null": self.null,
        }
