"""Interactive versions of figures: the same cells and metric, with intervals, drawn by plotly in the browser.

What a notebook drew cannot be turned into plotly in general, so the axes are chosen here: the numeric factor with the
most levels along x (else the factor with most levels), one line for each combination of the others.
"""

import json

from benchpaper.values import digits

COLOURS = ("#0173b2", "#b85c00", "#01785a", "#a83e7a", "#7a4f1d", "#5a5a5a", "#8a6d00", "#1f6f99")  # 4.5:1 on white
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "triangle-down", "cross", "x", "star")
WIDE = 30.0  # a ratio of largest to smallest value that asks for a logarithmic axis


def figure(results, name, entry):
    """Return {"plot": plotly's JSON, "rows": the same as a table, "x", "y"} of a figure exhibit; None when nothing was measured."""
    if entry["missing"] or not entry["cells"] or not entry["metrics"]:
        return None
    metric = results.metric(entry["metrics"][0])
    known = results.cells().set_index("cell")
    cells = [cell for cell in entry["cells"] if cell in known.index]
    estimates = {cell: results.of_cell(metric["name"], cell) for cell in cells}
    cells = [cell for cell in cells if estimates[cell].value is not None]
    if not cells:
        return None
    varying = [factor for factor in results.factors if known.loc[cells][factor].nunique() > 1]
    x = _along(varying, known.loc[cells], results)
    series = {}
    for cell in cells:
        label = ", ".join(str(known.loc[cell][factor]) for factor in varying if factor != x) or metric["name"]
        series.setdefault(label, []).append((known.loc[cell][x] if x else label, estimates[cell]))
    axis = f"{x} ({_unit(results, x)})" if x and _unit(results, x) else x or ""
    y = f"{metric['name']} ({metric['unit']})"
    plot = {"data": [_trace(n, label, points) for n, (label, points) in enumerate(series.items())], "layout": _layout(series, axis, y)}
    rows = [(label, _plain(place), estimate) for label, points in series.items() for place, estimate in points]
    return {"plot": json.dumps(plot), "rows": rows, "x": axis, "y": y}


def _along(varying, frame, results):
    numeric = [factor for factor in varying if frame[factor].dtype.kind in "if"]
    return max(numeric or varying, key=lambda factor: frame[factor].nunique(), default=None)


def _unit(results, name):
    return next((factor["unit"] for factor in results.described["factors"] if factor["name"] == name), "")


def _plain(place):
    return place.item() if hasattr(place, "item") else place


def _trace(number, label, points):
    points = sorted(points, key=lambda point: point[0]) if not isinstance(points[0][0], str) else points
    values = [estimate.value for _, estimate in points]
    bound = [(estimate.low, estimate.high) if estimate.low is not None else (estimate.value,) * 2 for _, estimate in points]
    return {
        "type": "scatter", "mode": "lines+markers", "name": label, "x": [_plain(place) for place, _ in points], "y": values,
        "error_y": {
            "type": "data", "symmetric": False, "array": [high - value for value, (_, high) in zip(values, bound)],
            "arrayminus": [value - low for value, (low, _) in zip(values, bound)], "thickness": 1,
        },
        "text": [str(estimate) for _, estimate in points], "hovertemplate": "%{fullData.name}<br>%{x}: %{text}<extra></extra>",
        "line": {"color": COLOURS[number % len(COLOURS)], "width": 1.5},
        "marker": {"symbol": SYMBOLS[number % len(SYMBOLS)], "size": 6},
    }  # fmt: skip


def _layout(series, x, y):
    places = [place for points in series.values() for place, _ in points]
    values = [estimate.value for points in series.values() for _, estimate in points]
    return {
        "margin": {"l": 55, "r": 10, "t": 10, "b": 45}, "height": 380, "autosize": True, "hovermode": "closest",
        "xaxis": {"title": {"text": x}, "type": "category" if isinstance(places[0], (str, bool)) else _scale(places), "automargin": True},
        "yaxis": {"title": {"text": y}, "type": _scale(values), "automargin": True},
        "legend": {"orientation": "h", "y": -0.25}, "font": {"size": 12}, "paper_bgcolor": "#fff", "plot_bgcolor": "#fff",
    }  # fmt: skip


def _scale(values):
    return "log" if min(values) > 0 and max(values) / min(values) > WIDE else "linear"


def shown(estimate):
    """Return (value, interval, n) of an estimate as texts."""
    return digits(estimate.value), estimate.interval_text().strip() or "none", str(estimate.n)
