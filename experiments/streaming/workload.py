"""The events of streaming/pipeline and streaming/delivery, and what must become of them.

Event i has the key 31 i mod keys, belongs to the partition of its key, and has the value i. It
happened at base + i / rate, less its disorder; every `late_every`-th so much earlier that its
window is closed; every `ahead_every`-th has a clock that is ahead.
"""

from dataclasses import asdict, dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Workload:
    """A topic's events. Times are in milliseconds; 0 for an `..._every` stands for never."""

    events: int
    rate: float  # events per second of event time
    format: str = "binary"
    keys: int = 64
    partitions: int = 4
    window_ms: int = 1000
    delay_ms: int = 200
    disorder_ms: int = 150  # below `delay_ms`, so that such an event is in time
    late_every: int = 1000
    late_ms: int = 5000
    poison_every: int = 0
    twice_every: int = 0
    ahead_every: int = 0
    ahead_ms: int = 3000

    def words(self) -> dict[str, object]:
        """Return the arguments of the program that sends them."""
        names = {"window_ms", "delay_ms"}
        return {name: value for name, value in asdict(self).items() if name not in names}

    def frame(self, base: int) -> "pd.DataFrame":
        """Return the events in the order of sending, without poison, and with those sent twice.

        Columns: key, partition, time, value, window, late, again (sent before).
        """
        import pandas as pd

        number = np.arange(self.events, dtype=np.int64)
        early = np.where(
            _each(number, self.late_every, 7),
            self.late_ms,
            number * 7919 % (self.disorder_ms + 1),
        )
        early = early - np.where(_each(number, self.ahead_every, 17), self.ahead_ms, 0)
        time = base + (number * 1000.0 / self.rate).astype(np.int64) - early
        key = 31 * number % self.keys
        frame = pd.DataFrame({"key": key, "time": time, "value": number})
        frame["partition"] = frame["key"] % self.partitions
        frame["again"] = False
        frame = frame[~_each(number, self.poison_every, 11)]
        twice = frame[_each(frame["value"].to_numpy(), self.twice_every, 13)].assign(again=True)
        frame = pd.concat([frame, twice]).sort_values("value", kind="stable", ignore_index=True)
        frame["window"] = frame["time"] // self.window_ms * self.window_ms
        newest = frame.groupby("partition")["time"].cummax()
        before = newest.groupby(frame["partition"]).shift(fill_value=np.iinfo(np.int64).min // 2)
        frame["late"] = frame["window"] + self.window_ms <= before - self.delay_ms
        return frame

    def stops(self) -> list[int]:
        """Return how many messages each partition has."""
        number = np.arange(self.events, dtype=np.int64)
        sent = 1 + _each(number, self.twice_every, 13).astype(np.int64)
        place = 31 * number % self.keys % self.partitions
        return [int(n) for n in np.bincount(place, weights=sent, minlength=self.partitions)]


def _each(number, every, at):
    return number % every == at % every if every else np.zeros(len(number), dtype=bool)


@dataclass(frozen=True)
class Outcome:
    """What became of the events: numbers of events, and of windows with another sum than due."""

    lost: int
    duplicated: int
    late: int
    wrong_late: int  # counted as late though in time
    altered: int

    @property
    def off(self) -> int:
        """What is not as it must be, together."""
        return self.lost + self.duplicated + self.wrong_late + self.altered

    @property
    def exact(self) -> bool:
        return not self.off


def outcome(events: "pd.DataFrame", rows: "pd.DataFrame") -> Outcome:
    """Compare written rows (window, key, count, sum, late) with the events; each is due once.

    An engine may take a late event into its window, if its watermark is behind; it may not call an
    event late that is in time.
    """
    place = ["window", "key"]
    due = events[~events["again"]].groupby(place)["value"].agg(["size", "sum"])
    got = rows.groupby(place)[["count", "sum"]].sum()
    both = due.join(got.rename(columns={"sum": "got"}), how="outer").fillna(0).astype(np.int64)
    more = both["count"] - both["size"]
    may_be_late = set(events.loc[events["late"], "value"])
    late = rows[rows["late"]]
    return Outcome(
        lost=int(-more[more < 0].sum()),
        duplicated=int(more[more > 0].sum()),
        late=len(late),
        wrong_late=int((~late["sum"].isin(may_be_late)).sum()),
        altered=int(((more == 0) & (both["sum"] != both["got"])).sum()),
    )


def latest(rows: "pd.DataFrame") -> "pd.DataFrame":
    """Return the last row of each window and key: an engine may write a window again."""
    return rows.drop_duplicates(["window", "key"], keep="last")


def with_dropped(events: "pd.DataFrame", rows: "pd.DataFrame") -> "pd.DataFrame":
    """Return the rows of an engine that drops late events, with those that it dropped as late rows.

    A window may lack late events only: some of them, whose sum is what it lacks.
    """
    import pandas as pd

    place = ["window", "key"]
    due = events[~events["again"]].groupby(place)["value"].agg(["size", "sum"])
    got = rows.groupby(place)[["count", "sum"]].sum().rename(columns={"sum": "got"})
    both = due.join(got, how="left").fillna(0).astype(np.int64)
    lacking = both[both["count"] < both["size"]]
    late = events[events["late"]].groupby(place)["value"].apply(list)
    dropped = []
    for at, row in lacking.iterrows():
        chosen = combinations(late.get(at, []), int(row["size"] - row["count"]))
        values = next((some for some in chosen if sum(some) == row["sum"] - row["got"]), ())
        dropped += [(*at, 1, value, 0, True) for value in values]
    columns = [*place, "count", "sum", "newest", "late"]
    return pd.concat([rows, pd.DataFrame(dropped, columns=columns)], ignore_index=True)
