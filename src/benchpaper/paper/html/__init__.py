"""The report: static web pages of one build, by Sphinx and MyST-NB.

The pages work offline and from the file system. The first has a card for each family, the verdicts,
and the gaps; others are a gallery of all exhibits, the commands that make each figure again, and
the artifact appendix. Each experiment has a page with its figures, numbers, and notebook, and one
with the trail of each exhibit.
"""

import io
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from importlib.resources import files as package_files
from pathlib import Path
from typing import TypeAlias

from benchpaper import results
from benchpaper.analysis import claim_rows, compare, estimates, history
from benchpaper.core import checksums, extras, settings
from benchpaper.core.errors import UserError
from benchpaper.core.project import REFERENCE, Project, slug
from benchpaper.paper import gather, latex, provenance
from benchpaper.paper.html import gallery, overview, pages, plots, trail_pages
from benchpaper.results import accepted

TIMEOUT_S = 600
LOCAL_SITE = "local"
NOTHING = (
    "These are the reference results; `./reproduce` measures here, "
    "and `./reproduce report` then compares."
)
SPHINX = ("sphinx", "-b", "html", "-q", "-W", "--keep-going", "-j", "auto")


class ReportError(UserError):
    """The pages cannot be built; the text quotes Sphinx."""


def build(project: Project, site: str, source: str, experiments: Sequence[str]) -> Path:
    """Build the pages below the build folder; return the path of the first one.

    Raises `ReportError`.
    """
    extras.require("report", "the report")
    folder = project.build(site, source)
    manifests = gather.manifests(folder)
    lacking = [
        f"the notebook of {name} has not run" for name in experiments if slug(name) not in manifests
    ]
    if lacking or not manifests:
        problem = lacking[0] if lacking else "no notebook has run"
        raise ReportError(
            f"{problem} in build/{folder.name}; benchpaper run report does all that it needs"
        )
    sources, target = folder / "report-source", folder / "report"
    shutil.rmtree(sources, ignore_errors=True)
    shutil.rmtree(target, ignore_errors=True)
    _copy_theme(sources)
    pdfs = [name for name in latex.PDFS if (folder / name).exists()]
    for name in pdfs:
        shutil.copyfile(folder / name, sources / "extra" / name)
    has_appendix = (folder / "appendix.md").exists()
    if has_appendix:
        shutil.copyfile(folder / "appendix.md", sources / "appendix.md")
    site_pages = overview.Site(
        title=settings.read(project.root).title or "Results and verdicts",
        manifests={name: manifests[slug(name)] for name in experiments},
        questions={name: _question(project, site, source, name) for name in experiments},
        rows=claim_rows.read(folder),
        past=history.read(folder / history.FILE),
        cards=settings.cards(project.root),
        pdfs=pdfs,
        has_appendix=has_appendix,
    )
    compared, why = _compare_all(project, site, source, experiments)
    families = compare.drawn_families(project, compared.values(), site, source)
    for family, path in families.items():
        shutil.copyfile(
            project.root / path, sources / "as-is" / "pictures" / f"{family}-claims.png"
        )
    _write_texts(project, sources, site_pages, list(families))
    for name in experiments:
        _write_experiment(
            project,
            site,
            source,
            name,
            sources,
            site_pages,
            compared.get(name) or why.get(name, NOTHING),
        )
    _run_sphinx(sources, target)
    checksums.note(folder, "pages", target.rglob("*"))
    return target / "index.html"


def _copy_theme(sources: Path) -> None:
    """Write the folders of Sphinx's sources, with settings, styles and scripts."""
    (sources / "extra").mkdir(parents=True)
    (sources / "as-is" / "pictures").mkdir(parents=True)
    theme = package_files("benchpaper.paper.html") / "theme"
    plotly = package_files("plotly") / "package_data" / "plotly.min.js"
    shutil.copytree(str(theme), sources, dirs_exist_ok=True)
    shutil.copyfile(str(plotly), sources / "_static" / "plotly.min.js")


