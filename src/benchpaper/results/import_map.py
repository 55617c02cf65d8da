"""From a published table to rows of results: the map, and what it forbids."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from benchpaper.core.errors import did_you_mean, first_few
from benchpaper.results.distribution import InvalidObservation
from benchpaper.results.import_record import ImportRecord, ImportRefused
from benchpaper.results.import_table import Table, level_of, number_of_cell
from benchpaper.results.records import Level, Observation
from benchpaper.results.schema import Described, check_observation

NOT_KNOWN = "not known (imported)"  # evidence that the table does not have
UNIT_AT_END = re.compile(
    r"[_\s(\[](ns|us|µs|ms|s|sec|min|h|b|bytes?|kb|mb|gb|percent|pct|%)[)\]]?$"
)
NAMED = 8  # so many columns or levels are named
SPELLINGS = {"µs": "us", "sec": "s", "byte": "b", "bytes": "b", "percent": "%", "pct": "%"}


@dataclass(frozen=True)
class ImportedRow:
    """A row of the table as a trial: its block, its levels, and what was measured."""

    where: str
    block: int
    levels: Mapping[str, Level]
    observation: Observation


def imported_rows(described: Described, record: ImportRecord, table: Table) -> list[ImportedRow]:
    """Return the rows of a table as trials, in the order of blocks.

    Blocks are numbered as their values first appear. Raises `ImportRefused` at the first mistake.
    """
    _check_map(described, record, table)
    _check_units(described, record, table)
    at = {column: place for place, column in enumerate(table.columns)}
    numbers: dict[Any, int] = {}
    seen: dict[tuple[int, tuple[Level, ...]], str] = {}
    rows = []
    for number, cells in enumerate(table.rows):
        where = table.where(number)
        block = 0
        if record.block:
            value = cells[at[record.block]]
            if value in (None, "") or value != value:
                raise ImportRefused(
                    f'{where}, column "{record.block}" is empty, and it is the block; fill it in'
                )
            if isinstance(value, (list, dict)):
                raise ImportRefused(
                    f'{where}, column "{record.block}" holds a list, and a block is one value; '
                    "name another column"
                )
            block = numbers.setdefault(value, len(numbers))
        levels = _levels(described, record, cells, at, where)
        before = seen.setdefault((block, tuple(levels.values())), where)
        if before != where:
            raise ImportRefused(_twice(where, before, levels, record))
        observation = _observation(described, record, cells, at, where)
        rows.append(ImportedRow(where, block, levels, observation))
    return sorted(rows, key=lambda row: row.block)  # stable: in the table's order within a block


def _check_map(described: Described, record: ImportRecord, table: Table) -> None:
    """Check that the map names parts of the experiment and columns of the table, each once."""
    for key in ("block", "within"):
        if key in described:
            raise ImportRefused(
                f"{described['name']} declares {key}, which an import cannot fill; "
                "import into an experiment without it (--block names the column of blocks)"
            )
    factors = [factor["name"] for factor in described["factors"]]
    metrics = {metric["name"]: metric for metric in described["metrics"]}
    parts = [*factors, *metrics, *(evidence["name"] for evidence in described["evidence"])]
    for option, names, known in (
        ("--map", record.columns, parts),
        ("--set", record.fixed, factors),
        ("--times", record.times, list(metrics)),
    ):
        for name in names:
            if name not in known:
                raise ImportRefused(
                    f"{option} {name}: {described['name']} declares no such name"
                    f"{did_you_mean(name, known, 'it has ' + ', '.join(known))}"
                )
    for name in record.times:
        if name not in record.columns:
            raise ImportRefused(
                f"--times {name}: no column is mapped to {name}; give --map {name}=COLUMN too"
            )
    for name, column in [
        *record.columns.items(),
        *([("--block", record.block)] * bool(record.block)),
    ]:
        if column not in table.columns:
            columns = f"its columns are {first_few(table.columns, NAMED)}"
            raise ImportRefused(
                f'{table.name} has no column "{column}", which {name} needs'
                f"{did_you_mean(column, table.columns, columns)}"
            )
    for name in factors:
        if (name in record.columns) == (name in record.fixed):
            raise ImportRefused(
                f'factor "{name}" needs one of two: --map {name}=COLUMN, or --set {name}=LEVEL '
                "for all rows"
            )
    for name, metric in metrics.items():
        if name not in record.columns and not metric["optional"]:
            raise ImportRefused(
                f'metric "{name}" has no column in {table.name}; give --map {name}=COLUMN, '
                "or declare it optional"
            )


def _check_units(described: Described, record: ImportRecord, table: Table) -> None:
    """Refuse a column whose name or metadata gives another unit than its metric or factor has."""
    for part in (*described["metrics"], *described["factors"]):
        name, column = part["name"], record.columns.get(part["name"], "")
        if not column or name in record.times:
            continue
        match = UNIT_AT_END.search(column.lower())
        stated = table.units.get(column) or (match[1] if match else "")
        if stated and part["unit"] and _plain(stated) != _plain(part["unit"]):
            way_out = (
                f"give --times {name}=FACTOR (1 if the unit is right)"
                if part in described["metrics"]
                else "declare its levels in that unit"
            )
            raise ImportRefused(
                f'{table.name}, column "{column}" is in {stated}, and {name} in '
                f"{part['unit']}; {way_out}"
            )


def _plain(unit: str) -> str:
    return SPELLINGS.get(unit.lower(), unit.lower())


def _levels(
    described: Described,
    record: ImportRecord,
    cells: Any,
    at: Mapping[str, int],
    where: str,
) -> dict[str, Level]:
    levels: dict[str, Level] = {}
    for factor in described["factors"]:
        name, declared = factor["name"], factor["levels"]
        fixed = name in record.fixed
        text = record.fixed[name] if fixed else cells[at[record.columns[name]]]
        place = f"--set {name}" if fixed else f'{where}, column "{record.columns[name]}"'
        kind = type(declared[0])
        try:
            level = level_of(text, kind)
        except (TypeError, ValueError):
            raise ImportRefused(
                f'{place}: {_quoted(text)} is no {kind.__name__}, and the levels of "{name}" are; '
                "correct the table, or declare other levels"
            ) from None
        if level not in declared:
            raise ImportRefused(
                f'{place}: {_quoted(text)} is no level of "{name}"{did_you_mean(level, declared)} '
                f"(there are: {first_few(declared, NAMED)}); declare it, or leave those rows out"
            )
        levels[name] = level
    return levels


def _observation(
    described: Described,
    record: ImportRecord,
    cells: Any,
    at: Mapping[str, int],
    where: str,
) -> Observation:
    values: dict[str, Any] = {}
    for metric in described["metrics"]:
        if column := record.columns.get(metric["name"]):
            values[metric["name"]] = _value(
                metric, cells[at[column]], record, f'{where}, column "{column}"'
            )
    for evidence in described["evidence"]:
        column = record.columns.get(evidence["name"])
        values[evidence["name"]] = str((column and cells[at[column]]) or NOT_KNOWN)
    try:
        return check_observation(described, values)
    except InvalidObservation as error:
        raise ImportRefused(f"{where}: {error}; correct the table or the declaration") from None


def _value(metric: Mapping[str, Any], cell: Any, record: ImportRecord, where: str) -> Any:
    times = record.times.get(metric["name"], 1.0)
    if isinstance(cell, list) and metric["kept"] == "all samples":
        return [number * times for number in _numbers(cell, where)]
    if metric["kept"] == "all samples":
        raise ImportRefused(
            f'{where}: metric "{metric["name"]}" keeps all samples, and this is one value; '
            'declare kept="value", or give a Parquet column of lists'
        )
    try:
        number = number_of_cell(cell)
    except (TypeError, ValueError):
        raise ImportRefused(
            f"{where}: {_quoted(cell)} is no finite number; correct the table, or leave the cell "
            "empty and declare the metric optional"
        ) from None
    if number is None and not metric["optional"]:
        raise ImportRefused(
            f'{where} is empty, and metric "{metric["name"]}" is not optional; fill it in, or '
            "declare the metric optional"
        )
    return None if number is None else number * times


def _numbers(cell: list[Any], where: str) -> Iterator[float]:
    for sample in cell:
        try:
            number = number_of_cell(sample)
        except (TypeError, ValueError):
            number = None
        if number is None:
            raise ImportRefused(
                f"{where}: {_quoted(sample)} is no finite number; correct the table"
            )
        yield number


def _twice(where: str, before: str, levels: Mapping[str, Level], record: ImportRecord) -> str:
    cell = " ".join(f"{name}={level}" for name, level in levels.items())
    remedy = (
        f'in the same "{record.block}"; keep one, or name another column by --block'
        if record.block
        else "name the column that tells them apart, as the run or the trace: --block COLUMN"
    )
    return f"{where} is {cell} again, as {before.rpartition(', ')[2]}; {remedy}"


def _quoted(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:40]}…"
