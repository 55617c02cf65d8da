"""Finds what a power cut or a bad disk has damaged, and removes it, so that the run makes it again.

A file that a step wrote is trusted only if it is still what the step wrote. Results have checksums
of their own, the outputs in the build folder have the lists of `core.checksums`, and the journals
bring back each finished trial. Snakemake must know how an output was made; without that, it would
take an output of other code for current. Libraries and LaTeX check little when they read their
caches, so a start of the machine, or any damage, discards these.
"""

import json
import os
import shutil
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from benchpaper import results
from benchpaper.analysis import history
from benchpaper.analysis.manifests import MANIFEST
from benchpaper.core import caches, checksums
from benchpaper.core.atomic_write import atomic_write
from benchpaper.core.project import GATHERED, VERDICTS, Project, slug
from benchpaper.workflow import pilot
from benchpaper.workflow.pipeline import Pipeline

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
BUILT = "built.json"
NO_RECORD = "has no whole record of how it was made"


class Step(NamedTuple):
    """A step that writes to the build folder: its list of checksums, and what the Snakefile names.

    `outputs` are relative to the build folder. Of a step that a command may run too, Snakemake may
    have no record.
    """

    name: str
    outputs: tuple[str, ...]
    only_snakemake_runs_it: bool = True


GATHER = Step("gather", (history.FILE, "claims.tex", GATHERED))
FIGURES = (Step("judge", (VERDICTS,)), GATHER)
APPENDIX = Step("appendix", ("appendix.md", "appendix.tex"))
PAPER = Step("typeset", ("paper.pdf", "supplement.pdf"))
REPORT = Step("pages", ("report/index.html",))
ARCHIVE = Step("pack", ("bundle.zip",), only_snakemake_runs_it=False)


def notebooks(experiments: Iterable[str]) -> list[Step]:
    """Return the steps that run the notebooks of experiments."""
    names = [slug(name) for name in experiments]
    return [
        Step(f"analyse-{name}", (f"notebooks/{name}.ipynb", f"exhibits/{name}/{MANIFEST}"))
        for name in names
    ]


def steps(experiments: Iterable[str]) -> list[Step]:
    """Return all steps that write to a build folder."""
    return [*notebooks(experiments), *FIGURES, APPENDIX, PAPER, REPORT, ARCHIVE]


def of_build(project: Project, build: Path, chosen: Iterable[Step]) -> dict[Path, str]:
    """Return {path: flaw} of the outputs of steps that exist, but are not what the step wrote."""
    flawed: dict[Path, str] = {}
    for step in chosen:
        present = [build / name for name in step.outputs if (build / name).exists()]
        if not present:
            continue
        why = checksums.flaw(build, step.name)
        recorded = all(_is_recorded(project, path) for path in present)
        if not why and step.only_snakemake_runs_it and not recorded:
            why = NO_RECORD
        flawed |= dict.fromkeys(present, why) if why else {}
    return flawed


def find(pipeline: Pipeline, experiments: list[str]) -> dict[Path, str]:
    """Return {path: flaw} of all damaged files of a run. They can be made again."""
    project, place = pipeline.project, (pipeline.site_name, pipeline.source)
    flawed = of_build(project, project.build(*place), steps(experiments))
    for name in experiments:
        if pipeline.measures(name) and name not in pipeline.kept:
            flawed |= _of_results(pipeline, name) | _of_programs(pipeline, name)
    return flawed


def restore(pipeline: Pipeline, name: str) -> list[str]:
    """Write again what an experiment's results still hold, and return it in words."""
    if not pipeline.measures(name) or name in pipeline.kept:
        return []
    restored = []
    if pilot.restore(pipeline.folder / name):
        restored.append(f"{name}: restored {pilot.FIXED} from the results")
    if trials := sum(block.restore() for block in pipeline.blocks(name)):
        restored.append(f"{name}: restored {trials} trials to the journal from the results")
    return restored


