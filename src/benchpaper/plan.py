"""Which cells are measured, in which order, and what that costs.

A block is one repetition of the whole experiment, every cell once in a fresh random order (a randomised complete
block), so that drift of the machine hits every cell alike. The order comes from hashing: a cell's place in a block
depends on seed, experiment, block and cell alone, on every machine and Python version.
"""

import hashlib
from dataclasses import dataclass

from benchpaper.errors import UserError
from benchpaper.spec import Cell

DEFAULT_SEED = 1


@dataclass(frozen=True)
class PlannedTrial:
    """One cell at its place in a block. `seed` is for the trial's own random choices."""

    block: int
    position: int
    cell: Cell
    seed: int


@dataclass(frozen=True)
class Plan:
    """Everything that one run of an experiment will measure."""

    experiment: str
    scale: str
    seed: int
    blocks: tuple
    seconds: float
    disk_mb: float

    @property
    def trials(self):
        return [trial for block in self.blocks for trial in block]

    @property
    def digest(self):
        """SHA-256 over the order of all trials: two plans are the same when their digests are."""
        text = "\n".join(f"{t.block} {t.position} {t.seed} {t.cell.id}" for t in self.trials)
        return hashlib.sha256(text.encode()).hexdigest()


def make_plan(experiment, scale, seed=DEFAULT_SEED, measured_seconds=None):
    """Return the `Plan` of an experiment at a scale.

    `measured_seconds` maps a cell's id to the seconds that a trial of it took before, when that is known; the
    other cells are priced at the scale's announced `trial_seconds`.
    """
    if type(seed) is not int or seed < 0:
        raise UserError(f"seed {seed!r} must be a whole number of at least 0")
    chosen = experiment.scale(scale)
    cells = experiment.cells(scale)
    blocks = tuple(_order(experiment.name, seed, block, cells) for block in range(chosen.blocks))
    known = measured_seconds or {}
    per_block = sum(known.get(cell.id, chosen.trial_seconds) for cell in cells)
    return Plan(experiment.name, scale, seed, blocks, per_block * chosen.blocks, chosen.disk_mb)


def _order(name, seed, block, cells):
    def draw(cell):
        return hashlib.sha256(f"{seed}\n{name}\n{block}\n{cell.id}".encode()).digest()

    ordered = sorted(cells, key=draw)
    return tuple(
        PlannedTrial(block, position, cell, int.from_bytes(draw(cell)[:4], "big"))
        for position, cell in enumerate(ordered)
    )
