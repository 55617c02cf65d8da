"""Tries of kinds of anomaly on a running stack, one kind after the other or several at a time.

A *lane* tries one kind after the other over connections of its own. With several lanes, what waits
in one leaves the processors to the others.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from experiments.multiprotocol import restarts
from experiments.multiprotocol.anomalies import killing
from experiments.multiprotocol.anomalies.attempts import named, try_kind
from experiments.multiprotocol.anomalies.attribution import Solos
from experiments.multiprotocol.anomalies.kinds import CONFORMANCE, KINDS
from experiments.multiprotocol.anomalies.tries import PATIENCE_S
from experiments.multiprotocol.anomalies.watching import Watches
from experiments.multiprotocol.views import prepare

ALONE = {"restart_loses"}  # it cuts the connections of all lanes


class _GoneError(Exception):
    """The server answers no new connection."""


def anomalies(plan: dict[str, Any], new: Callable[[], Any], say: Callable[..., None]) -> None:
    """Try each kind several times, and say one line for each.

    A line is {"kind", "tries", "seen", "told", "witness", "severity", "error"}; `severity` is that
    of the witness, and `told` counts tries that ended by an error. A kind is tried `tries` times,
    or as often as fits in `kind_s`, but at least once. A kind that takes longer than `limit_s`
    hangs; the next kind gets new connections. `numbers` gives the number of a kind's first try;
    otherwise the seed does. With `once`, a kind stops at its first occurrence. With `attribute`, a
    kind that was seen also has its "solos" (`attribution.Solos.tried`). With `kill`, the server of
    the file side is killed and started again during each try. `lanes` kinds are tried at a time.

    Occurrences are watched for at most `watch_s`. Those that last longer than a moment are watched
    on at the end, and a line {"kind", "severity"} follows for each.
    """
    watches, lanes = Watches(plan.get("watch_s", 0)), plan.get("lanes", 1)
    ask = restarts.asking(plan.get("answers"), say)
    each = [Lane(plan, new, say, watches, ask) for _ in range(lanes)]
    prepare(each[0].views[0][0], "a")
    kinds = plan.get("kinds") or list(KINDS)
    together = deque(kind for kind in kinds if lanes == 1 or kind not in ALONE)
    try:
        _side_by_side(each, together)
        each[0].work(deque(kind for kind in kinds if lanes > 1 and kind in ALONE))
    except _GoneError as error:
        say(gone=str(error))
        return
    for occurrence in watches.rest():
        say(kind=occurrence.kind, severity=occurrence.as_dict())


def _side_by_side(lanes: Iterable["Lane"], kinds: deque[str]) -> None:
    """Let the lanes take kinds until none is left; raise what the first failed lane raised."""
    failed: list[BaseException] = []

    def work(lane: Lane) -> None:
        try:
            lane.work(kinds)
        except BaseException as error:
            kinds.clear()
            failed.append(error)

    threads = [threading.Thread(target=work, args=(lane,), daemon=True) for lane in lanes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]


class Lane:
    """Connections of its own, over which it tries one kind after the other."""

    def __init__(
        self,
        plan: dict[str, Any],
        new: Callable[[], Any],
        say: Callable[..., None],
        watches: Watches,
        ask: Callable[[], None],
    ):
        self._plan, self._new, self._say, self._watches, self._ask = plan, new, say, watches, ask
        self.views = [new(), new()]
        self._solos = Solos(new, try_kind, plan["limit_s"])

    def work(self, kinds: deque[str]) -> None:
        """Try kinds until none is left."""
        while kinds:
            try:
                kind = kinds.popleft()
            except IndexError:  # another lane took the last one
                return
            self._say(**self._tried(kind))

    def _tried(self, kind: str) -> dict[str, Any]:
        plan = self._plan
        result = {
            "kind": kind,
            "tries": 0,
            "seen": 0,
            "told": 0,
            "witness": None,
            "severity": None,
            "error": None,
        }
        first = plan.get("numbers", {}).get(kind, 1000 * plan["seed"])
        numbers = range(first, first + plan["tries"])
        worker = threading.Thread(
            target=try_kind,
            args=(result, *self.views, numbers, plan.get("once")),
            kwargs=dict(
                kind_s=plan["kind_s"],
                patience_s=plan.get("patience_s", PATIENCE_S),
                watches=self._watches,
                restart=self._restart,
                killer=killing.Killer(self._ask) if plan.get("kill") else None,
            ),
            daemon=True,
        )
        worker.start()
        worker.join(plan["limit_s"])
        if worker.is_alive():
            result = {**result, "error": f"hung: did not end within {plan['limit_s']:g} s"}
        # An error may leave a connection unusable: libnfs 4.0 loses count of its opens.
        if result["error"] and result.get("expressible", True):
            self._reconnect(result)
        if plan.get("attribute") and result["seen"]:
            result["solos"] = {} if kind in CONFORMANCE else self._solos.tried(kind, numbers)
        return result

    def _reconnect(self, result: dict[str, Any]) -> None:
        try:
            self.views = [self._new(), self._new()]
        except Exception as error:
            self._say(**result)
            raise _GoneError(named(error)) from None

    def _restart(self) -> None:
        self._ask()
        self._solos.reconnect()
