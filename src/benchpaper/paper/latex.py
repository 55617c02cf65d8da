"""Typesets the paper: checks the exhibits that its sources use, then runs LaTeX."""

import re
import shutil
import subprocess
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchpaper.analysis import claim_rows
from benchpaper.core import checksums, environment, settings
from benchpaper.core.atomic_write import atomic_write
from benchpaper.core.errors import did_you_mean, first_few
from benchpaper.core.project import Project, slug
from benchpaper.design import catalog
from benchpaper.paper import exhibit_list, gather
from benchpaper.paper.gather import PaperError
from benchpaper.paper.latex_styles import STYLES
from benchpaper.paper.uses import COMMENT as COMMENT
from benchpaper.paper.uses import uses as uses

KIND_OF_MACRO = {
    "result": "number",
    "resultci": "number",
    "resultblocks": "number",
    "exhibitfigure": "figure",
    "exhibittable": "table",
}
LATEX_TIMEOUT_S = 300
WORK = "latex"  # below the build folder
PDFS = ("paper.pdf", "supplement.pdf")
LATEXMK = (
    "latexmk",
    "-norc",
    "-pdf",
    "-halt-on-error",
    "-interaction=nonstopmode",
    "-file-line-error",
)


def check_uses(paper: Path, kinds: Mapping[str, str], left_out: Collection[str] = ()) -> None:
    """Check that each exhibit named in the paper's sources is declared, and of the right kind.

    `kinds` are {exhibit: its kind}. Raises `PaperError` with file and line of the first mistake.
    The text also names the experiments `left_out`, whose notebooks may declare the exhibit.
    """
    for place, macro, name in uses(paper, kinds):
        _check_use(place, KIND_OF_MACRO[macro], name, kinds, list(left_out))


def typeset(project: Project, site: str, source: str) -> Path:
    """Typeset the paper, and its supplement if it has one; return the path of the paper's PDF.

    Raises `PaperError` with the first error of LaTeX or BibTeX.
    """
    build = project.build(site, source)
    checked(project, build)
    work = build / WORK
    if checksums.flaw(build, WORK):  # LaTeX reads its own files again, and fails on damaged ones
        shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True, exist_ok=True)
    paper = settings.read(project.root)
    exhibit_list.write(project, build, work / exhibit_list.FILE)
    run_latex(project, build, work, paper.main)
    made = [_published(work, paper.main, build / PDFS[0])]
    if paper.supplement:
        before = _references(work, paper.supplement)
        run_latex(project, build, work, paper.supplement)
        if before != _references(work, paper.supplement):  # the paper refers to the supplement
            run_latex(project, build, work, paper.main, "-g")
            _published(work, paper.main, build / PDFS[0])
        made.append(_published(work, paper.supplement, build / PDFS[1]))
    checksums.note(build, WORK, work.rglob("*"))
    checksums.note(build, "typeset", made)
    return made[0]


def checked(project: Project, build: Path) -> None:
    """Check that the notebooks declare each exhibit that the paper names."""
    kinds = {name: saved.exhibit.kind for name, saved in gather.all_exhibits(build).items()}
    if gather.claims_table(build):
        kinds["claims"] = "table"
    check_uses(project.paper, kinds, _left_out(project, build))


def run_latex(project: Project, build: Path, work: Path, document: str, *options: str) -> None:
    """Run latexmk on a document of the paper, in the folder `work`.

    Raises `PaperError` with the first error of LaTeX or BibTeX.
    """
    done = _run_latexmk(project, build, work, document, options)
    (work / "latexmk.out").write_text(done.stdout + done.stderr)
    if done.returncode:
        log = _made(work, document, ".log")
        where = log.relative_to(project.root)
        error = _first_error(log)
        if unknown := re.search(r"Unicode character (.) ?\(U\+([0-9A-F]+)\)", error):
            raise PaperError(_unknown_character(project, build, *unknown.groups()))
        raise PaperError(f"LaTeX failed: {error}; the whole log is {where}")


def _published(work: Path, document: str, target: Path) -> Path:
    """Copy the PDF that LaTeX made of a document to `target`; return `target`."""
    atomic_write(target, _made(work, document, ".pdf").read_bytes())
    return target


def _references(work: Path, document: str) -> bytes:
    """Return what other documents know of a document's sections, figures, and tables."""
    path = _made(work, document, ".aux")
    return path.read_bytes() if path.exists() else b""


