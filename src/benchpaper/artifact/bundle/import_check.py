"""Checks that imported results follow from the table inside, whose digest the record names."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchpaper import results
from benchpaper.analysis.estimates import Results
from benchpaper.artifact import importing
from benchpaper.artifact.bundle import confined, strict
from benchpaper.artifact.bundle.archive import NotVerified
from benchpaper.core.errors import UserError
from benchpaper.core.project import REFERENCE, Project
from benchpaper.results.import_record import RECORD, ImportRecord


def check(project: Project, measured: Mapping[Path, Results]) -> list[str]:
    """Make the imported ones of all results in an archive again; return a line if there are any.

    `measured` are {folder: results}. Raises `NotVerified` at the first difference.
    """
    imported = {folder: held for folder, held in measured.items() if held.imported}
    for folder, held in measured.items():
        states = set(held.trial_df["state"]) | set(held.trial_df["scale"])
        if (results.IMPORTED in states) != bool(held.imported) or (
            held.imported and states != {results.IMPORTED}
        ):
            raise NotVerified(
                f"{_short(project, folder)} mixes imported and measured trials, or hides an import"
            )
    for folder, held in imported.items():
        try:
            _check(project, folder, held)
        except NotVerified:
            raise
        except UserError as error:
            raise NotVerified(f"{_short(project, folder)}: {error}") from None
    line = f"{len(imported)} of {len(measured)} results are imported, and follow from their tables"
    return [line] if imported else []


def _check(project: Project, folder: Path, held: Results) -> None:
    """Check one experiment's imported results against the record and the table inside."""
    site = str(held.trial_df["site"].iloc[0])
    kept = folder  # the reference, perhaps that of an example inside
    if not (folder / RECORD).is_file():
        kept = project.results(site, REFERENCE) / held.experiment
    confined.reading(f"the import of {held.experiment}")
    if not (kept / RECORD).is_file():
        raise NotVerified(f"{_short(project, folder)} is imported, but {RECORD} is not inside")
    content = strict.from_json((kept / RECORD).read_bytes(), f"{RECORD} of {held.experiment}")
    record = ImportRecord.from_json(content)
    if content != held.described[results.IMPORTED]:
        raise NotVerified(f"{_short(project, folder)} names another import than {RECORD}")
    data = importing.checked(record, kept / Path(record.table).name, held.experiment)
    for kind, rows in importing.make(held.described, record, data, site).items():
        _compare(folder / kind, rows, held.described, _short(project, folder))


def _compare(path: Path, rows: list[dict[str, Any]], described: Any, name: str) -> None:
    """Compare the rows of a results file with those made again, in their order."""
    import pyarrow as pa

    table, _ = results.read(path)
    made = pa.Table.from_pylist(rows, schema=results.schema(described, path.stem))
    if not table.select(made.column_names).cast(made.schema).equals(made):
        raise NotVerified(
            f"{name}: {path.name} does not follow from the imported table by the recorded map"
        )


def _short(project: Project, folder: Path) -> str:
    return folder.relative_to(project.root).as_posix()
