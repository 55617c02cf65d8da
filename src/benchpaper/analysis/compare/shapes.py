"""Whether two sides order the cells alike: rank agreement, and pairs of cells that trade places."""

from dataclasses import dataclass
from itertools import combinations
from math import log
from typing import Any

import numpy as np
import pandas as pd

from benchpaper.analysis import stats
from benchpaper.analysis.compare.pairs import Pair, UnknownFloors, noise, series
from benchpaper.analysis.compare.ratios import shown_ratio
from benchpaper.analysis.tables import Description
from benchpaper.analysis.values import digits


@dataclass(frozen=True)
class Shape:
    """Rank agreement of two sides in a metric: Kendall's tau over a number of `cells`, as text too.

    `tau` is None without ranks.
    """

    metric: str
    cells: int
    tau: stats.MaybeInterval | None
    text: str

    def to_json(self) -> dict[str, Any]:
        """Return the agreement as plain data."""
        return {
            "metric": self.metric,
            "cells": self.cells,
            "tau": self.tau and self.tau.estimate,
            "low": self.tau and self.tau.low,
            "high": self.tau and self.tau.high,
            "text": self.text,
        }


@dataclass(frozen=True)
class Crossover:
    """Two cells whose order differs between the sides, with their ratio on each."""

    cells: tuple[str, str]
    here: str
    reference: str


def shape(pair: Pair, metric: Description) -> Shape:
    """Return Kendall's tau between the two sides' values of a metric, over their common cells."""
    levels = np.array(
        [
            [stats.median_interval(side.to_numpy()).estimate for side in both]
            for cell in pair.rows(metric["name"])
            if (both := series(pair, metric["name"], cell))
        ]
    )
    try:
        tau = stats.rank_agreement(*(levels.T if len(levels) else ([], [])))
    except ValueError:
        text = f"no ranks: {len(levels)} cells have a value on both sides, or all have the same"
        return Shape(metric["name"], len(levels), None, text)
    interval = ""
    if tau.decidable:
        interval = f" [{digits(tau.low, tau.estimate)}, {digits(tau.high, tau.estimate)}]"
    text = (
        f"rank agreement {digits(tau.estimate)}{interval} over {tau.n} cells "
        "(1: the same order, 0: none, -1: reversed)"
    )
    return Shape(metric["name"], len(levels), tau, text)


def crossovers(pair: Pair, metric: str) -> list[Crossover]:
    """Return the pairs of cells whose order is decided on both sides, and opposite.

    A side decides by the ratio within its blocks, against its own noise floor.
    """
    floors = noise(pair, metric)
    if isinstance(floors, UnknownFloors):
        return []
    values = {
        cell: both
        for cell in pair.rows(metric)
        if (both := series(pair, metric, cell)) and min(side.min() for side in both) > 0
    }
    crossed: list[Crossover] = []
    for a, b in combinations(values, 2):
        here = _decided_ratio(values[a][0], values[b][0], floors.here)
        reference = _decided_ratio(values[a][1], values[b][1], floors.reference)
        if here and reference and (here.estimate > 1) != (reference.estimate > 1):
            crossed.append(Crossover((a, b), shown_ratio(here), shown_ratio(reference)))
    return crossed


def _decided_ratio(a: pd.Series, b: pd.Series, floor: float) -> stats.Interval | None:
    """Return the ratio a/b within blocks if it is decided, else None; `floor` is relative."""
    both = a.index.intersection(b.index)
    if len(both) < stats.MIN_BLOCKS:
        return None
    ratio = stats.paired_ratio(a[both].to_numpy(), b[both].to_numpy())
    if not ratio.decidable or ratio.low <= 1 <= ratio.high:
        return None
    return ratio if abs(log(ratio.estimate)) > log(1 + floor) else None
