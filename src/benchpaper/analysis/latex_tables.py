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


SAME = " [=]"  # stands in a cell for the interval of a deterministic value
NOTE = "[=]: the same value in all blocks"


def tex(text: object) -> str:
    """Return text with all characters special to TeX escaped."""
    return "".join(TEX_SPECIAL.get(character, character) for character in str(text))


def cell_text(cell: object) -> str:
    """Return the text of a table's cell."""
    if not isinstance(cell, Estimate):
        return str(cell)
    if cell.value is None:
        return cell.missing
    interval = SAME if cell.shown_deterministic else cell.interval_text()
    return f"{with_unit(cell.value, cell.unit)}{interval}"


def booktabs(frame: "pd.DataFrame") -> str:
    """Return a frame of texts as a LaTeX tabular: texts to the left, numbers to the right.

    A note below the rows explains the mark of deterministic values where there is one.
    """
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
    lines.append(r"\bottomrule")
    if any(text.endswith(SAME) for column in frame for text in frame[column]):
        lines.append(rf"\multicolumn{{{frame.shape[1]}}}{{l}}{{\footnotesize {NOTE}}}")
    return "\n".join([*lines, r"\end{tabular}", ""])
