"""The report: static web pages of one build, by Sphinx and MyST-NB. They work offline and from the file system.

One page per experiment (its executed notebook between what was found and where it comes from), one with the trail of
each of its exhibits, an overview with the verdicts, and the artifact appendix.
"""

import io
import os
import shutil
import subprocess
import sys
from contextlib import redirect_stdout
from importlib.resources import files as package_files
from pathlib import Path

from benchpaper import results
from benchpaper.analysis import compare, estimates
from benchpaper.core.errors import UserError
from benchpaper.core.project import REFERENCE, slug, verdict_rows
from benchpaper.paper import provenance, typeset
from benchpaper.paper.html import pages, plots

TIMEOUT_S = 600
LOCAL_SITE = "local"


class ReportError(UserError):
    """The pages cannot be built; the text has Sphinx's own words."""


def build(project, site, source, experiments):
    """Build the pages below the build folder and return the path of the first one. Raises `ReportError`."""
    folder = project.build(site, source)
    manifests = typeset.manifests(folder)
    lacking = [
        f"the notebook of {name} has not run" for name in experiments if slug(name) not in manifests
    ]
    if lacking or not manifests:
        what = lacking[0] if lacking else "no notebook has run"
        raise ReportError(
            f"{what} in build/{folder.name}; benchpaper run report does all that it needs"
        )
    sources, target = folder / "report-source", folder / "report"
    shutil.rmtree(sources, ignore_errors=True)
    shutil.rmtree(target, ignore_errors=True)
    (sources / "extra").mkdir(parents=True)
    (sources / "as-is" / "pictures").mkdir(parents=True)
    static = sources / "_static"
    shutil.copytree(
        str(package_files("benchpaper.paper.html") / "theme"), sources, dirs_exist_ok=True
    )
    shutil.copyfile(
        str(package_files("plotly") / "package_data" / "plotly.min.js"), static / "plotly.min.js"
    )
    if (folder / "paper.pdf").exists():
        shutil.copyfile(folder / "paper.pdf", sources / "extra" / "paper.pdf")
    rows = verdict_rows(folder)
    (sources / "index.md").write_text(
        pages.overview(
            manifests,
            rows,
            experiments,
            (folder / "paper.pdf").exists(),
            (folder / "appendix.md").exists(),
        )
    )
    if (folder / "appendix.md").exists():
        shutil.copyfile(folder / "appendix.md", sources / "appendix.md")
    for name in experiments:
        _write_experiment(project, site, source, name, sources, manifests[slug(name)], rows)
    _sphinx(sources, target)
    return target / "index.html"


def _write_experiment(project, site, source, name, sources, manifest, rows):
    import nbformat

    folder, key = project.build(site, source), slug(name)
    found = estimates.load(name, project.results(site, source))
    pictures = sources / "as-is" / "pictures"
    for path in (folder / "exhibits" / key).glob("*.png"):
        shutil.copyfile(path, pictures / path.name)
    about = {
        "rows": [row for row in rows if row["experiment"] == name],
        "compared": _compared(project, name, site, source),
        "figures": {
            exhibit: plots.figure(found, exhibit, entry)
            for exhibit, entry in manifest["exhibits"].items()
            if entry["kind"] == "figure"
        },
    }
    notebook = nbformat.read(folder / "notebooks" / f"{key}.ipynb", as_version=4)
    nbformat.write(pages.experiment(notebook, found, manifest, about), sources / f"{key}.ipynb")
    table, _ = results.read(project.results(site, source) / name / results.TRIALS)
    (sources / f"{key}-trail.md").write_text(pages.trails(manifest, provenance.by_cell(table)))


def _compared(project, name, site, source):
    """What `benchpaper compare` says of this run, or why there is nothing to compare."""
    if source == REFERENCE:
        return "These are the reference results; `./reproduce` measures here, and `./reproduce report` then compares."
    try:
        found = compare.compare(project, name, site, source, LOCAL_SITE)
    except UserError as error:
        return f"Not compared: {error}"
    text = io.StringIO()
    os.environ["COLUMNS"] = "100"
    with redirect_stdout(text):
        compare.show(found)
    return f"```text\n{text.getvalue().rstrip()}\n```"


def _sphinx(sources, target):
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-b",
        "html",
        "-q",
        "-W",
        "--keep-going",
        "-j",
        "auto",
        str(sources),
        str(target),
    ]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=TIMEOUT_S, env=environment
    )
    if done.returncode:
        raise ReportError(f"Sphinx failed: {' '.join(done.stderr.split())[:600]}")
    shutil.rmtree(target / ".doctrees", ignore_errors=True)
    for path in (target / "_sources", target / ".buildinfo"):
        shutil.rmtree(path) if path.is_dir() else Path(path).unlink(missing_ok=True)
