"""Checks that the results in an archive do not contradict themselves.

A table of trials states much twice: a cell and its levels, the order of the trials and the digest
of the plan, a state and its attempts. The table of observations repeats cells and blocks.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from benchpaper import results
from benchpaper.analysis.estimates import Results, load
from benchpaper.artifact.bundle import confined, observation_check, strict
from benchpaper.artifact.bundle.archive import NotVerified
from benchpaper.core.project import REFERENCE, Project
from benchpaper.design.declarations import make_cell
from benchpaper.design.plan import digest
from benchpaper.results import accepted
from benchpaper.results.accepted import AcceptedChange

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

# A Parquet file of a few bytes can claim billions of rows, so these limits come before reading.
MAX_ROWS = 1_000_000
MAX_VALUES = 50_000_000
MAX_BYTES = 1 << 30  # of a file's pages without compression
SUMMED = ("experiment", "site", "scale", "plan_digest", "code_digest")  # equal in all trials
CLOCK_S = 1e-3  # the rounding of times


def check(project: Project, names: list[str]) -> tuple[str, dict[Path, Results]]:
    """Check the Parquet files `names`; return a line, and {folder: results} of each experiment.

    Raises `NotVerified` or `ResultsError` at the first problem.
    """
    tables = sorted(name for name in names if name.endswith(".parquet"))
    rows = sum(_rows(project.root / name, name) for name in tables)
    read: dict[Path, Results] = {}
    kinds = (results.TRIALS, results.OBSERVATIONS)
    places = {path.parent for path in map(PurePosixPath, tables) if path.name in kinds}
    for place in sorted(places):
        read[project.root / place] = _checked(project.root / place, place)
    line = f"{len(tables)} Parquet files have the schema and agree with each other, {rows:,} rows"
    for folder, measured in read.items():
        for change in accepted.read(folder):
            line += f"; accepted for {measured.experiment}: {change}"
    return line, read


def _rows(path: Path, name: str) -> int:
    """Return the number of rows of a Parquet file; refuse a file that would unpack to too much."""
    import pyarrow.parquet as pq

    confined.reading(name)
    try:
        footer = pq.read_metadata(path)
        groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
        chunks = [group.column(at) for group in groups for at in range(group.num_columns)]
        values = sum(chunk.num_values for chunk in chunks)
        size = sum(chunk.total_uncompressed_size for chunk in chunks)
    except (OSError, ValueError) as error:
        raise NotVerified(f"{name} cannot be read: {' '.join(str(error).split())}") from None
    if footer.num_rows > MAX_ROWS or values > MAX_VALUES or size > MAX_BYTES:
        raise NotVerified(
            f"{name} claims {footer.num_rows:,} rows with {values:,} values in {size:,} bytes, "
            "more than any results have"
        )
    return int(footer.num_rows)


def _checked(folder: Path, name: PurePosixPath) -> Results:
    """Return the results in a folder after checking that they agree with each other."""
    import pyarrow.parquet as pq

    confined.reading(f"the results in {name}")
    described = {}
    for kind in (results.TRIALS, results.OBSERVATIONS):
        if not (folder / kind).exists():
            raise NotVerified(f"{name} has no {kind}")
        schema = pq.read_schema(folder / kind)
        text = (schema.metadata or {}).get(b"benchpaper.experiment", b"")
        described[kind] = strict.from_json(text, f"{name}/{kind}")
        if where := _unlike_schema(schema, described[kind], kind.split(".")[0]):
            raise NotVerified(f"{name}/{kind}: {where}")
    if described[results.TRIALS] != described[results.OBSERVATIONS]:
        raise NotVerified(f"{name}: trials and observations describe two different experiments")
    experiment = described[results.TRIALS]["name"]
    depth = len(PurePosixPath(experiment).parts)
    if PurePosixPath(*name.parts[-depth:]).as_posix() != experiment:
        raise NotVerified(f'{name} holds results of "{experiment}"')
    measured = load(experiment, folder.parents[depth - 1], whole=True)
    changes = _accepted(folder, name)
    problems = [
        *_trials(measured, name.parts[:-depth], changes),
        *observation_check.problems(measured),
    ]
    for problem in problems:
        raise NotVerified(f"{name}: {problem}")
    return measured


def _accepted(folder: Path, name: PurePosixPath) -> list[AcceptedChange]:
    """Return the changes of the code that somebody accepted, if their JSON is plain."""
    path = folder / accepted.FILE
    if path.exists():
        confined.reading(f"{name}/{accepted.FILE}")
        strict.from_json(path.read_bytes(), f"{name}/{accepted.FILE}")
    return accepted.read(folder)


def _unlike_schema(schema: "pa.Schema", described: Mapping[str, Any], kind: str) -> str:
    """Return how a table's columns differ from those that its description gives; "" if not.

    The framework's own columns have the meaning of the version that wrote them.
    """
    kinds = ("factors", "metrics", "evidence", "within")
    declared = {item["name"] for key in kinds for item in described.get(key, [])}
    expected = {field.name: field for field in results.schema(described, kind)}
    optional = {column.name for column in results.columns(described, kind) if column.optional}
    if unlike := set(schema.names) ^ (set(expected) - (optional - set(schema.names))):
        return f'the column "{min(unlike)}" is missing, or not declared'
    if len(set(schema.names)) < len(schema.names):
        return "a column is there twice"
    for field in schema:
        wanted = expected[field.name]
        if field.type != wanted.type:
            return f'the column "{field.name}" has type {field.type}, not {wanted.type}'
        keys = (b"unit", b"meaning") if field.name in declared else (b"unit",)
        stated = {key: (field.metadata or {}).get(key) for key in keys}
        if stated != {key: wanted.metadata[key] for key in keys}:
            return f'the column "{field.name}" has another unit or meaning than its description'
    return ""


def _trials(
    measured: Results, place: tuple[str, ...], changes: Sequence[AcceptedChange]
) -> Iterator[str]:
    """Yield what contradicts itself in the trials; `place` is the path of site and source.

    `changes` of the code were accepted.
    """
    frame = measured.trial_df.sort_values(["block", "position"])
    same = accepted.same_as(changes, frame["code_digest"].iloc[0])
    if not {change.old for change in changes} <= same:
        yield "a change was accepted of code that no trial ran"
    for column in SUMMED:
        if column == "code_digest" and same.issuperset(frame[column]):
            continue
        if len(values := sorted(set(frame[column]))) > 1:
            yield f'{column} is both "{values[0]}" and "{values[1]}"'
    first = frame.iloc[0]
    site, scale = (place[-1], first["scale"]) if REFERENCE in place[-2:-1] else place[-2:]
    if measured.imported:  # the same at every scale; `import_check` looks closer
        scale = results.IMPORTED
    for column, value in (("experiment", measured.experiment), ("site", site), ("scale", scale)):
        if first[column] != value:
            yield f'its trials are of {column} "{first[column]}", but it lies at "{value}"'
    yield from _plan(measured, frame)
    yield from _cells(measured, frame)
    yield from _block_levels(measured)
    yield from _states(frame)


def _plan(measured: Results, frame: "pd.DataFrame") -> Iterator[str]:
    """Yield how the trials differ from their plan, whose digest each names."""
    for block, trials in frame.groupby("block"):
        if list(trials["position"]) != list(range(len(trials))):
            yield f"the trials of block {block} are not numbered from 0"
    fixed = measured.described.get("blocks_fixed")
    if fixed and fixed["blocks"] < measured.blocks:
        yield f"{measured.blocks} blocks were measured, but {fixed['blocks']} planned"
    planned = frame[frame["block"] < fixed["pilot"]] if fixed else frame
    columns = ["block", "position", "seed", "cell", *measured.block_columns]
    order = planned[columns].itertuples(index=False, name=None)
    if digest(order) != frame["plan_digest"].iloc[0]:
        yield "its trials are not those of the plan that they name: one is missing, new, or moved"
    if (
        not measured.imported
        and not (frame.groupby("block")["started"].is_monotonic_increasing | _untimed(frame)).all()
    ):
        yield "the trials of a block did not start in the order of their positions"


def _untimed(frame: "pd.DataFrame") -> "pd.Series[bool]":
    """Return for each block whether the start of a trial is unknown."""
    return frame.groupby("block")["started"].apply(lambda started: bool(started.isna().any()))


def _cells(measured: Results, frame: "pd.DataFrame") -> Iterator[str]:
    """Yield cells whose name is not that of their levels, or whose levels are not declared."""
    declared = {factor["name"]: factor["levels"] for factor in measured.described["factors"]}
    rows = frame.drop_duplicates(["cell", "twin", *declared])
    for row in rows.to_dict("records"):
        levels = {name: row[name] for name in declared}
        if row["cell"] != make_cell(levels, bool(row["twin"])).id:
            yield f'the cell "{row["cell"]}" has other levels: {levels}'
        for name, level in levels.items():
            if level not in declared[name]:
                yield f'the cell "{row["cell"]}" has a level of {name} that is not declared'


def _block_levels(measured: Results) -> Iterator[str]:
    """Yield blocks whose level is not the one that their number has in the declaration."""
    if not measured.block_columns:
        return
    declared = measured.described["block"]["levels"]
    for table in (measured.trial_df, measured.observation_df):
        rows = table[["block", *measured.block_columns]].drop_duplicates()
        for block, level in rows.itertuples(index=False, name=None):
            if not 0 <= block < len(declared) or declared[block] != level:
                yield f"block {block} has the level {level!r}, which its declaration does not give"


def _states(frame: "pd.DataFrame") -> Iterator[str]:
    """Yield trials whose state contradicts their reason or their attempts."""
    columns = ["block", "cell", "state", "reason", "attempts", "started", "seconds"]
    ran = frame["attempts"].map(len) > 0
    tried = set(frame["cell"][ran & (frame["state"] == results.FAILED)])
    for block, cell, state, reason, attempts, started, seconds in frame[columns].itertuples(
        index=False, name=None
    ):
        where = f'the trial of "{cell}" in block {block}'
        if state == results.IMPORTED:
            if len(attempts) or reason:
                yield f"{where} is imported, and has attempts or a reason"
            continue
        if state not in (results.MEASURED, results.FAILED, results.NOT_TESTABLE):
            yield f'{where} has the state "{state}"'
        if (state == results.MEASURED) != (reason == ""):
            yield f'{where} is {state}, and gives the reason "{reason}"'
        last = attempts[-1] if len(attempts) else None
        shown = results.shown_state(state, reason)
        if shown == results.NOT_TRIED and (last or cell not in tried):
            yield f"{where} is {shown}, but {'it has' if last else 'no block holds'} an attempt"
        elif shown not in (results.NOT_TESTABLE, results.NOT_TRIED) and not last:
            yield f"{where} is {state} without an attempt"
        if not last:
            continue
        if (last["outcome"] == "ok") != (state == results.MEASURED):
            yield f"{where} is {state}, but its last attempt is {last['outcome']}"
        if abs(last["started"] - started.timestamp()) > CLOCK_S or last["seconds"] != seconds:
            yield f"{where} and its last attempt have different times"
