"""Which observations of a trial are which: their levels of the factors that vary within a trial."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from benchpaper.core.errors import did_you_mean, first_few
from benchpaper.results.distribution import InvalidObservation

Levels = dict[str, Any]


def level_of_row(described: Mapping[str, Any], observation: Mapping[str, Any]) -> Levels:
    """Return {factor: level} of an observation; empty if it belongs to the whole trial.

    Raises `InvalidObservation` if it gives some of the factors only, or an undeclared level.
    """
    inner = {factor["name"]: factor["levels"] for factor in described.get("within", [])}
    given = {name: observation[name] for name in inner if observation.get(name) is not None}
    if given and (lacking := [name for name in inner if name not in given]):
        raise InvalidObservation(
            f"an observation gives {_shown(given)}, but no {lacking[0]}; give a level of each "
            "factor in within, or of none if it belongs to the whole trial"
        )
    return {name: _level(name, level, inner[name]) for name, level in given.items()}


def _level(name: str, level: Any, declared: list[Any]) -> Any:
    level = level.item() if isinstance(level, np.generic) else level
    for known in declared:
        if type(level) is type(known) and level == known:
            return known
    raise InvalidObservation(
        f"{name}={level!r} is not a level of within{did_you_mean(level, declared)} (there are: "
        f"{first_few(declared, 8)}); declare it: Factor({name!r}, [...])"
    )


class Rows:
    """The observations of a trial so far; `add` refuses one that the results could not tell apart.

    It runs at each yield, so that a mistake ends the trial at once. An optional metric may come in
    several observations without levels: their order tells them apart.
    """

    def __init__(self, described: Mapping[str, Any]):
        self._described = described
        self._metrics = {metric["name"]: metric["optional"] for metric in described["metrics"]}
        self._seen: dict[str, set[tuple[Any, ...]]] = {}

    def add(self, observation: Any) -> None:
        """Take in what the trial yielded. Raises `InvalidObservation`."""
        if not isinstance(observation, dict):
            return  # `check_observation` says so
        levels = level_of_row(self._described, observation)
        place = tuple(levels.values())
        for name, value in observation.items():
            if name in self._metrics and value is not None:
                self._add(name, place, levels)

    def _add(self, metric: str, place: tuple[Any, ...], levels: Levels) -> None:
        seen = self._seen.setdefault(metric, set())
        if place in seen and levels:
            raise InvalidObservation(
                f'the trial yields "{metric}" twice at {_shown(levels)}; yield each level once'
            )
        if place in seen and not self._metrics[metric]:
            raise InvalidObservation(
                f'the trial yields "{metric}" twice, and nothing tells the values apart; yield one '
                f"{self._remedy()}"
            )
        if seen and bool(place) != bool(next(iter(seen))):
            inner = " and ".join(factor["name"] for factor in self._described["within"])
            raise InvalidObservation(
                f'the trial yields "{metric}" both with and without {inner}; '
                "declare a second metric for the whole trial"
            )
        seen.add(place)

    def _remedy(self) -> str:
        if inner := [factor["name"] for factor in self._described.get("within", [])]:
            return f"in all, or give a level of {' and '.join(inner)} with each"
        return (
            'in all, keep "all samples" of it, or declare what they differ in: '
            "Experiment(within=[Factor(...)])"
        )


def _shown(levels: Levels) -> str:
    return ", ".join(f"{name}={level}" for name, level in levels.items())
