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
    pilot: int | None = None

    @property
    def trials(self):
        return [trial for block in self.blocks for trial in block]

    @property
    def known_blocks(self) -> int:
        """By how many blocks the plan is known: a pilot's stay as they are when others join them."""
        return self.pilot or len(self.blocks)

    @property
    def digest(self):
        """SHA-256 over the order of all trials: two plans are the same when their digests are. A plan with a pilot is
        known by the pilot's blocks."""
        known_by = [trial for block in self.blocks[: self.known_blocks] for trial in block]
        text = "\n".join(f"{t.block} {t.position} {t.seed} {t.cell.id}" for t in known_by)
        return hashlib.sha256(text.encode()).hexdigest()


def make_plan(experiment, scale, seed=DEFAULT_SEED, measured_seconds=None, fixed_blocks=None):
    """Return the `Plan` of an experiment at a scale.

    `measured_seconds` maps a cell's id to the seconds that a trial of it took before, when that is known; the
    other cells are priced at the scale's announced `trial_seconds`. `fixed_blocks` is the number of blocks that was
    fixed after the scale's pilot, if it has one; before, the plan is the pilot alone.
    """
    if type(seed) is not int or not 0 <= seed < 2**63:
        raise UserError(f"seed {seed!r} must be a whole number from 0 to 2**63 - 1")
    chosen = experiment.scale(scale)
    cells = experiment.cells(scale)
    count = fixed_blocks or chosen.pilot or chosen.blocks
    blocks = tuple(_order(experiment.name, seed, block, cells) for block in range(count))
    known = measured_seconds or {}
    per_block = sum(known.get(cell.id, chosen.trial_seconds) for cell in cells)
    return Plan(experiment.name, scale, seed, blocks, per_block * count, chosen.disk_mb, chosen.pilot)


def _order(name, seed, block, cells):
    def draw(cell):
        return hashlib.sha256(f"{seed}\n{name}\n{block}\n{cell.id}".encode()).digest()

    ordered = sorted(cells, key=draw)
    return tuple(
        PlannedTrial(block, position, cell, int.from_bytes(draw(cell)[:4], "big"))
        for position, cell in enumerate(ordered)
    )
