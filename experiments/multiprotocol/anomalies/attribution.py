"""Attribution of an anomaly: to the S3 side alone, the file side alone, or the pair.

A kind that was seen is tried again on the same running stack, solo: by the same function, with both
views over S3, and then with both over files. Each view has a connection of its own. What occurs
solo is no fault of the pair. A kind that a protocol has no words for (`single_door`) cannot occur
there, so it needs both sides.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from experiments.multiprotocol import views

S3, FILE = "s3", "file"
S3_ALONE, FILE_ALONE, EACH_ALONE, PAIR = "S3 alone", "file alone", "each alone", "pair"
UNKNOWN = "not told apart"  # one protocol could do it, but no such try could be judged
# Kinds that are no anomaly over one protocol, where the operation means something else.
NO_COUNTERPART = {"metadata_lost": S3}  # a PUT replaces metadata by design, a file write should not
DUE_TO = {
    "s3": "clients of the S3 side see among themselves, without any file",
    "file": "clients of the file side see among themselves, without any object",
    "pair": "neither side shows alone",
}


@dataclass(frozen=True)
class Solo:
    """Tries over one protocol that could be judged, and in how many the kind occurred.

    `expressible` is False if the protocol lacks an operation that the kind needs.
    """

    tries: int
    seen: int
    expressible: bool = True


class Solos:
    """Solo tries of kinds, over connections that the first kind opens.

    `try_kind` is that of `attempts`. What takes longer than `limit_s` hangs; the next tries get new
    connections.
    """

    def __init__(self, new: Callable[[], Any], try_kind: Callable[..., None], limit_s: float):
        self._new, self._try_kind, self._limit_s = new, try_kind, limit_s
        self._pairs: dict[str, list[Any]] = {}

    def tried(self, kind: str, numbers: range) -> dict[str, dict[str, Any]]:
        """Return {protocol: {"tries", "seen", "expressible"}}; nothing if no server answers.

        The tries over a protocol stop at the first occurrence.
        """
        tried = {}
        try:
            for protocol in (S3, FILE):
                self._pairs = self._pairs or views.solos(self._new)
                tried[protocol] = self._tried(kind, protocol, numbers)
        except Exception:  # any exception of opening a view
            return {}
        return tried

    def reconnect(self) -> None:
        """Let the next tries open new connections, as after a restart of a server."""
        self._pairs = {}

    def _tried(self, kind: str, protocol: str, numbers: range) -> dict[str, Any]:
        if NO_COUNTERPART.get(kind) == protocol:
            return dict(tries=0, seen=0, expressible=False)
        result: dict[str, Any] = dict(kind=kind, tries=0, seen=0, witness=None, error=None)
        result["expressible"] = True
        arguments = (result, *self._pairs[protocol], numbers, True, f"-{protocol}")
        worker = threading.Thread(target=self._try_kind, args=arguments, daemon=True)
        worker.start()
        worker.join(self._limit_s)
        if worker.is_alive():
            self._pairs = {}
        return {name: result[name] for name in ("tries", "seen", "expressible")}


def word(conformance: bool, solos: dict[str, Solo]) -> str:
    """Return to whom a kind that was seen is due, from its solo tries by protocol.

    A kind of `conformance` needs none: it involves no file side.
    """
    if conformance:
        return S3_ALONE
    alone = {protocol for protocol, solo in solos.items() if solo.seen}
    if alone:
        return {frozenset({S3}): S3_ALONE, frozenset({FILE}): FILE_ALONE}.get(
            frozenset(alone), EACH_ALONE
        )
    clean = all(not solo.expressible or solo.tries for solo in solos.values())
    return PAIR if solos and clean else UNKNOWN


def described(conformance: bool, result: dict[str, Any]) -> dict[str, Any]:
    """Return the attribution of what the probe reports of a kind, as plain values."""
    counts = result.get("solos", {})
    solos = {protocol: Solo(**values) for protocol, values in counts.items()}
    return {"word": word(conformance, solos), "solos": counts}


def totals(attributions: dict[str, dict[str, Any]]) -> dict[str, int]:
    """Return how many kinds that were seen are due to each, as the metrics count them."""
    words = [attribution["word"] for attribution in attributions.values()]
    return {
        "kinds_of_s3": words.count(S3_ALONE) + words.count(EACH_ALONE),
        "kinds_of_file": words.count(FILE_ALONE) + words.count(EACH_ALONE),
        "kinds_of_pair": words.count(PAIR),
    }
