"""A forest plot of a comparison: a row per cell with its ratio, here over reference, and interval.

A band marks the noise floor. Groups follow the first factor that varies. Words differ in colour and
marker, so the plot survives colour blindness and a black-and-white printer.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from math import ceil, exp, log
from pathlib import Path
from typing import Any, TypeAlias

from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from benchpaper.analysis.compare.comparison import CellComparison, ExperimentComparison
from benchpaper.analysis.compare.ratios import Compared
from benchpaper.analysis.exhibits import METADATA
from benchpaper.analysis.style import RC, bytes_label
from benchpaper.analysis.tables import Description
from benchpaper.core.atomic_write import replacing

Row: TypeAlias = tuple[CellComparison, Compared]  # a cell that has a ratio, and its ratio
Group: TypeAlias = tuple[str, list[tuple[str, Compared]]]  # a title, and ratios with their labels

ROW_IN, COLUMN_IN = 0.155, 4.6
ROWS_PER_COLUMN = 42
LOOKS = {
    "within the noise": ("o", "#7f7f7f", "#7f7f7f"),
    "undecided": ("o", "white", "#333333"),
    "faster": ("v", "#0072B2", "#0072B2"),
    "slower": ("^", "#D55E00", "#D55E00"),
    "better": ("v", "#0072B2", "#0072B2"),
    "worse": ("^", "#D55E00", "#D55E00"),
    "larger": ("^", "#CC79A7", "#CC79A7"),
    "smaller": ("v", "#009E73", "#009E73"),
}


def draw(comparison: ExperimentComparison) -> Figure | None:
    """Return the figure of a comparison, or None when no cell has a ratio."""
    rows = [(cell, cell.ratio) for cell in comparison.cells if isinstance(cell.ratio, Compared)]
    if not rows:
        return None
    groups = _groups(rows, comparison.factors)
    columns = _columns(groups)
    tallest = max(map(_height, columns))
    larger, smaller = comparison.names
    delta = comparison.noise.delta
    quantity = f"{comparison.metric['name']}, here / in the reference"
    with rc_context(RC):
        figure = Figure(
            figsize=(COLUMN_IN * len(columns), ROW_IN * tallest + 1.5), layout="constrained"
        )
        axes = figure.subplots(1, len(columns), squeeze=False, sharex=True)[0]
        for axis, column in zip(axes, columns, strict=True):
            draw_column(axis, column, delta, tallest)
            axis.set_xlabel(f"{quantity}\n← {smaller} here        {larger} here →")
        limits(axes[0], [ratio for _, ratio in rows])
        figure.suptitle(
            f"{comparison.experiment}: {comparison.here}\ncompared with {comparison.reference}",
            fontsize=8,
        )
        handles, labels = legend([ratio.word for _, ratio in rows], delta)
        figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    return figure


def save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Save a figure as NAME.png and NAME.pdf, and return both paths."""
    paths = [folder / f"{name}{ending}" for ending in (".png", ".pdf")]
    for path in paths:
        kind = path.suffix[1:]
        with replacing(path) as part, rc_context(RC):
            figure.savefig(part, format=kind, dpi=150, metadata=METADATA[path.suffix])
    return paths


def _groups(rows: Sequence[Row], factors: Iterable[Description]) -> list[Group]:
    """Return rows grouped by the first varying factor, and labelled by the other varying ones."""
    varying = [f for f in factors if len({cell.levels[f["name"]] for cell, _ in rows}) > 1]
    first, others = (varying[0], varying[1:]) if len(varying) > 1 else (None, varying)
    groups: dict[str, list[tuple[str, Compared]]] = {}
    for cell, ratio in rows:
        title = ""
        if first:
            title = f"{first['name']} {_level(first, cell).removeprefix(first['name']).strip()}"
        label = ", ".join(_level(factor, cell) for factor in others)
        groups.setdefault(title, []).append((label or cell.cell, ratio))
    return list(groups.items())


def _level(factor: Description, cell: CellComparison) -> str:
    """Return a level as text that stands alone: a bare number gets its factor's name."""
    level = cell.levels[factor["name"]]
    if factor["unit"] == "B":
        return bytes_label(level)
    text = f"{level} {factor['unit']}".strip()
    return text if isinstance(level, str) else f"{factor['name']} {text}"


