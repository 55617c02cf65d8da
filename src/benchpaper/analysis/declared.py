"""What an experiment declares, as its results describe it, and where it was measured."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from benchpaper.core.errors import one_of
from benchpaper.design.replication import OVER_TIME
from benchpaper.design.spec import null_of
from benchpaper.results import BLOCK_LEVEL
from benchpaper.results.import_record import ImportRecord, record_of

if TYPE_CHECKING:
    import pandas as pd

ROW = "row"  # the number of an observation in its trial
Level: TypeAlias = Any  # a number, a text or a truth value
Description: TypeAlias = dict[str, Any]  # of an experiment or a metric, as in the results' metadata


class Declared:
    """Reads a `described` experiment."""

    described: Description
    controls: Mapping[str, Sequence[Level]]
    trial_df: "pd.DataFrame"
    observation_df: "pd.DataFrame"

    @property
    def experiment(self) -> str:
        """The experiment's name, as `net/latency`."""
        return str(self.described["name"])

    @property
    def factors(self) -> list[str]:
        """The names of the factors."""
        return [factor["name"] for factor in self.described["factors"]]

    @cached_property
    def imported(self) -> ImportRecord | None:
        """Where the results come from if others measured them; None if they were measured here."""
        return record_of(self.described)

    @property
    def block_over(self) -> str:
        """What the blocks differ in, as "seed"; by default "time"."""
        return str(self.described.get("block", {}).get("over", OVER_TIME))

    @property
    def block_columns(self) -> list[str]:
        """The column of both tables with the level of the block; empty for blocks in time."""
        return [BLOCK_LEVEL] if "block" in self.described else []

    @property
    def telling(self) -> Description:
        """The description of the main metric: the first with a direction, else the first."""
        metrics: list[Description] = self.described["metrics"]
        return next((metric for metric in metrics if metric["better"] != "neither"), metrics[0])

    @property
    def null(self) -> dict[str, Level] | None:
        """The level of the null target, as {factor: level}, or None.

        Results from before it was declared have it by convention.
        """
        declared: dict[str, Level] | None
        if "null" in self.described:
            declared = self.described["null"]
        else:
            factors = self.described["factors"]
            declared = null_of({factor["name"]: factor["levels"] for factor in factors})
        return declared

    @property
    def within(self) -> list[str]:
        """The names of the factors that vary within a trial.

        Without any, `row` numbers the observations, if a trial has several.
        """
        return [factor["name"] for factor in self._inner]

    @cached_property
    def _inner(self) -> list[Description]:
        """The factors of `within`, described."""
        last = self.observation_df[ROW].max() if len(self.observation_df) else 0
        numbered = {"name": ROW, "levels": list(range(int(last) + 1)), "unit": "", "meaning": ""}
        return self.described.get("within") or ([numbered] if last > 0 else [])

    def metric(self, name: str) -> Description:
        """Return the description of a metric; raises `UserError` for an unknown one."""
        metrics: dict[str, Description] = {
            metric["name"]: metric for metric in self.described["metrics"]
        }
        one_of(f"{self.experiment}: metric", name, metrics)
        return metrics[name]

    def declares(self, metric: str = "", **levels: Level) -> bool:
        """Return whether these results know a metric, and a level of each of these factors.

        Results that were measured before the code declared them do not; a notebook or a claim
        then shows a `gap`. Raises `UserError` for an unknown factor.
        """
        known = {factor["name"]: factor["levels"] for factor in self.described["factors"]}
        for name, level in levels.items():
            one_of(f"{self.experiment}: factor", name, known)
            if level not in known[name]:
                return False
        return not metric or any(each["name"] == metric for each in self.described["metrics"])

    def _checked_levels(self, name: str, wanted: Level) -> list[Level]:
        """Return a level, or a list of levels, of a factor as a list. Raises `UserError`."""
        factors = [*self.described["factors"], *self._inner]
        declared = next(f["levels"] for f in factors if f["name"] == name)
        chosen = list(wanted) if isinstance(wanted, (list, tuple)) else [wanted]
        for level in chosen:
            one_of(f"{self.experiment}: level of {name}", level, declared)
        return chosen

    @property
    def site(self) -> str:
        """The site on which the results were measured."""
        return str(self.trial_df["site"].iloc[0])

    @property
    def own(self) -> Self:
        """These results: other sites stand next to them only in `Sites`."""
        return self

    @property
    def others(self) -> dict[str, Self]:
        """Results of other sites: none."""
        return {}
