"""Looks up in the PDF what an archive states elsewhere in whole rows: verdicts, and tables.

pdftotext -raw keeps the order in which LaTeX wrote the text, cell by cell. So the cells of a row
follow each other, whatever the columns' widths. Spaces, line breaks, and hyphens do not count.
"""

import re
import shutil
import subprocess
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from benchpaper.analysis import claim_rows, history
from benchpaper.analysis.claim_rows import ClaimRow
from benchpaper.analysis.exhibits import TEX_SPECIAL
from benchpaper.artifact.bundle import pdf_check
from benchpaper.artifact.bundle.archive import NotVerified
from benchpaper.artifact.bundle.exhibit_check import tex_rows
from benchpaper.core.project import Project
from benchpaper.paper import claims_tex, latex, uses
from benchpaper.paper.gather import Gathered

CLAIM = re.compile(r"\\claim(mark|verdict|why|written)?\{([^}]*)\}")
CLAIMS_TABLE = re.compile(r"\\(claims|findings|checks)table(?:\[([^\]]*)\])?")
KINDS = {"claims": claim_rows.KINDS, "findings": ("finding",), "checks": ("check",)}
TIMEOUT_S = 120
LEAST_PIECE = 10  # characters of the longer part of a text that goes on in another column
PLAIN = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "˜": "~", "∼": "~", "ˆ": "^"})


def check(
    project: Project,
    build: Path,
    exhibits: Mapping[str, Gathered],
    rows: Sequence[ClaimRow],
) -> str:
    """Look up each claim and each row of a table that the paper names; return a line on success.

    Raises `NotVerified` with the first that the PDF does not print.
    """
    if not shutil.which("pdftotext"):
        return "verdicts and tables were not looked up: there is no pdftotext (poppler-utils)"
    printed = Printed("\f".join(_raw_text(path) for path in pdf_check.pdfs(build)))
    past = history.read(build / history.FILE)
    measured = {saved.manifest.experiment for saved in exhibits.values()}
    claims = list(_claims(_lines(project.paper, measured), rows, past))
    tables = list(_tables(project.paper, build, exhibits))
    for what, text in [*claims, *tables]:
        if not printed.has(squeezed(text)):
            raise NotVerified(
                f"the PDF does not print {what} as it is inside ({_short(text)}); "
                "it was typeset from something else"
            )
    _check_marks(printed, rows, [text for _, text in claims])
    return (
        f"{len(claims)} claims with their verdicts and {len(tables)} rows of tables are in the PDF"
    )


def _check_marks(printed: "Printed", rows: Sequence[ClaimRow], claims: Sequence[str]) -> None:
    """Check that no claim bears another mark than its verdict's, or bears it too often."""
    for row in rows:
        for symbol in claims_tex.SYMBOLS.values():
            shown = squeezed(row.id + symbol)
            if shown == row.id:  # a dash, which does not count
                continue
            expected = sum(squeezed(text).count(shown) for text in claims)
            if (times := printed.text.count(shown)) > expected:
                raise NotVerified(
                    f"the PDF prints {row.id} {symbol} {times} times, and its verdict "
                    f'"{row.verdict}" gives {expected}; it was typeset from something else'
                )


class Printed:
    """The text of a PDF, squeezed, with the places where its lines and pages begin."""

    def __init__(self, raw: str) -> None:
        self.text = ""
        self._lines: list[tuple[int, int]] = []  # of each line: its begin in `text`, its page
        for page, content in enumerate(raw.split("\f")):
            for line in content.splitlines():
                self._lines.append((len(self.text), page))
                self.text += squeezed(line)

    def has(self, wanted: str) -> bool:
        """Return whether the text has `wanted` in one piece, or in two around a column's end.

        The first piece then ends a line, and the second begins a line of this page or the next: a
        figure may stand between them.
        """
        return wanted in self.text or any(
            self._begins(wanted[length:], place, page)
            for place, page in self._lines
            for length in range(1, len(wanted))
            if max(length, len(wanted) - length) >= LEAST_PIECE
            and self.text.endswith(wanted[:length], 0, place)
        )

    def _begins(self, wanted: str, after: int, page: int) -> bool:
        return any(
            self.text.startswith(wanted, place)
            for place, its_page in self._lines
            if place > after and its_page <= page + 1
        )


def _raw_text(path: Path) -> str:
    done = subprocess.run(
        ["pdftotext", "-q", "-raw", path, "-"], capture_output=True, timeout=TIMEOUT_S
    )
    if done.returncode:
        raise NotVerified(f"{path.name} is no readable PDF")
    return done.stdout.decode(errors="replace")


def squeezed(text: str) -> str:
    """Return text in one normal form without spaces, breaks, and all kinds of hyphens."""
    normal = unicodedata.normalize("NFKC", text.translate(PLAIN))
    return re.sub(r"[\s\-\u00ad\u2010-\u2015\u2212]", "", normal)


def _short(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= 100 else f"{words[:100]}…"


def _claims(
    lines: Iterable[str], rows: Sequence[ClaimRow], past: history.History
) -> Iterator[tuple[str, str]]:
    r"""Yield (name, text) of each claim that the paper prints, by \claim or in a table."""
    by_id = {row.id: row for row in rows}
    for line in lines:
        for which, name in CLAIM.findall(line):
            if row := by_id.get(name):
                text = {
                    "": row.sentence + claims_tex.mark(row),
                    "mark": claims_tex.mark(row),
                    "verdict": row.verdict,
                    "why": row.why,
                    "written": claims_tex.written(row, past),
                }[which]
                yield f"claim {name}", text
        for kinds, family in CLAIMS_TABLE.findall(line):
            for row in claims_tex.of_kind_and_family(rows, KINDS[kinds], family):
                yield f"the verdict on {row.id}", " ".join(claims_tex.cells_of(row, past))


def _tables(
    paper: Path, build: Path, exhibits: Mapping[str, Gathered]
) -> Iterator[tuple[str, str]]:
    """Yield (name, text) of each row of the tables that the paper inputs."""
    for _, macro, name in latex.uses(paper, exhibits):
        if macro != "exhibittable":
            continue
        for file in exhibits[name].exhibit.files:
            text = (build / exhibits[name].folder / file).read_text()
            for number, cells in enumerate(tex_rows(text)):
                yield f'row {number} of table "{name}"', untex(" ".join(cells))


def _lines(paper: Path, measured: Collection[str]) -> Iterator[str]:
    """Yield the lines of the paper's sources that are printed."""
    for path in sorted(paper.rglob("*.tex")):
        yield from uses.printed(path.read_text().splitlines(), measured)


def untex(text: str) -> str:
    """Return the text that `exhibits.tex` escaped."""
    plain = {escaped: character for character, escaped in TEX_SPECIAL.items()}
    longest_first = sorted(plain, key=len, reverse=True)
    return re.sub("|".join(map(re.escape, longest_first)), lambda match: plain[match.group()], text)