def _columns(groups: Sequence[Group]) -> list[list[Group]]:
    """Distribute the groups, in order, over few columns of about `ROWS_PER_COLUMN` rows.

    A group that is too long continues in the next column.
    """
    total = _height(groups)
    count = ceil(total / ROWS_PER_COLUMN)
    most = ceil(total / count) + 1
    columns: list[list[Group]] = [[]]
    for title, rows in groups:
        while rows:
            room = most - _height(columns[-1]) - 1
            if room < min(4, len(rows)) and columns[-1]:
                columns.append([])
                room = most - 1
            columns[-1].append((title, rows[:room]))
            rows = rows[room:]
    return columns


def _height(groups: Iterable[Group]) -> int:
    """Return the rows of a column, with a title above each group."""
    return sum(len(rows) + 1 for _, rows in groups)


def draw_column(axis: Axes, groups: Sequence[Group], delta: float | None, tallest: int) -> None:
    """Draw a row for each ratio below the title of its group, and the noise floor as a band."""
    place = 0
    ticks: list[int] = []
    labels: list[str] = []
    for title, rows in groups:
        ticks.append(place)
        labels.append(title)
        for n, (label, ratio) in enumerate(rows, 1):
            _draw_ratio(axis, place + n, ratio)
            ticks.append(place + n)
            labels.append(label)
        place += len(rows) + 1
    if delta is not None:
        axis.axvspan(exp(-delta), exp(delta), color="#bbbbbb", alpha=0.5, linewidth=0, zorder=0)
    axis.axvline(1, color="black", linewidth=0.7, zorder=1)
    axis.set_xscale("log")
    axis.set_ylim(tallest - 0.3, -0.7)
    axis.set_yticks(ticks, labels)
    titles = {title for title, _ in groups}
    for tick in axis.get_yticklabels():
        if tick.get_text() in titles:
            tick.set_fontweight("bold")
    axis.tick_params(axis="y", length=0)
    axis.grid(axis="y", alpha=0.15)


def _draw_ratio(axis: Axes, place: int, compared: Compared) -> None:
    marker, face, edge = LOOKS[compared.word]
    ratio = compared.ratio
    if ratio.decidable:
        axis.plot(
            [ratio.low, ratio.high],
            [place, place],
            color=edge,
            linewidth=1.2,
            solid_capstyle="butt",
            zorder=2,
        )
    axis.plot(
        ratio.estimate,
        place,
        marker,
        markerfacecolor=face,
        markeredgecolor=edge,
        markersize=4.2,
        zorder=3,
    )


def limits(axis: Axes, rows: Iterable[Compared]) -> None:
    """Set a logarithmic x axis that shows all ratios and intervals, and 1."""
    shown = [row.ratio for row in rows]
    ends = [end for r in shown for end in (r.estimate, r.low, r.high) if end is not None]
    reach = max(0.25, max(abs(log(end)) for end in ends) * 1.1)
    low, high = (
        min(min(map(log, ends)) * 1.15, -0.3 * reach),
        max(max(map(log, ends)) * 1.15, 0.3 * reach),
    )
    axis.set_xlim(exp(low), exp(high))
    narrow = high - low < log(4)
    digits = [1, 1.2, 1.5, 2, 3, 5, 7, 8, 9] if narrow else [1, 2, 5]
    axis.xaxis.set_major_locator(LogLocator(base=10, subs=digits, numticks=30))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}x"))
    axis.xaxis.set_minor_formatter(NullFormatter())


def legend(words: Sequence[str], delta: float | None) -> tuple[list[Artist], list[str]]:
    """Return the handles and labels of a legend: each word with its count, and the noise floor."""
    handles: list[Artist] = []
    labels: list[str] = []
    for word, count in Counter(words).items():
        marker, face, edge = LOOKS[word]
        look: dict[str, Any] = dict(
            color=edge, marker=marker, markerfacecolor=face, markeredgecolor=edge, markersize=4.2
        )
        handles.append(Line2D([], [], **look))
        labels.append(f"{word} ({count})")
    if delta is not None:
        handles.append(Patch(color="#bbbbbb", alpha=0.5, linewidth=0))
        labels.append(f"noise floor {exp(delta) - 1:.1%}")
    return handles, labels
