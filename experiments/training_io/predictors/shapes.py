"""Which shaped stores are measured: points that fill the space of their settings evenly.

The points are Roberts's additive recurrence, a low-discrepancy sequence: any first few of them lie
about as evenly as all. Settings are spread on the log scale, except jitter.
"""

from experiments.systems.environment.shape import Shape

COUNT = 40
# (least, most) of each setting; the ratio is the same for each step in between.
LATENCY_S, OPEN_S, ENTRY_S = (0.0001, 0.010), (0.00005, 0.010), (1e-6, 1e-4)
BANDWIDTH, SLOTS = (30e6, 600e6), (2, 64)
MOST_JITTER = 1.0
DIMENSIONS = 6


def point(number: int) -> list[float]:
    """Return the coordinates of a point in the unit cube."""
    ratio = 2.0
    for _ in range(64):  # the root of x^(d + 1) = x + 1
        ratio = (1 + ratio) ** (1 / (DIMENSIONS + 1))
    return [(0.5 + number * ratio**-power) % 1 for power in range(1, DIMENSIONS + 1)]


def shape(number: int) -> Shape:
    """Return the settings of a numbered store, from 1 on."""
    latency, bandwidth, opening, entry, slots, jitter = point(number)
    return Shape(
        latency_s=_between(LATENCY_S, latency),
        bandwidth=_between(BANDWIDTH, bandwidth),
        open_s=_between(OPEN_S, opening),
        entry_s=_between(ENTRY_S, entry),
        slots=round(_between(SLOTS, slots)),
        jitter=MOST_JITTER * jitter,
    )


def _between(ends: tuple[float, float], share: float) -> float:
    least, most = ends
    return least * (most / least) ** share


ALL = {f"set-{number:02d}": shape(number) for number in range(1, COUNT + 1)}
EVERY_TENTH = list(ALL)[::10]
