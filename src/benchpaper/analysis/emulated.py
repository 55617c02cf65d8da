"""Keeps what emulated machines cannot measure out of all estimates (see `core.emulation`)."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from benchpaper.analysis.declared import Description
from benchpaper.core.emulation import is_emulated, refusal
from benchpaper.results import WITH_VALUES

if TYPE_CHECKING:
    import pandas as pd


def why_not(metric: Description, trials: "pd.DataFrame") -> str:
    """Return why a metric of these trials is no result, as one line; "" if it is one."""
    hosts = trials.loc[trials["state"].isin(WITH_VALUES), "hosts"]
    return refusal(metric, sum(map(is_emulated, hosts)), len(hosts))


def without_times(
    metrics: Iterable[Description], trial_df: "pd.DataFrame", observation_df: "pd.DataFrame"
) -> "pd.DataFrame":
    """Return the observations without what emulated machines measured and cannot measure.

    Notebooks also read the table itself, so the values must not be there.
    """
    emulated = trial_df[[is_emulated(hosts) for hosts in trial_df["hosts"]]]
    if emulated.empty:
        return observation_df
    places = set(emulated[["block", "cell"]].itertuples(index=False, name=None))
    rows = [
        place in places
        for place in zip(observation_df["block"], observation_df["cell"], strict=True)
    ]
    kept: dict[str, Any] = {
        metric["name"]: observation_df[metric["name"]].mask(rows)
        for metric in metrics
        if not metric.get("emulation")
    }
    return observation_df.assign(**kept)
