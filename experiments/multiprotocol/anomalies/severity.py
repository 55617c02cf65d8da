"""Severity of an occurrence: how long it lasts, whether anybody is told, and whether data is lost.

Severity is ordinal: its levels have an order, and no distance. Loss weighs most, then silence, then
time. A reader can wait out a state that passes; nobody can wait out a loss.

    6  silent loss   something acknowledged is lost, and every operation reported success
    5  told loss     something acknowledged is lost, and an operation failed
    4  lasting       nothing is lost, silent, and still so after `LASTING_S`
    3  while         nothing is lost, silent, and so for a second or longer
    2  moment        nothing is lost, silent, and over within a second
    1  told          nothing is lost, and an operation failed instead of answering wrongly
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

MOMENT_S = 1.0
LASTING_S = 60.0  # as long as the longest delay that the tested systems document
LOOK_S = 0.02
LEVELS = ("none", "told", "moment", "while", "lasting", "told loss", "silent loss")


@dataclass(frozen=True)
class Seen:
    """Occurrence of a kind. `still()` tells whether it is still so; without it, it is over.

    `reported` says that an operation failed, so that its user knows.
    """

    still: Callable[[], bool] | None = None
    reported: bool = False


@dataclass(frozen=True)
class Duration:
    """For how long an occurrence was seen. If it has not `ended`, it may have lasted longer."""

    seconds: float = 0.0
    ended: bool = True


def lasting(wrong: Callable[[], bool]) -> Seen | bool:
    """Return the occurrence of a state that is wrong now, and may last; False if it is right."""
    return Seen(wrong) if wrong() else False


def watch(seen: Seen, began: float, seconds: float) -> Duration:
    """Look until the occurrence is over, or `seconds` have passed since `began` (monotonic).

    A look that fails shows nothing wrong any more: its user is told.
    """
    if seen.still is None:
        return Duration()
    while True:
        try:
            wrong = seen.still()
        except Exception:
            wrong = False
        lasted = time.monotonic() - began
        if not wrong or lasted >= seconds:
            return Duration(lasted, ended=not wrong)
        time.sleep(LOOK_S)


def level(loses: bool, reported: bool, duration: Duration) -> int:
    """Return the severity of an occurrence, 1 to 6; `LEVELS` names them."""
    if loses:
        return 5 if reported else 6
    if reported:
        return 1
    if duration.seconds >= LASTING_S and not duration.ended:
        return 4
    return 3 if duration.seconds >= MOMENT_S else 2
