"""Compares the numbers in the text of a PDF with the exhibits and sources of its archive."""

import re
import shutil
import subprocess
import unicodedata
from collections.abc import Mapping
from pathlib import Path

from benchpaper.analysis.manifests import Exhibit, Number
from benchpaper.artifact.bundle.archive import NotVerified
from benchpaper.core.project import Project
from benchpaper.paper import latex

DECIMAL = re.compile(r"\d+\.\d+")
WHOLE = re.compile(  # of three digits or more, and not part of a longer number or word
    r"(?<![\w.,])(?:\d{1,3}(?:,\d{3})+|\d{3,})(?![\w]|[.,]\d)"
)
MAX_SECTION = 20  # a number such as 2.1 counts as that of a section up to here


def check_pdf(project: Project, build: Path, exhibits: Mapping[str, Exhibit]) -> str:
    """Check the numbers in the text of the PDFs; return a line that says what was checked.

    Each number that the paper or its supplement names must be in the text, as often as they name
    it. Each decimal number and each longer whole number in the text must be in the exhibits, the
    verdicts or the paper's sources. Raises `NotVerified` at the first exception.
    """
    if not shutil.which("pdftotext"):
        return "the PDF's text was not read: there is no pdftotext (package poppler-utils)"
    printed = _normal("\f".join(map(pdf_text, pdfs(build))))
    named = _named_texts(project.paper, exhibits)
    # Where the lines of two columns are level, pdftotext may join them in the middle of an
    # interval. In the order in which LaTeX wrote it (-raw), the text is whole.
    raw = "\f".join(pdf_text(pdf, "-raw") for pdf in pdfs(build))
    orders = [_squeezed(printed), _squeezed(_normal(raw))]
    for text, names in named.items():
        if (times := max(order.count(text) for order in orders)) < len(names):
            raise NotVerified(
                f'number "{names[0]}" ({text}) is in the text of the PDF {times} times, '
                f"and named {len(names)} times by the paper; "
                "the PDF was typeset from something else"
            )
    decimals, whole = _known_numbers(project, build)
    unknown = [
        number
        for number in DECIMAL.findall(printed)
        if number not in decimals and not _is_section(number)
    ]
    unknown += [n for n in WHOLE.findall(printed) if n.replace(",", "") not in whole]
    if unknown:
        raise NotVerified(
            f"the PDF prints {unknown[0]}, "
            "which no exhibit, verdict or text of the paper inside has"
        )
    count = len({name for names in named.values() for name in names})
    return (
        f"{count} numbers that the paper names stand in the PDF, as often as named, "
        "and what else it prints is accounted for"
    )


def pdfs(build: Path) -> list[Path]:
    """Return the PDF of the paper, and that of its supplement if it has one."""
    return [build / name for name in latex.PDFS if name == latex.PDFS[0] or (build / name).exists()]


def pdf_text(path: Path, *options: str) -> str:
    """Return the text of a PDF; raise `NotVerified` if it cannot be read.

    `options` are those of pdftotext.
    """
    done = subprocess.run(
        ["pdftotext", "-q", *options, path, "-"], capture_output=True, text=True, timeout=60
    )
    if done.returncode:
        raise NotVerified(f"{path.name} is no readable PDF")
    return done.stdout


def _named_texts(paper: Path, exhibits: Mapping[str, Exhibit]) -> dict[str, list[str]]:
    """Return {text of a number, without spaces: names of the exhibits, one for each use}."""
    texts: dict[str, list[str]] = {}
    for _, macro, name in latex.uses(paper, exhibits):
        number = exhibits[name]
        if not isinstance(number, Number) or number.missing or not number.text:
            continue
        if macro in ("result", "resultci"):
            texts.setdefault(_squeezed(_normal(number.text)), []).append(name)
            if macro == "resultci" and (interval := _squeezed(_normal(number.interval))):
                texts.setdefault(interval, []).append(name)
    return texts


def _squeezed(text: str) -> str:
    """Return text without spaces, because TeX breaks lines and sets thin spaces."""
    return re.sub(r"\s", "", text)


def _normal(text: str) -> str:
    return unicodedata.normalize("NFKC", text)


def _known_numbers(project: Project, build: Path) -> tuple[set[str], set[str]]:
    """Return (decimal numbers, whole numbers) in everything that is typeset.

    That is generated files, tables, figures, and the paper's sources.
    """
    sources = [
        path for path in sorted(project.paper.rglob("*")) if path.suffix in (".tex", ".bib", ".sty")
    ]
    texts = [path.read_text(errors="replace") for path in [*sources, *sorted(build.rglob("*.tex"))]]
    # How pdftotext joins a 10 and its exponent depends on the size at which the paper shows a
    # figure, so each order of the figure's own text counts.
    figures = sorted((build / "exhibits").rglob("*.pdf"))
    texts += [pdf_text(path, *order) for path in figures for order in ((), ("-raw",))]
    texts = [_normal(text) for text in texts]
    whole = {
        number
        for text in texts
        for number in re.findall(r"\d+", re.sub(r"(?<=\d)(?:,|\{,\}|\\,)(?=\d{3})", "", text))
    }
    return {number for text in texts for number in DECIMAL.findall(text)}, whole


def _is_section(number: str) -> bool:
    """Return whether a number may be that of a section, such as 2.1: both parts are small."""
    major, minor = number.split(".")
    return (
        int(major) <= MAX_SECTION
        and int(minor) <= MAX_SECTION
        and not (len(minor) > 1 and minor.startswith("0"))
        and major[0] != "0"
    )
