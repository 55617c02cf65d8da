"""The replication unit: what an experiment repeats its cells over, and what one block is."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchpaper.design.checks import NAME, SpecError, check_text
from benchpaper.design.levels import Level, checked_levels

OVER_TIME, OVER_SEEDS = "time", "seed"


@dataclass(frozen=True)
class Block:
    """What an experiment repeats its cells over. A block measures every cell once.

    By default the blocks follow one another in time. Otherwise `over` says in one word what they
    differ in, and `levels` has one level per block: `Block(over="seed", levels=range(1, 11))`,
    `Block(over="trace", levels=["web", "mail"])`. The order of such blocks means nothing, so they
    are not tested for drift, and values that are equal in all of them are deterministic. The levels
    of `over="seed"` are the seeds: whole numbers of at least 0.
    """

    over: str = OVER_TIME
    levels: Sequence[Level] = ()
    unit: str = ""
    meaning: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.over, str) or not NAME.fullmatch(self.over):
            raise SpecError(
                f'Block(over={self.over!r}) must match {NAME.pattern}, such as "seed" or "trace"'
            )
        for what, text in (("unit", self.unit), ("meaning", self.meaning)):
            check_text(f"{self._what}: {what}", text)
        if not self.has_levels:
            if self.levels:
                raise SpecError(
                    f"{self._what} has no levels; say what the blocks differ in: "
                    'Block(over="trace", levels=[...])'
                )
            return
        object.__setattr__(self, "levels", checked_levels(self._what, self.levels))
        if self.over == OVER_SEEDS and not all(type(n) is int and n >= 0 for n in self.levels):
            raise SpecError(f"{self._what}: seeds must be whole numbers of at least 0")

    @property
    def _what(self) -> str:
        return f'Block(over="{self.over}")'

    @property
    def has_levels(self) -> bool:
        """Whether each block has a level of its own, so that their order means nothing."""
        return self.over != OVER_TIME

    def count(self, scale: str, blocks: int) -> int:
        """Return the number of blocks at a scale that declares `blocks`; 0 stands for all levels.

        Raises `SpecError` if there are not that many levels.
        """
        if not self.has_levels:
            if not blocks:
                raise SpecError(
                    f'scale "{scale}" has no number of blocks; give Scale(blocks=...), '
                    'or the experiment a block=Block(over="seed", levels=[...])'
                )
            return blocks
        if blocks > len(self.levels):
            raise SpecError(
                f'scale "{scale}": blocks={blocks}, but {self._what} has {len(self.levels)} '
                "levels, and each block needs its own; add levels, or leave blocks out"
            )
        return blocks or len(self.levels)


@dataclass(frozen=True)
class PlannedBlock:
    """A block of a plan, which a trial gets as `site.block`.

    `number` counts from 0. `seed` is the same for all cells of the block. `level` is that of the
    replication unit, and None for blocks in time.
    """

    number: int
    seed: int
    level: Level | None = None
