"""Interactive versions of figures: the same cells and metric, with intervals, drawn by plotly in the browser.

What a notebook drew cannot be turned into plotly in general, so the axes are chosen here: the numeric factor with the
most levels along x (else the factor with most levels), one line for each combination of the others.
"""

from benchpaper.analysis.values import digits

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
WIDE = 30.0  # a ratio of largest to smallest value that asks for a logarithmic axis


def figure(results, name, entry):
    """Return {"plots": {metric: plotly's plot}, "rows": the same as a table, "x": its axis} of a figure exhibit; None
    when nothing was measured. A figure of several metrics has a plot of each, of which the page shows one at a time."""
    if entry["missing"]:
        return None
    known = results.cells().set_index("cell")
    cells = [cell for cell in entry["cells"] if cell in known.index]
    measured = {metric: _measured(results, metric, cells) for metric in entry["metrics"]}
    measured = {metric: estimates for metric, estimates in measured.items() if estimates}
    if not measured:
        return None
    frame = known.loc[
        [cell for cell in cells if any(cell in estimates for estimates in measured.values())]
    ]
    varying = [factor for factor in results.factors if frame[factor].nunique() > 1]
    x = _along(varying, frame)
    axis = f"{x} ({_unit(results, x)})" if x and _unit(results, x) else x or ""
    plots, rows = {}, []
    for metric, estimates in measured.items():
        shown_as = f"{metric} ({results.metric(metric)['unit']})"
        series = _series(frame, estimates, varying, x, metric)
        plots[shown_as] = {
            "data": [_trace(n, *item) for n, item in enumerate(series.items())],
            "layout": _layout(series, axis, shown_as),
        }
        rows += [
            (shown_as, label, _plain(place), estimate)
            for label, points in series.items()
            for place, estimate in points
        ]
    return {"plots": plots, "rows": rows, "x": axis}


def _measured(results, metric, cells):
    """Return {cell: estimate} of those cells that have this metric."""
    estimates = {cell: results.of_cell(metric, cell) for cell in cells}
    return {cell: estimate for cell, estimate in estimates.items() if estimate.value is not None}


def _series(frame, estimates, varying, x, metric):
    """Return {label of a line: [(place along x, estimate)]}."""
    series = {}
    for cell, estimate in estimates.items():
        label = (
            ", ".join(str(frame.loc[cell][factor]) for factor in varying if factor != x) or metric
        )
        series.setdefault(label, []).append((frame.loc[cell][x] if x else label, estimate))
    return series


def _along(varying, frame):
    numeric = [factor for factor in varying if frame[factor].dtype.kind in "if"]
    return max(numeric or varying, key=lambda factor: frame[factor].nunique(), default=None)


def _unit(results, name):
    return next(
        (factor["unit"] for factor in results.described["factors"] if factor["name"] == name), ""
    )


def _plain(place):
    return place.item() if hasattr(place, "item") else place


def _trace(number, label, points):
    """A line where x is a quantity; points alone where it is a name, for nothing lies between two systems."""
    named = isinstance(points[0][0], str | bool)
    points = points if named else sorted(points, key=lambda point: point[0])
    values = [estimate.value for _, estimate in points]
    bound = [
        (estimate.low, estimate.high) if estimate.low is not None else (estimate.value,) * 2
        for _, estimate in points
    ]
    return {
        "type": "scatter",
        "mode": "markers" if named else "lines+markers",
        "name": label,
        "x": [_plain(place) for place, _ in points],
        "y": values,
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [high - value for value, (_, high) in zip(values, bound)],
            "arrayminus": [value - low for value, (low, _) in zip(values, bound)],
            "thickness": 1,
        },
        "text": [str(estimate) for _, estimate in points],
        "hovertemplate": "%{fullData.name}<br>%{x}: %{text}<extra></extra>",
        "line": {"color": COLOURS[number % len(COLOURS)], "width": 1.5},
        "marker": {"symbol": SYMBOLS[number % len(SYMBOLS)], "size": 6},
    }


def _layout(series, x, y):
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


def _scale(values):
    return "log" if min(values) > 0 and max(values) / min(values) > WIDE else "linear"


def shown(estimate):
    """Return (value, interval, n) of an estimate as texts."""
    return digits(estimate.value), estimate.interval_text().strip() or "none", str(estimate.n)
