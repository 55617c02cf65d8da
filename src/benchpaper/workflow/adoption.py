"""`benchpaper adopt`: results measured at the paper's scale become the reference.

Both files of results are replaced as wholes, and only when both are on disk. The reason stands in
the reference's log before, so an interruption loses none.
"""

import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchpaper import results
from benchpaper.core.atomic_write import flush, replacing
from benchpaper.core.errors import UserError
from benchpaper.core.project import REFERENCE
from benchpaper.design.checks import check_text
from benchpaper.results import accepted, reference_log
from benchpaper.results.import_record import RECORD
from benchpaper.results.reference_log import Adopted
from benchpaper.workflow.pipeline import Pipeline

KINDS = (results.OBSERVATIONS, results.TRIALS)
# What stands in the log where no reason is asked for, by what the row says is replaced.
REASONS = {reference_log.NEW: "first reference", reference_log.DAMAGED: "it cannot be read"}


def check(run: Pipeline, names: Sequence[str], why: str) -> dict[str, Adopted | None]:
    """Refuse, before anything is copied, what cannot become the reference.

    Return the log's row of each experiment; None for results that are the reference already.
    Raises `UserError` for results that are missing or damaged, for a reference that is imported,
    for one that other trials would replace without a reason, and for a reason that fits no table.
    """
    why = " ".join(why.split())
    check_text("--why", why)
    if "|" in why:
        raise UserError(f'--why "{why}" holds "|", which ends a cell of a table; reword it')
    rows = {}
    for name in names:
        target = run.project.results(run.site_name, REFERENCE) / name
        if (target / RECORD).exists():
            raise UserError(
                f"the reference of {name} is imported, and what was measured here never replaces "
                f"it silently; remove {target.relative_to(run.project.root)} first"
            )
        for kind in KINDS:
            results.read(run.folder / name / kind)  # raises for damaged results
        rows[name] = _row(run, name, why)
    return rows


def adopt(run: Pipeline, name: str, row: Adopted | None) -> list[Path]:
    """Make the results of an experiment its reference; return the files. `row` is `check`'s."""
    source, target = run.folder / name, run.project.results(run.site_name, REFERENCE) / name
    if row:
        reference_log.add(run.project, row)
    noted = (source / accepted.FILE).exists()
    with ExitStack() as together:  # each is replaced as a whole, and only when all are on disk
        for kind in (*KINDS, accepted.FILE) if noted else KINDS:
            part = together.enter_context(replacing(target / kind))
            shutil.copyfile(source / kind, part)
            flush(part)
    if not noted:  # those of the old reference say nothing about the new one
        (target / accepted.FILE).unlink(missing_ok=True)
    return [target / kind for kind in KINDS]


def is_clean(run: Pipeline, name: str) -> bool:
    """Return whether all trials ran code that is committed."""
    return all(row["git_clean"] for row in _trials(run.folder / name, "git_clean"))


def _trials(folder: Path, column: str) -> list[dict[str, Any]]:
    return results.read_columns(folder / results.TRIALS, [column])


def _row(run: Pipeline, name: str, why: str) -> Adopted | None:
    """Return the log's row of a measurement; None if it is the reference already."""
    new = _start(run.folder / name)
    old = _replaced(run.project.results(run.site_name, REFERENCE) / name)
    if not why and old not in (new, *REASONS):
        raise UserError(
            f"{name} has a reference, measured from {old[:16]}; "
            'say why another replaces it: --why "the client reads with O_DIRECT"'
        )
    return None if new == old else Adopted(run.site_name, name, new, old, why or REASONS[old])


def _replaced(reference: Path) -> str:
    """Return the start of the reference's first trial, or what the log says instead of it."""
    if not (reference / results.TRIALS).exists():
        return reference_log.NEW
    try:
        return _start(reference)
    except results.ResultsError:
        return reference_log.DAMAGED


def _start(folder: Path) -> str:
    """Return the start of the first trial of results."""
    return reference_log.first_start(row["started"] for row in _trials(folder, "started"))
