"""How figures look: one column of 3.3 inches wide, readable type, colours that colour-blind readers can tell apart.

Every series also differs in its marker, so that a figure survives a black-and-white printer.
"""

import matplotlib.pyplot as plt
import seaborn as sns

COLUMN_IN = 3.3
MARKERS = "osD^vP*X"
RC = {
    "font.size": 7,
    "axes.labelsize": 7,
    "axes.titlesize": 7,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "legend.fontsize": 6.5,
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


def use():
    """Set the style for this notebook, whatever Matplotlib's configuration files say. Call it once, before drawing."""
    plt.style.use(["default", RC])


def panels(count=1, height=1.9, **options):
    """Return (figure, list of axes): `count` panels side by side in one column of the paper."""
    figure, axes = plt.subplots(
        1, count, figsize=(COLUMN_IN, height), layout="constrained", squeeze=False, **options
    )
    return figure, list(axes[0])


def looks(names):
    """Return {name: {"color", "marker"}} for series that keep their look in every figure."""
    colours = sns.color_palette("colorblind", len(names))
    return {
        name: {"color": colour, "marker": MARKERS[i % len(MARKERS)]}
        for i, (name, colour) in enumerate(zip(names, colours))
    }


def with_interval(axis, x, rows, **look):
    """Draw the estimates in `rows` (columns value, low, high) over `x`, the interval as a band where there is one."""
    rows = rows.sort_values(x)
    (line,) = axis.plot(rows[x], rows["value"], **look)
    bounded = rows[rows["low"].notna()]
    axis.fill_between(
        bounded[x], bounded["low"], bounded["high"], color=line.get_color(), alpha=0.2, linewidth=0
    )


def bytes_label(size):
    """Return a size in bytes as `8 B`, `4 KiB`, `256 KiB`, `4 MiB`."""
    for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= factor:
            return f"{size / factor:g} {unit}"
    return f"{size:g} B"


def legend_above(figure, axis, **options):
    """Put one legend for all panels above them, in as many columns as it has entries."""
    handles, labels = axis.get_legend_handles_labels()
    options = {
        "ncols": len(labels),
        "frameon": False,
        "handlelength": 1.4,
        "columnspacing": 1.0,
        **options,
    }
    figure.legend(handles, labels, loc="outside upper center", **options)
