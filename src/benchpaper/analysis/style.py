"""The style of figures: as wide as a column, readable type, and colours for the colour-blind.

Each series also has its own marker, so a figure survives a black-and-white printer.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchpaper.core import settings
from benchpaper.core.errors import UserError
from benchpaper.core.project import Project

MARKERS = "osD^vP*X"
GAP_IN = 0.3  # between two columns
LABEL_PT = 8.0  # the height of a label
RC: dict[Any, Any] = {
    "font.size": 7,
    "axes.labelsize": 7,
    "axes.titlesize": 7,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "lines.linewidth": 1.1,
    "lines.markersize": 3.2,
    "axes.linewidth": 0.6,
    "grid.linewidth": 0.4,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "pdf.fonttype": 42,
    "font.family": "DejaVu Sans",
    "axes.titlepad": 3,
    "axes.grid": True,
    "grid.alpha": 0.35,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.hashsalt": "benchpaper",
}


def use() -> None:
    """Set the style for this notebook; it overrides Matplotlib's configuration files.

    Call it once, before drawing.
    """
    plt.style.use(["default", RC])


def panels(
    count: int = 1, height: float = 1.9, wide: bool = False, **options: Any
) -> tuple[Figure, list[Axes]]:
    """Return (figure, list of axes): `count` panels side by side in one column of the paper.

    `height` is in inches; `options` go to `matplotlib.pyplot.subplots`. The width is the project's
    `column_width_in` (benchpaper.toml); if `wide`, that of two columns, for a `figure*`.
    """
    width = column_width()
    size = 2 * width + GAP_IN if wide else width, height
    figure, axes = plt.subplots(
        1, count, figsize=size, layout="constrained", squeeze=False, **options
    )
    return figure, list(axes[0])


def column_width() -> float:
    """Return the width of the paper's column in inches, as benchpaper.toml gives it."""
    try:
        project = Project.find()
    except UserError:  # a figure drawn outside any project
        return settings.Paper.column_width_in
    return settings.read(project.root).column_width_in


def __getattr__(name: str) -> float:
    if name == "COLUMN_IN":
        return column_width()
    raise AttributeError(name)


def looks(names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return {name: {"color", "marker"}} for series that keep their look in every figure."""
    colours = sns.color_palette("colorblind", len(names))
    return {
        name: {"color": colour, "marker": MARKERS[i % len(MARKERS)]}
        for i, (name, colour) in enumerate(zip(names, colours, strict=True))
    }


def with_interval(axis: Axes, x: str, rows: pd.DataFrame, **look: Any) -> None:
    """Draw the estimates in `rows` over column `x`, with their intervals as a band.

    The columns of `rows` are `x`, value, low, and high; rows without an interval get no band.
    """
    rows = rows.sort_values(x)
    (line,) = axis.plot(rows[x], rows["value"], **look)
    bounded = rows[rows["low"].notna()]
    axis.fill_between(
        bounded[x], bounded["low"], bounded["high"], color=line.get_color(), alpha=0.2, linewidth=0
    )


def bytes_label(size: float) -> str:
    """Return a size in bytes as `8 B`, `4 KiB`, `256 KiB`, `4 MiB`."""
    for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= factor:
            return f"{size / factor:g} {unit}"
    return f"{size:g} B"


def legend_above(figure: Figure, axis: Axes, **options: Any) -> None:
    """Put one legend for all panels above them: in as few rows as the figure's width allows."""
    handles, labels = axis.get_legend_handles_labels()
    options = {
        "ncols": len(labels),
        "frameon": False,
        "handlelength": 1.4,
        "columnspacing": 1.0,
        **options,
    }
    for columns in range(options["ncols"], 0, -1):
        options["ncols"] = columns
        legend = figure.legend(handles, labels, loc="outside upper center", **options)
        if legend.get_window_extent().width <= figure.bbox.width or columns == 1:
            return
        legend.remove()


def label_right(axis: Axes, values: Mapping[str, float], looks: Mapping[str, Any]) -> None:
    """Name each series to the right of a panel, about at its value, instead of in a legend.

    `values` are {name: y}, and `looks` those of `looks`. Names that would lie on each other move
    apart. Call it last: it lays out the figure.
    """
    figure = axis.figure
    figure.draw_without_rendering()  # type: ignore[union-attr]
    points = 72 / axis.figure.dpi
    at = {name: axis.transData.transform((1.0, y))[1] * points for name, y in values.items()}
    names = sorted(at, key=lambda name: at[name])
    bottom, top = (end * points for end in axis.get_window_extent().intervaly)
    shown: dict[str, float] = {}
    least = bottom + LABEL_PT / 2
    for name in names:
        shown[name] = max(at[name], least)
        least = shown[name] + LABEL_PT
    most = top - LABEL_PT / 2
    for name in reversed(names):
        shown[name] = min(shown[name], most)
        most = shown[name] - LABEL_PT
    beyond: dict[str, Any] = {"clip_on": False, "transform": axis.transAxes, "linestyle": "none"}
    for name in names:
        place = (shown[name] - bottom) / (top - bottom)
        axis.plot([1.06], [place], markersize=4, **beyond, **looks[name])
        axis.text(1.1, place, name, va="center", transform=axis.transAxes)
