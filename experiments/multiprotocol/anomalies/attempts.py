"""Tries of one kind of anomaly, each under a name of its own."""

import time
from collections.abc import Iterable
from typing import Any

from experiments.multiprotocol.anomalies.killing import Enduring, Killer
from experiments.multiprotocol.anomalies.kinds import KINDS, LOSES
from experiments.multiprotocol.anomalies.tries import Try
from experiments.multiprotocol.anomalies.watching import Watches
from experiments.multiprotocol.file_operations import Declined
from experiments.multiprotocol.record import Recorded, summary
from experiments.multiprotocol.single_door import InexpressibleError
from experiments.multiprotocol.views import prepare

SOLO_S = 1.0  # for how long one door alone is tried
TROUBLE = 1  # tries of a kind that may raise before it is given up


def recorded(views: Any, steps: list[list[Any]]) -> tuple[Recorded, Recorded]:
    """Return both views, noting what is done through them in `steps`."""
    file, objects = views
    return Recorded(file, "file", steps), Recorded(objects, "s3", steps)


def try_kind(
    result: dict[str, Any],
    first: Any,
    second: Any,
    numbers: range,
    once: bool | None = False,
    place: str = "",
    *,
    kind_s: float = SOLO_S,
    patience_s: float = SOLO_S,
    watches: Watches | None = None,
    restart: Any = None,
    killer: Killer | None = None,
) -> None:
    """Try one kind under these numbers, in a folder of `place`, and fill in `result`.

    It ends after `kind_s`, but tries at least once; a try waits for at most `patience_s`. `watches`
    watches its first occurrence. With a `killer`, a try that errors is no reason to give up, and
    one more is made first, without a kill, that does not count.
    """
    folder = f"a/{result['kind']}{place}"
    prepared, end = False, time.monotonic() + kind_s
    if killer:
        first, second = ((Enduring(file, killer), objects) for file, objects in (first, second))
    for number in _and_before(numbers, killer):
        rehearsal = number not in numbers
        if number > numbers[0] and time.monotonic() > end:
            return
        steps: list[list[Any]] = []
        began = time.monotonic()
        try:
            if not prepared:
                prepare(first[0], folder)
                # rclone's S3 server removes a folder with its last object.
                first[1].put(f"{folder}/stays", b"")
                prepared, began = True, time.monotonic()
            pairs = recorded(first, steps), recorded(second, steps)
            t = Try(*pairs, folder, number, restart=restart, patience_s=patience_s)
            if killer and not rehearsal:
                killer.begin(number)
            try:
                occurred = KINDS[result["kind"]](t)
            finally:
                if killer:
                    killer.end()
        except InexpressibleError as error:
            result["expressible"] = False
            result["error"] = f"one door alone has no {error}"
            return
        except Declined as error:
            result["expressible"] = False
            result["error"] = str(error)
            return
        except Exception as error:
            result["error"] = result["error"] or named(error)
            result["told"] = result.get("told", 0) + (not rehearsal)
            if not killer and result["told"] > TROUBLE:
                return
            continue
        if killer and rehearsal:
            killer.try_s = time.monotonic() - began
        if rehearsal or occurred is None:
            continue
        result["tries"] += 1
        result["seen"] += bool(occurred)
        if occurred and not result["witness"]:
            result["witness"] = summary(steps)
            if watches:
                began = time.monotonic()
                occurrence = watches.occurred(result["kind"], occurred, result["kind"] in LOSES)
                result["severity"] = occurrence.as_dict()
                end += time.monotonic() - began
        if occurred and once:
            return


def _and_before(numbers: range, killer: Killer | None) -> Iterable[int]:
    return range(numbers.start - 1, numbers.stop) if killer else numbers


def named(error: Exception) -> str:
    """Return an error's type and text on one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
