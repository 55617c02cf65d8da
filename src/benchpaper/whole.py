"""Whether what is built is all there, and made from the results that lie there now.

Snakemake goes by times and by the files that its rules name. What it cannot see is looked for here: a figure that a
notebook saved and somebody removed, exhibits of other results, a text that is not what the manifests give.
"""

import json
from pathlib import Path

from benchpaper import typeset
from benchpaper.errors import UserError
from benchpaper.exhibits import MANIFEST
from benchpaper.project import GATHERED, VERDICTS, Project, slug
from benchpaper.results import file_digest


def flaws(project: Project, site: str, source: str, experiments: list[str]) -> dict[Path, str]:
    """Return {output that is missing or not of the present results: why} of what all notebooks of `experiments` give."""
    build, digests = project.build(site, source), {}
    results = project.results(site, source)
    found = {}
    for name in experiments:
        manifest = build / "exhibits" / slug(name) / MANIFEST
        executed = build / "notebooks" / f"{slug(name)}.ipynb"
        if why := _flaw(manifest, results, digests):
            found[manifest] = why
        if not executed.exists():
            found[executed] = "is missing"
    if why := _unreadable(build / VERDICTS):
        found[build / VERDICTS] = why
    if not found and (why := _of_other_exhibits(build, experiments)):
        found[build / GATHERED] = why
    return found


def without_pdf(project: Project, site: str, source: str) -> dict[Path, str]:
    """Return {the PDF: why} when it is missing, or older than the exhibits in it."""
    build = project.build(site, source)
    pdf, exhibits = build / "paper.pdf", build / GATHERED
    if not pdf.exists():
        return {pdf: "is missing"}
    older = exhibits.exists() and pdf.stat().st_mtime_ns < exhibits.stat().st_mtime_ns
    return {pdf: f"is older than {GATHERED}"} if older else {}


def _flaw(manifest, results, digests):
    if why := _unreadable(manifest):
        return why
    try:
        return _flaw_of(json.loads(manifest.read_text()), manifest.parent, results, digests)
    except (AttributeError, KeyError, TypeError):
        return "has another form than a notebook's manifest"


def _flaw_of(about, folder, results, digests):
    for file in about["files"].values():
        path = results / file["path"]
        if path not in digests:
            digests[path] = file_digest(path) if path.exists() else None
        if digests[path] != file["sha256"]:
            return f"was made from another {file['path']}"
    missing = [name for name in saved(about) if not (folder / name).exists()]
    return f"lacks {missing[0]}, which the notebook saved" if missing else ""


def saved(manifest: dict) -> list[str]:
    """Return the names of the files that a notebook saved, by its manifest."""
    found = []
    for entry in manifest["exhibits"].values():
        if entry.get("file") and not entry["missing"]:
            found += [entry["file"]] + ([entry["file"].replace(".pdf", ".png")] if entry["kind"] == "figure" else [])
    return found


def _unreadable(path):
    try:
        json.loads(path.read_text())
    except FileNotFoundError:
        return "is missing"
    except ValueError:
        return "cannot be read"
    return ""


def _of_other_exhibits(build, experiments):
    gathered = build / GATHERED
    if not gathered.exists():
        return "is missing"
    try:
        same = gathered.read_text() == typeset.gathered(build, experiments)
    except UserError:
        return ""  # gathering itself tells what is wrong
    return "" if same else "is not what the notebooks' exhibits give"
