"""Drawings of a violation: text with a small timeline, and a picture."""

from pathlib import Path
from xml.sax.saxutils import escape

from experiments.multiprotocol.checker.history import CAS, FAILED_CAS, NEVER, READ

PICTURES = (".svg", ".png", ".pdf")
WIDTH = 56  # characters of a timeline
CAPTION, UNKNOWN = (
    "time, in order of beginnings and ends (not to scale)",
    "; dashed: outcome unknown",
)
MANY = 25  # operations in a picture; with more, the rows are narrow
LINES = 40  # operations shown as text
LONGEST = 28  # characters of a value that are shown
# Each operation is named as well, so that the picture can be read without colours.
COLOURS = {"write": "#0173b2", "read": "#de8f05", "cas": "#029e73"}


def label(history, place):
    """Return an operation as `write 7`, `read null`, `cas 1 -> 2`, `cas 1 -> 2 fails`."""
    kind, value = history.kind[place], _short(history.values[history.value[place]])
    if kind == READ:
        return f"read {value}"
    if kind in (CAS, FAILED_CAS):
        return f"cas {value} -> {_short(history.values[history.set_to[place]])}" + (
            " fails" if kind == FAILED_CAS else ""
        )
    return "delete" if history.value[place] == 0 else f"write {value}"


def _short(text):
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def text(history, verdict):
    """Return the lines that describe one violated key."""
    witness, key = verdict.witness, history.values[verdict.key]
    kind = (
        "none of them can be left out"
        if witness.irreducible
        else "perhaps not all of them are needed"
    )
    count = len(witness.places)
    lines = [
        f"key {key} is not linearizable: {count} operation{'s' * (count > 1)} "
        f"that no order explains; {kind}"
    ]
    names = [label(history, place) + " *" * (place in witness.relaxed) for place in witness.places]
    wide = max(map(len, names))
    clients = [f"client {history.values[history.client[place]]}" for place in witness.places]
    for place, name, client, bar in list(
        zip(witness.places, names, clients, _bars(history, witness.places), strict=True)
    )[:LINES]:
        end = "never" if history.completed[place] == NEVER else history.completed[place]
        when = f"{history.unit} {history.line[place]}, {history.invoked[place]} to {end}"
        lines.append(f"  {client:>{max(map(len, clients))}}  {name:<{wide}} |{bar}|  {when}")
    if count > LINES:
        lines.append(f"  and {count - LINES} more; --json names all")
    if witness.relaxed:
        lines.append(
            "  what a cas with * expected does not matter here: "
            "wrong even if they are taken as writes"
        )
    return [*lines, f"  {_reason(history, witness.places, witness.relaxed)}"]


def _reason(history, places, relaxed):
    written = {
        history.values[history.value[p]]
        for p in places
        if history.kind[p] not in (READ, FAILED_CAS, CAS)
    }
    written |= {history.values[history.set_to[p]] for p in places if history.kind[p] == CAS}
    written.add(history.values[history.initial])
    for place in places:
        value = history.values[history.value[place]]
        if history.kind[place] in (READ, CAS) and value not in written and place not in relaxed:
            return f"no operation can have written {_short(value)} before it was seen"
    start = history.values[history.initial]
    first = f", which first holds {_short(start)}" * (history.initial != 0)
    return f"no order of these respects both their times and what a register{first} returns"


def _scale(history, places):
    """Return {time: position} of all starts and ends, evenly spaced: only their order matters."""
    times = {int(history.invoked[p]) for p in places} | {
        int(t) for p in places if (t := history.completed[p]) != NEVER
    }
    return {time: position for position, time in enumerate(sorted(times))}


def _bars(history, places):
    order = _scale(history, places)
    step = (WIDTH - 2) / max(1, len(order) - 1)
    total = round(step * (len(order) - 1)) if len(order) > 1 else WIDTH - 2
    for place in places:
        begin = round(order[int(history.invoked[place])] * step)
        open_ended = history.completed[place] == NEVER
        end = total if open_ended else round(order[int(history.completed[place])] * step)
        inside = "-" * (end - begin - 1)
        bar = "[" if end == begin else f"[{inside}{'>' if open_ended else ']'}"
        yield (" " * begin + bar).ljust(total + 1)


