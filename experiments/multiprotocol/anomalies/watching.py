"""Watches over occurrences: for how long each of them lasts.

Each is watched for a moment where it occurred. Those that last longer are watched on together, when
all kinds have been tried: so a trial waits once, and not once for each kind.
"""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from experiments.multiprotocol.anomalies.severity import (
    LOOK_S,
    MOMENT_S,
    Duration,
    Seen,
    level,
    watch,
)

HANGS_S = 5.0  # a look that takes longer hangs


@dataclass(frozen=True)
class Occurrence:
    """First occurrence of a kind in a trial, and for how long it was seen."""

    kind: str
    seen: Seen
    loses: bool
    began: float  # monotonic, in s
    duration: Duration

    def as_dict(self) -> dict[str, object]:
        """Return what the results keep: {"level", "lasted_s", "ended", "told"}."""
        return {
            "level": level(self.loses, self.seen.reported, self.duration),
            "lasted_s": round(self.duration.seconds, 3),
            "ended": self.duration.ended,
            "told": self.seen.reported,
        }


@dataclass
class Watches:
    """The occurrences of a trial; none is watched for longer than `seconds`."""

    seconds: float
    lasting: list[Occurrence] = field(default_factory=list)

    def occurred(self, kind: str, seen: Seen | bool, loses: bool) -> Occurrence:
        """Watch an occurrence for a moment, and remember it if it lasts longer."""
        seen, began = seen if isinstance(seen, Seen) else Seen(), time.monotonic()
        duration = watch(seen, began, min(self.seconds, MOMENT_S))
        occurrence = Occurrence(kind, seen, loses, began, duration)
        if not duration.ended and self.seconds > MOMENT_S:
            self.lasting.append(occurrence)
        return occurrence

    def rest(self) -> Iterator[Occurrence]:
        """Watch on; yield each occurrence as it ends, and at last those that have not."""
        ended: list[Occurrence] = []
        looker = threading.Thread(target=self._look, args=(ended,), daemon=True)
        looker.start()
        last = max((occurrence.began for occurrence in self.lasting), default=0.0)
        looker.join(max(0.0, last + self.seconds - time.monotonic()) + HANGS_S)
        yield from ended
        over = {occurrence.kind for occurrence in ended}
        yield from (each for each in self.lasting if each.kind not in over)

    def _look(self, ended: list[Occurrence]) -> None:
        waiting = list(self.lasting)
        while waiting:
            for occurrence in list(waiting):
                duration = watch(occurrence.seen, occurrence.began, 0)
                if duration.ended or duration.seconds >= self.seconds:
                    ended.append(replace(occurrence, duration=duration))
                    waiting.remove(occurrence)
            time.sleep(LOOK_S)
