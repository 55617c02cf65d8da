"""What an experiment declares: its parts (see `declarations`), and the code that runs one cell.

An `Experiment` is built at import time and validates itself then, so that a mistake is found before
anything runs. Nothing here measures.
"""

import copy
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, overload

from benchpaper.core.errors import UserError, did_you_mean
from benchpaper.design.checks import SpecError, check_name, check_number, check_text
from benchpaper.design.controls import check_parts, checked_controls
from benchpaper.design.declarations import (
    Cell,
    Evidence,
    Factor,
    Metric,
    Scale,
    check_distinct,
    check_levels,
    described,
    factors_within,
    make_cell,
)
from benchpaper.design.environments import Environment, Environments
from benchpaper.design.inputs import Input, check_inputs
from benchpaper.design.levels import Level, null_of
from benchpaper.design.replication import Block

__all__ = [
    "Cell", "Evidence", "Experiment", "Factor", "Metric", "Scale", "SpecError", "make_cell",
    "null_of",
]  # fmt: skip

Trial = TypeVar("Trial", bound=Callable[..., Iterable[dict[str, Any]]])
Valid = TypeVar("Valid", bound=Callable[[Cell], bool])
Needs = TypeVar("Needs", bound=Callable[[Cell], Iterable[str]])
Build = TypeVar("Build", bound=Callable[[Path], object])
Uses = TypeVar("Uses", bound=Callable[[], Mapping[str, str]])