def _run_latexmk(
    project: Project, build: Path, work: Path, document: str, options: Sequence[str]
) -> subprocess.CompletedProcess[str]:
    variables = {
        **environment.clean(project.home),
        "TEXINPUTS": f"{build}:{work}:{build / WORK}:{STYLES}:",
        "max_print_line": "1000",
        "SOURCE_DATE_EPOCH": str(_last_measured(build)),
        "FORCE_SOURCE_DATE": "1",
    }
    try:
        return subprocess.run(
            [*LATEXMK, *options, f"-outdir={work}", document],
            cwd=project.paper,
            env=variables,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=LATEX_TIMEOUT_S,
        )
    except FileNotFoundError:
        raise PaperError(
            "the PDF needs LaTeX, and latexmk is not installed; "
            "`benchpaper doctor` says what to install"
        ) from None
    except subprocess.TimeoutExpired:
        raise PaperError(f"LaTeX did not end within {LATEX_TIMEOUT_S} s") from None


def _check_use(
    place: str,
    kind: str,
    name: str,
    kinds: Mapping[str, str],
    left_out: list[str],
) -> None:
    site, _, plain = name.rpartition("/")
    if site and kind != "number":
        raise PaperError(
            f'{place}: "[site={site}]" chooses a number; a {kind} shows all sites of its notebook'
        )
    if site and name not in kinds and plain in kinds:
        there = sorted(other.rpartition("/")[0] for other in kinds if other.endswith(f"/{plain}"))
        remedy = f'its notebook reads it by load(..., sites=["{site}"])'
        raise PaperError(
            f'{place}: number "{plain}" has no value of site "{site}"'
            f"{did_you_mean(site, there, remedy)}"
        )
    if name not in kinds:
        same_kind = [other for other, its_kind in kinds.items() if its_kind == kind]
        remedy = "save it in a notebook under this name, or take it out"
        raise PaperError(
            f'{place}: {kind} "{name}" is not declared by any notebook'
            f"{did_you_mean(name, same_kind, remedy)}{_not_run(left_out) if left_out else ''}"
        )
    if kinds[name] != kind:
        raise PaperError(f'{place}: "{name}" is a {kinds[name]}, but is used as a {kind}')


def _not_run(names: list[str]) -> str:
    shown = first_few(names)
    return (
        f"; or run the notebooks of {shown} first: the paper takes all experiments "
        "(benchpaper run paper)"
    )


def _left_out(project: Project, build: Path) -> list[str]:
    analysed = gather.manifests(build)
    return [name for name in catalog.names(project) if slug(name) not in analysed]


def _last_measured(build: Path) -> int:
    """Return the last day of measurement, in seconds since 1970: the date of the PDF.

    Unlike the date of a commit, this day depends only on the content of the PDF. So the same
    sources and results give the same bytes at any time.
    """
    days = [
        datetime.fromisoformat(manifest.measured_on)
        for manifest in gather.manifests(build).values()
    ]
    return int(max(days).replace(tzinfo=UTC).timestamp()) if days else 0


def _made(work: Path, document: str, suffix: str) -> Path:
    """Return the file that LaTeX makes of a document, such as main.log."""
    return work / Path(document).with_suffix(suffix)


def _first_error(log: Path) -> str:
    latex = [
        line
        for line in _lines(log)
        if line.startswith("!") or re.match(r"\S+\.(tex|sty):\d+: ", line)
    ]
    bibtex = [
        line for line in _lines(log.with_suffix(".blg")) if re.search(r"---line \d+ of file", line)
    ]
    errors = latex + bibtex
    return errors[0] if errors else "no error line in its log"


def _unknown_character(project: Project, build: Path, character: str, code: str) -> str:
    """Return the error for a character that LaTeX cannot typeset: which text holds it, what helps.

    LaTeX names the line that prints the text, which is often in a generated file.
    """
    texts = {f"claim {row.id}": row.sentence + row.why for row in claim_rows.read(build)}
    texts |= {
        f'{saved.exhibit.kind} "{name}"': repr(saved.exhibit)
        for name, saved in gather.all_exhibits(build).items()
    }
    texts |= {
        path.relative_to(project.root).as_posix(): path.read_text(errors="replace")
        for path in sorted(project.paper.rglob("*.tex"))
    }
    holders = [name for name, text in texts.items() if character in text] or ["the paper"]
    declaration = rf"\DeclareUnicodeCharacter{{{code}}}{{\ensuremath{{...}}}}"
    return (
        f"{holders[0]} holds {character} (U+{code}), which LaTeX cannot typeset; write it "
        f"otherwise, or declare it in the preamble: {declaration}"
    )


def _lines(log: Path) -> list[str]:
    return log.read_text(errors="replace").splitlines() if log.exists() else []
