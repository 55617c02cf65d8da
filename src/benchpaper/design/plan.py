"""Which cells are measured, in which order, and what that costs.

A block is one complete measurement of an experiment: every cell once, in a fresh random order (a
randomised complete block), so that drift of the machine affects every cell alike. The order comes
from hashing: a cell's place in a block depends only on seed, experiment, block, and cell, on every
machine and Python version.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from benchpaper.core.errors import UserError
from benchpaper.design.replication import OVER_SEEDS, PlannedBlock
from benchpaper.design.spec import Cell, Experiment

DEFAULT_SEED = 1


@dataclass(frozen=True)
class PlannedTrial:
    """One cell at its place in the block `of_block`. `seed` is for its own random choices."""

    of_block: PlannedBlock
    position: int
    cell: Cell
    seed: int

    @property
    def block(self) -> int:
        """The number of the block."""
        return self.of_block.number

    @property
    def identity(self) -> tuple[Any, ...]:
        """What the plan's digest says of the trial, with the level of its block if it has one."""
        level = () if self.of_block.level is None else (self.of_block.level,)
        return self.block, self.position, self.seed, self.cell.id, *level


@dataclass(frozen=True)
class Plan:
    """Everything that one run of an experiment will measure, and its price in time and disk.

    `seconds` are those of all trials, and `cell_seconds` is {cell: seconds of one trial}.
    """

    experiment: str
    scale: str
    seed: int
    blocks: tuple[tuple[PlannedTrial, ...], ...]
    seconds: float
    disk_mb: float
    cell_seconds: Mapping[str, float]
    pilot: int | None = None

    @property
    def trials(self) -> list[PlannedTrial]:
        return [trial for block in self.blocks for trial in block]

    @property
    def known_blocks(self) -> int:
        """The number of blocks that identify the plan: a pilot stays when more blocks follow."""
        return self.pilot or len(self.blocks)

    @property
    def digest(self) -> str:
        """SHA-256 over the order of all trials, as hex; with a pilot, over the pilot's trials.

        Two plans are the same if their digests are.
        """
        trials = [trial for block in self.blocks[: self.known_blocks] for trial in block]
        return digest(trial.identity for trial in trials)


def digest(trials: Iterable[tuple[Any, ...]]) -> str:
    """Return the digest of a plan whose `trials`, in order, are (block, position, seed, cell).

    The level of the block follows, if it has one.
    """
    text = "\n".join(" ".join(map(str, trial)) for trial in trials)
    return hashlib.sha256(text.encode()).hexdigest()


def make_plan(
    experiment: Experiment,
    scale: str,
    seed: int = DEFAULT_SEED,
    measured_seconds: Mapping[str, float] | None = None,
    fixed_blocks: int | None = None,
) -> Plan:
    """Return the `Plan` of an experiment at a scale.

    `measured_seconds` maps a cell's id to the seconds that its trial took earlier; other cells cost
    the scale's announced `trial_seconds`. `fixed_blocks` is the number of blocks that was fixed
    after the scale's pilot; without it, the plan of a scale with a pilot is the pilot alone. Raises
    `UserError` for a bad seed or an unknown scale.
    """
    if type(seed) is not int or not 0 <= seed < 2**63:
        raise UserError(f"seed {seed!r} must be a whole number from 0 to 2**63 - 1")
    chosen = experiment.scale(scale)
    cells = experiment.cells(scale)
    count = fixed_blocks or chosen.pilot or chosen.blocks
    if experiment.block.has_levels and count > chosen.blocks:
        raise UserError(
            f"{experiment.name}: {count} blocks were fixed after a pilot, but scale {scale} has "
            f"{chosen.blocks}; restore the levels, or take the pilot again"
        )
    blocks = tuple(
        _order(experiment.name, seed, _block(experiment, seed, number), cells)
        for number in range(count)
    )
    known = measured_seconds or {}
    each = {cell.id: known.get(cell.id, chosen.trial_seconds) for cell in cells}
    seconds = sum(each.values()) * count
    return Plan(experiment.name, scale, seed, blocks, seconds, chosen.disk_mb, each, chosen.pilot)


def _block(experiment: Experiment, seed: int, number: int) -> PlannedBlock:
    """Return block `number`. Blocks over seeds have theirs; others draw one."""
    level = experiment.block.levels[number] if experiment.block.has_levels else None
    if experiment.block.over == OVER_SEEDS and isinstance(level, int):
        return PlannedBlock(number, level, level)
    drawn = hashlib.sha256(f"block\n{seed}\n{experiment.name}\n{number}".encode()).digest()
    return PlannedBlock(number, int.from_bytes(drawn[:4], "big"), level)


def _order(
    name: str, seed: int, block: PlannedBlock, cells: Iterable[Cell]
) -> tuple[PlannedTrial, ...]:
    def draw(cell: Cell) -> bytes:
        return hashlib.sha256(f"{seed}\n{name}\n{block.number}\n{cell.id}".encode()).digest()

    ordered = sorted(cells, key=draw)
    return tuple(
        PlannedTrial(block, position, cell, int.from_bytes(draw(cell)[:4], "big"))
        for position, cell in enumerate(ordered)
    )