class Experiment:
    """One question, its factors, metrics and the code that runs one cell.

    Decorators attach the functions: `@experiment.trial` (`trial(cell, site)` yields dicts of
    metrics and evidence), `@experiment.valid` (which cells make sense), `@experiment.needs`
    (capabilities of a cell), `@experiment.uses` (versions of tools) and `@experiment.build`
    (`build(folder)` compiles the programs).

    The catalog sets `name`, from the folder. `packages` are the locked Python packages that the
    trial's programs import or run on the target hosts; only these are sent to a remote host. `twin`
    names the levels of the noisiest real cell. `null` is {factor: level} of the load generator
    against nothing; by default the level called "null", if a factor has it. `controls` is {factor:
    levels} of what is no real system, as a store in memory. `within` are factors that vary
    within a trial, which yields an observation for each of their levels. `block` says what blocks
    differ in: time, seeds, traces, or data sets. `inputs` are the data that trials read (see
    `Input`). `environment` is what the trial's commands run in: `Container`, `Conda`, or `Module`,
    or {role: one of these}. A trial has at most `attempts` tries, each of at most `timeout_s` s.

    Without `scales` and without a trial, nothing is measured: all results are imported.

    Raises `SpecError` for a declaration that breaks a rule.
    """

    def __init__(
        self,
        *,
        title: str,
        question: str,
        factors: Iterable[Factor],
        metrics: Iterable[Metric],
        scales: Mapping[str, Scale] | None = None,
        evidence: Iterable[Evidence] = (),
        roles: Iterable[str] = ("client",),
        packages: Iterable[str] = (),
        twin: Mapping[str, Level] | None = None,
        null: Mapping[str, Level] | None = None,
        controls: Mapping[str, Iterable[Level]] | None = None,
        within: Iterable[Factor] = (),
        block: Block = Block(),  # noqa: B008  (it cannot change)
        inputs: Iterable[Input] = (),
        environment: Environment | Mapping[str, Environment] | None = None,
        attempts: int = 2,
        timeout_s: float = 60.0,
    ):
        for what, names in (("roles", roles), ("packages", packages)):
            if isinstance(names, str):
                raise SpecError(f"{what} {names!r} must be a list of names")
        self.name = ""
        self.title, self.question = title, question
        self.factors, self.metrics, self.evidence = tuple(factors), tuple(metrics), tuple(evidence)
        self.within = factors_within(within)
        self.is_imported = scales is None  # nothing is measured: all results are imported
        self.roles, self.packages, self.scales = tuple(roles), tuple(packages), dict(scales or {})
        self.twin = dict(twin) if twin else None
        levels = {factor.name: factor.levels for factor in self.factors}
        self.null = dict(null) if null else null_of(levels)
        self.controls = checked_controls(self.factors, controls)
        self.inputs = check_inputs(inputs)
        self.environments = Environments.of(environment, self.roles)
        self.block, self.attempts, self.timeout_s = block, attempts, timeout_s
        self._trial: Callable[..., Iterable[dict[str, Any]]] | None = None
        self._valid: Callable[[Cell], bool] | None = None
        self._needs: Callable[[Cell], Iterable[str]] | None = None
        self._build: Callable[[Path], object] | None = None
        self._tools: Callable[[], Mapping[str, str]] | None = None
        self._tools_found: dict[str, str] | None = None
        self.build_needs: tuple[str, ...] = ()
        self._check()

    def _check(self) -> None:
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
        check_distinct((*self.factors, *self.within, *self.metrics, *self.evidence))
        if not self.scales and not self.is_imported:
            raise SpecError("an experiment needs at least one scale")
        if not isinstance(self.block, Block):
            raise SpecError(f'block={self.block!r} must be a Block, as Block(over="trace", ...)')
        for name, scale in self.scales.items():
            self._check_scale(name, scale)
            self.scales[name] = self._counted(name, scale)
        check_parts(self.factors, self.twin, self.null, self.controls)

    def check_scales(self, names: Sequence[str]) -> None:
        """Raise `SpecError` unless the experiment declares just the scales of its project."""
        if self.is_imported:
            return
        if missing := [name for name in names if name not in self.scales]:
            raise SpecError(
                f"scales lack {', '.join(missing)}; every experiment declares {', '.join(names)}"
            )
        for name in self.scales:
            if name not in names:
                raise SpecError(
                    f'scale "{name}" is not one of {", ".join(names)}{did_you_mean(name, names)}'
                )

    def _check_scale(self, name: str, scale: Scale) -> None:
        if scale.pilot is not None and self.twin is None:
            raise SpecError(
                f'scale "{name}": a pilot needs a twin: the spread of the noisiest cell decides'
            )
        for factor_name, levels in scale.levels.items():
            for level in levels:
                check_levels(f'scale "{name}"', self.factors, {factor_name: level})
            if len(set(levels)) != len(levels):
                raise SpecError(f'scale "{name}": {factor_name} has a level twice: {list(levels)}')

    def _counted(self, name: str, scale: Scale) -> Scale:
        """Return the scale with its number of blocks, which may follow from the block's levels."""
        counted = copy.copy(scale)
        counted.blocks = self.block.count(name, scale.blocks)
        return counted

    def trial(self, function: Trial) -> Trial:
        """Decorator: `function(cell, site)` runs one cell and yields its observations."""
        self._trial = function
        return function

    def valid(self, function: Valid) -> Valid:
        """Decorator: `function(cell) -> bool` says whether a combination of levels makes sense."""
        self._valid = function
        return function

    def needs(self, function: Needs) -> Needs:
        """Decorator: `function(cell)` returns the names of the capabilities that the cell needs."""
        self._needs = function
        return function

    @overload
    def build(self, function: Build) -> Build: ...

    @overload
    def build(self, *, needs: Sequence[str]) -> Callable[[Build], Build]: ...

    def build(self, function: Any = None, *, needs: Sequence[str] = ("cc",)) -> Any:
        """Decorator: `function(folder)` compiles the experiment's programs into `folder`.

        The compiling machine must have the capabilities `needs`. Write `@experiment.build`, or
        `@experiment.build(needs=["maven_jars"])`.
        """
        if function is None:
            return lambda function: self._set_build(function, needs)
        return self._set_build(function, needs)

    def _set_build(self, function: Build, needs: Sequence[str]) -> Build:
        self._build, self.build_needs = function, tuple(needs)
        return function

    def uses(self, function: Uses) -> Uses:
        """Decorator: `function() -> {tool: version}` names the tools that affect the results."""
        self._tools = function
        return function

    def tools(self) -> dict[str, str]:
        """Return {tool: version} of the tools that the experiment uses."""
        if self._tools_found is None:
            self._tools_found = dict(self._tools()) if self._tools else {}
        return self._tools_found

    def capabilities(self, cell: Cell) -> list[str]:
        """Return the names of the capabilities that `cell` needs, environments included."""
        needs = self._needs(cell) if self._needs else ()
        return list(dict.fromkeys([*needs, *self.environments.names.values()]))

    def is_valid(self, cell: Cell) -> bool:
        """Return whether the cell's combination of levels makes sense."""
        return bool(self._valid(cell)) if self._valid else True

    def scale(self, name: str) -> Scale:
        """Return the `Scale` of that name.

        Raises `UserError` for an unknown one, and if nothing is measured.
        """
        if self.is_imported:
            raise UserError(
                f"{self.name} has no scales, because its results are imported; nothing is measured"
            )
        if name not in self.scales:
            raise UserError(
                f'scale "{name}" not found{did_you_mean(name, self.scales)} '
                f"(there are: {', '.join(self.scales)})"
            )
        return self.scales[name]

    def cells(self, scale_name: str) -> list[Cell]:
        """Return the valid cells at a scale, in declared order, the twin last.

        If nothing is measured, these are all valid cells.
        """
        chosen = {} if self.is_imported else self.scale(scale_name).levels
        axes = [chosen.get(factor.name, factor.levels) for factor in self.factors]
        names = [factor.name for factor in self.factors]
        cells = [make_cell(zip(names, levels, strict=True)) for levels in itertools.product(*axes)]
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
                f'{self.name}: two cells are both called "{twice}"; '
                "choose other names for the levels"
            )
        return cells

    def _twin_cells(self, scale_name: str, cells: Sequence[Cell]) -> list[Cell]:
        if self.twin is None:
            return []
        ordered = {factor.name: self.twin[factor.name] for factor in self.factors}
        original = make_cell(ordered)
        if original not in cells:
            raise SpecError(
                f'{self.name}: the twin\'s cell "{original.id}" is not measured '
                f'at scale "{scale_name}"'
            )
        return [make_cell(ordered, twin=True)]

    def describe(self) -> dict[str, Any]:
        """Return the declaration as plain data, for Parquet metadata and `--json`.

        Blocks in time, no inner factors, and no controls are left out: older results have none.
        """
        block = {"block": vars(self.block).copy()} if self.block.has_levels else {}
        within = {"within": described(self.within)} if self.within else {}
        controls = {"controls": self.controls} if self.controls else {}
        return {
            "name": self.name,
            "title": self.title,
            "question": self.question,
            "roles": list(self.roles),
            "factors": described(self.factors),
            "metrics": [metric.describe() for metric in self.metrics],
            "evidence": [vars(evidence).copy() for evidence in self.evidence],
            "twin": self.twin,
            "null": self.null,
            **block,
            **within,
            **controls,
        }
