"""Texts and tables of results, escaped for LaTeX."""

from typing import TYPE_CHECKING

from benchpaper.analysis.values import Estimate, with_unit

if TYPE_CHECKING:
    import pandas as pd

TEX_SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "µ": r"\textmu{}",
    "×": r"$\times$",
    "≤": r"$\le$",
    "≥": r"$\ge$",
    "≈": r"$\approx$",
    "−": "$-$",
    "→": r"$\to$",
    "–": "--",
    "—": "---",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
}


def tex(text: object) -> str:
    """Return text with all characters special to TeX escaped."""
    return "".join(TEX_SPECIAL.get(character, character) for character in str(text))


def cell_text(cell: object) -> str:
    """Return the text of a table's cell."""
    if not isinstance(cell, Estimate):
        return str(cell)
    if cell.value is None:
        return cell.missing
    return f"{with_unit(cell.value, cell.unit)}{cell.interval_text()}"


def booktabs(frame: "pd.DataFrame") -> str:
    """Return a frame of texts as a LaTeX tabular: texts to the left, numbers to the right."""
    numeric = [
        all(text.removeprefix("-")[:1].isdigit() for text in frame[column]) for column in frame
    ]
    lines = [
        rf"\begin{{tabular}}{{{''.join('r' if right else 'l' for right in numeric)}}}",
        r"\toprule",
    ]
    lines.append(" & ".join(tex(column) for column in frame) + r" \\")
    lines.append(r"\midrule")
    lines += [
        " & ".join(tex(text) for text in row) + r" \\" for row in frame.itertuples(index=False)
    ]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])
