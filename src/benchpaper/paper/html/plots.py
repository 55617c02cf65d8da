"""Interactive versions of figures: the same cells and metrics, drawn by plotly in the browser.

A notebook's drawing cannot be turned into plotly in general, so this module chooses the axes: the
numeric factor with the most levels is along x (without one, the factor with the most levels), and
each combination of the others is a line.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchpaper.analysis.estimates import Results
from benchpaper.analysis.manifests import Exhibit
from benchpaper.analysis.values import Estimate, digits

if TYPE_CHECKING:
    import pandas as pd

COLOURS = (
    "#0173b2",
    "#b85c00",
    "#01785a",
    "#a83e7a",
    "#7a4f1d",
    "#5a5a5a",
    "#8a6d00",
    "#1f6f99",
)  # 4.5:1 on white
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "triangle-down", "cross", "x", "star")
THERE = ", reference"  # ends the name of a line of the reference
WIDE_RANGE = 30.0  # an axis is logarithmic if the largest value is this many times the smallest

Points = list[tuple[Any, Estimate]]  # (place along x, estimate)


@dataclass(frozen=True)
class Drawn:
    """An interactive figure.

    `plots` are {metric: plotly's plot}, `rows` are (metric, label of a line, place along x,
    estimate), and `x` is the title of the x axis.
    """

    plots: Mapping[str, dict[str, Any]]
    rows: Sequence[tuple[str, str, Any, Estimate]]
    x: str


def figure(results: Results, exhibit: Exhibit, beside: Results | None = None) -> Drawn | None:
    """Return the interactive version of a figure; None if nothing was measured.

    A figure of several metrics has a plot for each; the page shows one at a time. `beside` are the
    reference results, drawn hollow next to those of the run.
    """
    if exhibit.missing:
        return None
    known = _known(results, exhibit.metrics)
    cells = [row for row in known.index if results.cell_of(row) in exhibit.cells]
    measured = {metric: _measured(results, metric, cells) for metric in exhibit.metrics}
    measured = {metric: estimates for metric, estimates in measured.items() if estimates}
    if not measured:
        return None
    frame = known.loc[
        [cell for cell in cells if any(cell in estimates for estimates in measured.values())]
    ]
    varying = [factor for factor in known.columns if frame[factor].nunique() > 1]
    x = _along(varying, frame)
    axis = f"{x} ({_unit(results, x)})" if x and _unit(results, x) else x or ""
    figures: dict[str, dict[str, Any]] = {}
    rows: list[tuple[str, str, Any, Estimate]] = []
    for metric, estimates in measured.items():
        shown_as = f"{metric} ({results.metric(metric)['unit']})"
        series = _series(frame, estimates, varying, x, metric)
        traces = [_trace(n, *item) for n, item in enumerate(series.items())]
        if beside:
            others = _measured_there(beside, metric, list(estimates))
            reference = _series(frame, others, varying, x, metric)
            places = {label: n for n, label in enumerate(series)}
            traces += [_hollow(places[label], label, some) for label, some in reference.items()]
            series |= {f"{label}{THERE}": some for label, some in reference.items()}
        figures[shown_as] = {"data": traces, "layout": _layout(series, axis, shown_as)}
        rows += [
            (shown_as, label, _plain(place), estimate)
            for label, points in series.items()
            for place, estimate in points
        ]
    return Drawn(figures, rows, axis)


def _measured_there(reference: Results, metric: str, cells: Sequence[str]) -> dict[str, Estimate]:
    """Return {cell: estimate} of those cells that the reference measured, too."""
    if metric not in {described["name"] for described in reference.described["metrics"]}:
        return {}
    known = set(reference.rows(metric)["cell"])
    return _measured(reference, metric, [cell for cell in cells if cell in known])


def _hollow(number: int, label: str, points: Points) -> dict[str, Any]:
    """Return the trace of the reference: as that of the run, with open markers and dots."""
    trace = _trace(number, f"{label}{THERE}", points)
    marker = {**trace["marker"], "symbol": f"{trace['marker']['symbol']}-open"}
    return {**trace, "line": {**trace["line"], "dash": "dot"}, "marker": marker}


def _known(results: Results, metrics: Sequence[str]) -> "pd.DataFrame":
    """Return the rows of all metrics (see `Results.rows`) by id, with a column per factor."""
    import pandas as pd

    frames = [results.rows(metric) for metric in metrics] or [results.cells()]
    return pd.concat(frames).drop_duplicates("cell").set_index("cell")


def _measured(results: Results, metric: str, cells: Sequence[str]) -> dict[str, Estimate]:
    """Return {cell: estimate} of the cells in which this metric was measured."""
    estimates = {cell: results.of_cell(metric, cell) for cell in cells}
    return {cell: estimate for cell, estimate in estimates.items() if estimate.value is not None}


def _series(
    frame: "pd.DataFrame",
    estimates: Mapping[str, Estimate],
    varying: Sequence[str],
    x: str | None,
    metric: str,
) -> dict[str, Points]:
    """Return {label of a line: [(place along x, estimate)]}."""
    series: dict[str, Points] = {}
    for cell, estimate in estimates.items():
        label = (
            ", ".join(str(frame.loc[cell][factor]) for factor in varying if factor != x) or metric
        )
        series.setdefault(label, []).append((frame.loc[cell][x] if x else label, estimate))
    return series


def _along(varying: Sequence[str], frame: "pd.DataFrame") -> str | None:
    numeric = [factor for factor in varying if frame[factor].dtype.kind in "if"]
    return max(numeric or varying, key=lambda factor: frame[factor].nunique(), default=None)


def _unit(results: Results, name: str) -> str:
    factors = [*results.described["factors"], *results.described.get("within", [])]
    return next((factor["unit"] for factor in factors if factor["name"] == name), "")


def _plain(place: Any) -> Any:
    """Return a number of NumPy as one of Python, which JSON takes."""
    return place.item() if hasattr(place, "item") else place


def _trace(number: int, label: str, points: Points) -> dict[str, Any]:
    """Return a line if x is a quantity, else only points: nothing lies between two systems."""
    named = isinstance(points[0][0], str | bool)
    points = points if named else sorted(points, key=lambda point: point[0])
    whiskers = [_whiskers(estimate) for _, estimate in points]
    return {
        "type": "scatter",
        "mode": "markers" if named else "lines+markers",
        "name": label,
        "x": [_plain(place) for place, _ in points],
        "y": [estimate.value for _, estimate in points],
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [up for up, _ in whiskers],
            "arrayminus": [down for _, down in whiskers],
            "thickness": 1,
        },
        "text": [str(estimate) for _, estimate in points],
        "hovertemplate": "%{fullData.name}<br>%{x}: %{text}<extra></extra>",
        "line": {"color": COLOURS[number % len(COLOURS)], "width": 1.5},
        "marker": {"symbol": SYMBOLS[number % len(SYMBOLS)], "size": 6},
    }


def _whiskers(estimate: Estimate) -> tuple[float, float]:
    """Return the lengths of the interval above and below the value; 0 without an interval."""
    value, low, high = estimate.value, estimate.low, estimate.high
    if value is None or low is None or high is None:
        return 0.0, 0.0
    return high - value, value - low


def _layout(series: Mapping[str, Points], x: str, y: str) -> dict[str, Any]:
    places = [place for points in series.values() for place, _ in points]
    values = [estimate.value for points in series.values() for _, estimate in points]
    return {
        "margin": {"l": 55, "r": 10, "t": 10, "b": 45},
        "height": 380,
        "autosize": True,
        "hovermode": "closest",
        "xaxis": {
            "title": {"text": x},
            "type": "category" if isinstance(places[0], str | bool) else _scale(places),
            "automargin": True,
        },
        "yaxis": {"title": {"text": y}, "type": _scale(values), "automargin": True},
        "legend": {"orientation": "h", "y": -0.25},
        "font": {"size": 12},
        "paper_bgcolor": "#fff",
        "plot_bgcolor": "#fff",
    }


def _scale(values: Sequence[Any]) -> str:
    return "log" if min(values) > 0 and max(values) / min(values) > WIDE_RANGE else "linear"


def shown(estimate: Estimate) -> tuple[str, str, str]:
    """Return (value, interval, number of blocks) of an estimate as texts."""
    value = "none" if estimate.value is None else digits(estimate.value)
    return value, estimate.interval_text().strip() or "none", str(estimate.n)