def picture(history, verdict, path):
    """Draw a violated key's witness to `path`; .png and .pdf use matplotlib."""
    path = Path(path)
    if path.suffix == ".svg":
        path.write_text(_svg(history, verdict))
    else:
        _matplotlib(history, verdict).savefig(path, dpi=200)


def rows(history, places):
    """Return (clients in order of appearance, bars) of a timeline.

    A bar is (place, client's row, start, end, open-ended), with times by rank.
    """
    order = _scale(history, places)
    clients = list(dict.fromkeys(int(history.client[p]) for p in places))
    bars = []
    for place in places:
        open_ended = bool(history.completed[place] == NEVER)
        end = len(order) if open_ended else order[int(history.completed[place])]
        bars.append(
            (
                place,
                clients.index(int(history.client[place])),
                order[int(history.invoked[place])],
                end,
                open_ended,
            )
        )
    return clients, bars


def _kind(history, place):
    return {READ: "read", CAS: "cas", FAILED_CAS: "cas"}.get(int(history.kind[place]), "write")


def _lanes(bars):
    """Return {place: (client's row, number of its overlapping operations drawn above)}."""
    lanes = {}
    for number, (place, row, begin, end, _) in enumerate(bars):
        above = sum(
            other == row and first <= end and begin <= last
            for _, other, first, last, _ in bars[:number]
        )
        lanes[place] = row, above
    return lanes


def _svg(history, verdict):
    clients, bars = rows(history, verdict.witness.places)
    widest = max((len(label(history, place)) for place, *_ in bars), default=0)
    step, lanes = max(44, 7 * widest), _lanes(bars)
    ys = {lane: 40 + 34 * n for n, lane in enumerate(sorted(set(lanes.values())))}
    left = 30 + 7 * max((len(history.values[c]) + 7 for c in clients), default=8)
    right = left + step * (max((end for *_, end, _ in bars), default=0) + 1)
    parts = [
        f'<text x="10" y="18" font-weight="bold">key {escape(history.values[verdict.key])}: '
        "not linearizable</text>"
    ]
    for place, _, begin, end, open_ended in bars:
        row, _ = lanes[place]
        y, x = ys[lanes[place]], left + step * begin
        width = max(6, step * (end - begin))
        colour = COLOURS[_kind(history, place)]
        dashes = ' stroke-dasharray="5 3"' if open_ended else ""
        parts.append(
            f'<text x="10" y="{y + 12}">client {escape(history.values[clients[row]])}</text>'
        )
        parts.append(
            f'<rect x="{x}" y="{y}" width="{width}" height="16" fill="{colour}" '
            f'fill-opacity="0.25" stroke="{colour}"{dashes}/>'
        )
        parts.append(f'<text x="{x + 3}" y="{y + 12}">{escape(label(history, place))}</text>')
    height = 60 + 34 * len(ys)
    parts.append(
        f'<text x="{left}" y="{height - 14}" fill="#555">'
        f"{CAPTION}{UNKNOWN * any(bar[-1] for bar in bars)}</text>"
    )
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{right + 20}" height="{height}" '
        'font-family="DejaVu Sans, sans-serif" font-size="11">'
    )
    return "\n".join(
        [head, '<rect width="100%" height="100%" fill="white"/>', *parts, "</svg>", ""]
    )


def _matplotlib(history, verdict):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    clients, bars = rows(history, verdict.witness.places)
    row, font = (0.45, 8) if len(bars) <= MANY else (0.16, 5)
    figure, axis = plt.subplots(figsize=(6, 0.8 + row * len(bars)), layout="constrained")
    for number, (place, _, begin, end, open_ended) in enumerate(bars):
        colour = COLOURS[_kind(history, place)]
        axis.barh(
            -number,
            max(0.1, end - begin),
            left=begin,
            height=0.6,
            facecolor=(colour, 0.25),
            edgecolor=colour,
            linestyle="--" if open_ended else "-",
            linewidth=1,
        )
        axis.text(begin + 0.05, -number, label(history, place), va="center", fontsize=font)
    axis.set_yticks(
        [-n for n in range(len(bars))],
        [f"client {history.values[clients[row]]}" for _, row, *_ in bars],
        fontsize=font + 1,
    )
    axis.set_xticks([])
    axis.set_xlabel(CAPTION + UNKNOWN * any(bar[-1] for bar in bars), fontsize=8)
    axis.set_title(f"key {history.values[verdict.key]}: not linearizable", fontsize=9)
    return figure
