"""Checks that the outputs are complete, and come from the results that are there now.

Snakemake compares times, and only of the files that its rules name. It does not notice a figure
that somebody removed, exhibits from other results, or a text that differs from the manifests.
"""

import json
from pathlib import Path

from benchpaper.analysis.manifests import MANIFEST, Manifest
from benchpaper.core import settings
from benchpaper.core.errors import UserError
from benchpaper.core.project import GATHERED, VERDICTS, Project, slug
from benchpaper.paper import gather, latex
from benchpaper.results import file_digest
from benchpaper.workflow import damage


def flaws(project: Project, site: str, source: str, experiments: list[str]) -> dict[Path, str]:
    """Return {path: flaw} of the notebooks' outputs that are missing or come from other results."""
    build, results = project.build(site, source), project.results(site, source)
    digests: dict[Path, str | None] = {}
    flawed: dict[Path, str] = {}
    for name in experiments:
        manifest = build / "exhibits" / slug(name) / MANIFEST
        executed = build / "notebooks" / f"{slug(name)}.ipynb"
        if why := _flaw(manifest, results, digests):
            flawed[manifest] = why
        if not executed.exists():
            flawed[executed] = "is missing"
    if why := _unreadable(build / VERDICTS):
        flawed[build / VERDICTS] = why
    chosen = (*damage.notebooks(experiments), *damage.FIGURES, damage.APPENDIX)
    for path, why in damage.of_build(project, build, chosen).items():
        flawed.setdefault(path, why)
    if not flawed and (why := _of_other_exhibits(build, experiments)):
        flawed[build / GATHERED] = why
    return flawed


def without_pdf(project: Project, site: str, source: str) -> dict[Path, str]:
    """Return {path: flaw} of each PDF that is missing, damaged, or older than its exhibits."""
    build = project.build(site, source)
    exhibits = build / GATHERED
    documents = settings.read(project.root).documents
    pdfs = [build / name for name, _ in zip(latex.PDFS, documents, strict=False)]
    if missing := {pdf: "is missing" for pdf in pdfs if not pdf.exists()}:
        return missing
    if damaged := damage.of_build(project, build, [damage.PAPER]):
        return damaged
    made = exhibits.stat().st_mtime_ns if exhibits.exists() else 0
    return {pdf: f"is older than {GATHERED}" for pdf in pdfs if pdf.stat().st_mtime_ns < made}


def _flaw(manifest: Path, results: Path, digests: dict[Path, str | None]) -> str:
    """Return the flaw of one notebook's exhibits, or an empty text; `digests` caches digests."""
    if why := _unreadable(manifest):
        return why
    try:
        content = Manifest.from_json(json.loads(manifest.read_text()))
    except (AttributeError, KeyError, TypeError):
        return "has another form than a notebook's manifest"
    return _flaw_of(content, manifest.parent, results, digests)


def _flaw_of(
    manifest: Manifest, folder: Path, results: Path, digests: dict[Path, str | None]
) -> str:
    for file in manifest.files.values():
        path = results / file.path
        if path not in digests:
            digests[path] = file_digest(path) if path.exists() else None
        if digests[path] != file.sha256:
            return f"was made from another {file.path}"
    saved = [name for exhibit in manifest.exhibits.values() for name in exhibit.files]
    missing = [name for name in saved if not (folder / name).exists()]
    return f"lacks {missing[0]}, which the notebook saved" if missing else ""


def _unreadable(path: Path) -> str:
    try:
        json.loads(path.read_text())
    except FileNotFoundError:
        return "is missing"
    except ValueError:
        return "cannot be read"
    return ""


def _of_other_exhibits(build: Path, experiments: list[str]) -> str:
    gathered = build / GATHERED
    if not gathered.exists():
        return "is missing"
    try:
        same = gathered.read_bytes() == gather.gathered(build, experiments).encode()
    except UserError:
        return ""  # gathering itself reports the mistake
    return "" if same else "is not what the notebooks' exhibits give"