def remove(pipeline: Pipeline, experiments: list[str]) -> list[str]:
    """Remove what is damaged, and return it in words; the run makes it again."""
    flawed = find(pipeline, experiments)
    for path in flawed:
        if path.name == BUILT:
            shutil.rmtree(path.parent)
        path.unlink(missing_ok=True)
    root = pipeline.project.root
    return [f"{path.relative_to(root)} {why}" for path, why in flawed.items()]


def _of_results(pipeline: Pipeline, name: str) -> dict[Path, str]:
    project, flaws = pipeline.project, dict[Path, str]()
    keys: dict[str, str] = {}
    again = False
    for number, block in enumerate(pipeline.blocks(name)):
        keys[str(number)] = block.key
        damaged = {
            path: why
            for path in block.files
            if (why := _flaw_of_results(project, path, {str(number): block.key}))
        }
        flaws |= damaged
        again |= bool(damaged) and block.is_finished
    for kind in (results.OBSERVATIONS, results.TRIALS):
        path = pipeline.folder / name / kind
        # Snakemake makes a block's files only for files that are to be collected from them.
        stale = "is collected again" if again and path.exists() else ""
        if why := _flaw_of_results(project, path, keys) or stale:
            flaws[path] = why
    return flaws


def _flaw_of_results(project: Project, path: Path, keys: dict[str, str]) -> str:
    """Return the flaw of a file of results; `keys` are those of its blocks' journals."""
    if not path.exists():
        return ""
    try:
        known = results.read_description(path).get(results.JOURNALS, keys)
    except results.ResultsError:
        return "cannot be read"
    if _is_recorded(project, path):
        return ""  # Snakemake knows whether it is current
    if _record(project, path).exists():
        return NO_RECORD
    return "" if known == keys else "comes from other journals"


def _of_programs(pipeline: Pipeline, name: str) -> dict[Path, str]:
    """Return the flaw of an experiment's programs if trials will still run them.

    They can be gigabytes of data, so those that nothing will run are not read.
    """
    project, finished = pipeline.project, pipeline.finished(name)
    built = project.programs(name) / BUILT
    if not built.exists():
        return {}
    if _record(project, built).exists() and not _is_recorded(project, built):
        return {built: NO_RECORD}
    measures = not finished.is_finished
    why = checksums.flaw(built.parent, "build") if measures else ""
    return {built: why} if why else {}


def _is_recorded(project: Project, path: Path) -> bool:
    """True if Snakemake has a whole record of how an output was made."""
    try:
        return isinstance(json.loads(_record(project, path).read_text()), dict)
    except (OSError, ValueError):
        return False


def _record(project: Project, path: Path) -> Path:
    """Return the file of Snakemake's record: the output's name in Base64, cut into folders."""
    name = urlsafe_b64encode(path.relative_to(project.root).as_posix().encode()).decode()
    records = project.root / ".snakemake" / "metadata"
    longest = os.pathconf(records if records.exists() else project.root, "PC_NAME_MAX") or 255
    *folders, last = (name[i : i + longest - 1] for i in range(0, len(name), longest - 1))
    return records.joinpath(*(f"@{folder}" for folder in folders), last)


def refresh_caches(project: Project, is_damaged: bool) -> None:
    """Discard the caches of libraries if something is damaged, or if the machine has started anew.

    Nothing flushes them, so they are trusted only while the machine runs.
    """
    noted, boot = project.state / "boot", _boot()
    if not is_damaged and noted.exists() and noted.read_bytes() == boot:
        return
    shutil.rmtree(project.state / "home", ignore_errors=True)
    for place in set(caches.PLACES.values()) - {"."}:
        shutil.rmtree(project.state / "cache" / place, ignore_errors=True)
    atomic_write(noted, boot)


def _boot() -> bytes:
    """Return what names this start of the machine; empty where the system does not tell."""
    try:
        return BOOT_ID.read_bytes()
    except OSError:
        return b""
