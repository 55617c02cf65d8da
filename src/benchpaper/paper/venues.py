"""Typesets the paper in the class of a venue, where this TeX has it.

benchpaper brings a bpclass-VENUE.tex for each; the paper's main file asks for it by
`\\providecommand\\venueclass{article}\\input{bpclass-\\venueclass}`.
"""

import re
import shutil
import subprocess
from pathlib import Path

from benchpaper.core import environment, settings
from benchpaper.core.errors import one_of
from benchpaper.core.project import Project
from benchpaper.paper import exhibit_list, latex
from benchpaper.paper.gather import PaperError
from benchpaper.paper.latex_styles import STYLES

NEEDS = {  # {venue: (the file that its class needs, where it comes from)}
    "acm": ("acmart.cls", "Debian's texlive-publishers has it"),
    "usenix": ("usenix-2020-09.sty", "USENIX has it among its templates; put it into paper/"),
}
CHOICE = re.compile(r"\\input\{bpclass-\\venueclass\}")


def typeset(project: Project, site: str, source: str, venue: str) -> Path:
    """Typeset what is built in a venue's class; return the path of the PDF, paper-VENUE.pdf.

    Raises `PaperError` if this TeX lacks the class, or the paper takes no class.
    """
    one_of("class", venue, NEEDS)
    build, main = project.build(site, source), settings.read(project.root).main
    if not CHOICE.search((project.paper / main).read_text(errors="replace")):
        raise PaperError(
            f"paper/{main} takes no class; begin it with "
            r"\providecommand\venueclass{article}\input{bpclass-\venueclass} "
            r"instead of \documentclass"
        )
    _check_class(project, venue)
    latex.checked(project, build)
    work = build / f"{latex.WORK}-{venue}"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    exhibit_list.write(project, build, work / exhibit_list.FILE)
    latex.run_latex(project, build, work, main, rf"-usepretex=\def\venueclass{{{venue}}}")
    target = build / f"paper-{venue}.pdf"
    shutil.copyfile(work / Path(main).with_suffix(".pdf"), target)
    return target


def _check_class(project: Project, venue: str) -> None:
    """Raise `PaperError` if TeX does not find what a venue's class needs."""
    file, origin = NEEDS[venue]
    try:
        done = subprocess.run(
            ["kpsewhich", file],
            cwd=project.paper,
            env={**environment.clean(project.home), "TEXINPUTS": f"{STYLES}:"},
            capture_output=True,
        )
    except FileNotFoundError:
        raise PaperError("the PDF needs LaTeX, and kpsewhich is not installed") from None
    if done.returncode:
        raise PaperError(f'the class "{venue}" needs {file}, which this TeX lacks; {origin}')