def _question(project: Project, site: str, source: str, name: str) -> str:
    """Return what an experiment asks, as its results note it."""
    path = project.results(site, source) / name / results.TRIALS
    return str(results.read_description(path)["question"])


def _write_texts(
    project: Project, sources: Path, shown: overview.Site, compared: Sequence[str]
) -> None:
    """Write the pages that are about all experiments; `compared` are families with a picture."""
    below = [*map(slug, shown.manifests), "compared", "gallery", "reproduce"]
    below += ["appendix"] if shown.has_appendix else []
    texts = {
        "index.md": overview.page(shown, below),
        "compared.md": gallery.compared(compared),
        "gallery.md": gallery.page(shown.manifests),
        "reproduce.md": gallery.reproduce(shown.manifests, settings.scales(project.root).default),
    }
    for name, text in texts.items():
        (sources / name).write_text(text)


def _write_experiment(
    project: Project,
    site: str,
    source: str,
    name: str,
    sources: Path,
    shown: overview.Site,
    compared: compare.ExperimentComparison | str,
) -> None:
    import nbformat

    manifest = shown.manifests[name]
    folder, key = project.build(site, source), slug(name)
    measured = estimates.load(name, project.results(site, source))
    there = project.results(LOCAL_SITE, REFERENCE)
    is_run = source != REFERENCE and (there / name / results.TRIALS).exists()
    beside = estimates.load(name, there) if is_run else None
    pictures = sources / "as-is" / "pictures"
    for path in (folder / "exhibits" / key).glob("*.png"):
        shutil.copyfile(path, pictures / path.name)
    figures = {
        exhibit: plots.figure(measured, entry, beside)
        for exhibit, entry in manifest.exhibits.items()
        if entry.kind == "figure"
    }
    page = pages.experiment(
        nbformat.read(folder / "notebooks" / f"{key}.ipynb", as_version=4),
        measured,
        manifest,
        overview.verdicts(
            [row for row in shown.rows if row.experiment == name], shown.past, link=False
        ),
        _compared(compared),
        figures,
    )
    nbformat.write(page, sources / f"{key}.ipynb")
    table, described = results.read(project.results(site, source) / name / results.TRIALS)
    trails = trail_pages.trails(
        manifest,
        provenance.by_cell(table),
        provenance.inputs_of(described),
        provenance.environments_of(described),
        accepted.read(project.results(site, source) / name),
    )
    (sources / f"{key}-trail.md").write_text(trails)


Comparisons: TypeAlias = dict[str, compare.ExperimentComparison]


def _compare_all(
    project: Project, site: str, source: str, experiments: Sequence[str]
) -> tuple[Comparisons, dict[str, str]]:
    """Return {experiment: its comparison with the reference}, and {experiment: why it has none}."""
    compared, why = Comparisons(), dict[str, str]()
    for name in experiments if source != REFERENCE else ():
        try:
            compared[name] = compare.compare(project, name, site, source, LOCAL_SITE)
        except UserError as error:
            why[name] = f"Not compared: {error}"
    return compared, why


def _compared(comparison: compare.ExperimentComparison | str) -> str:
    """Return the output of `benchpaper compare`, or why there is nothing to compare."""
    if isinstance(comparison, str):
        return comparison
    text = io.StringIO()
    os.environ["COLUMNS"] = "100"
    with redirect_stdout(text):
        compare.show(comparison)
    return f"```text\n{text.getvalue().rstrip()}\n```"


def _run_sphinx(sources: Path, target: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *SPHINX, str(sources), str(target)],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        env={**os.environ, "SOURCE_DATE_EPOCH": "0", "PYTHONDONTWRITEBYTECODE": "1"},
    )
    if done.returncode:
        raise ReportError(f"Sphinx failed: {' '.join(done.stderr.split())[:600]}")
    shutil.rmtree(target / ".doctrees", ignore_errors=True)
    shutil.rmtree(target / "_sources", ignore_errors=True)
    (target / ".buildinfo").unlink(missing_ok=True)
