"""Reads a published table, CSV or Parquet, whose form nobody promises.

Every mistake ends in one line that names the file, the line or column, the rule, and the remedy.
"""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from benchpaper.results.import_record import ImportRefused

MAX_TABLE_BYTES = 16 << 20
MAX_TABLE_ROWS = 200_000
MAX_TABLE_COLUMNS = 500
MAX_UNPACKED_BYTES = 256 << 20  # of a Parquet file's pages
FORMATS = (".csv", ".tsv", ".parquet")
SMALLER = "import the rows that the paper uses"


@dataclass(frozen=True)
class Table:
    """A table as it was read: the rows' cells in the order of `columns`, and their places.

    A cell of a CSV is a text, "" if it is empty; a cell of a Parquet file has its own type.
    `units` are {column: unit}, where the file gives them.
    """

    name: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    places: Sequence[int]
    place: str = "line"
    units: dict[str, str] = field(default_factory=dict)

    def where(self, row: int) -> str:
        """Return the place of a row, counted from 0, as text."""
        return f"{self.name}, {self.place} {self.places[row]}"


def read_table(name: str, data: bytes) -> Table:
    """Return the table in the bytes of a file. Raises `ImportRefused`."""
    kind = f".{name.rpartition('.')[2].lower()}"
    if kind not in FORMATS:
        raise ImportRefused(f"{name} must be one of {', '.join(FORMATS)}; convert it")
    if len(data) > MAX_TABLE_BYTES:
        raise ImportRefused(
            f"{name} has {len(data):,} bytes, and {MAX_TABLE_BYTES:,} are the most; {SMALLER}"
        )
    table = _parquet(name, data) if kind == ".parquet" else _text(name, data, kind)
    _check_size(name, len(table.rows), len(table.columns))
    for column in table.columns:
        if not column.strip():
            raise ImportRefused(f"{name} has a column without a name; name it in the first line")
        if not column.isprintable():
            raise ImportRefused(
                f"{name} has the column {column!r}, and names are one line; rename it"
            )
        if list(table.columns).count(column) > 1:
            raise ImportRefused(f'{name} has the column "{column}" twice; rename one')
    return table


def _check_size(name: str, rows: int, columns: int) -> None:
    if not rows:
        raise ImportRefused(f"{name} has no rows; give the whole table, with its first line")
    if rows > MAX_TABLE_ROWS:
        raise ImportRefused(
            f"{name} has {rows:,} rows, and {MAX_TABLE_ROWS:,} are the most; {SMALLER}"
        )
    if columns > MAX_TABLE_COLUMNS:
        raise ImportRefused(
            f"{name} has {columns} columns, and {MAX_TABLE_COLUMNS} are the most; {SMALLER}"
        )


def _text(name: str, data: bytes, kind: str) -> Table:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ImportRefused(f"{name}, line {line} is not UTF-8; convert the file") from None
    if "\0" in text:
        raise ImportRefused(f"{name} holds zero bytes, so it is not text; give a CSV file")
    reader = csv.reader(
        io.StringIO(text, newline=""), strict=True, delimiter="\t" if kind == ".tsv" else ","
    )
    header: list[str] = []
    rows, places = [], []
    try:
        for row in reader:
            if not header:
                header = [cell.strip() for cell in row]
                continue
            if not row:
                continue
            if len(row) != len(header):
                raise ImportRefused(
                    f"{name}, line {reader.line_num} has {len(row)} cells, and the first line "
                    f"{len(header)}: the file is cut off or broken; get the whole file again"
                )
            rows.append([cell.strip() for cell in row])
            places.append(reader.line_num)
            if len(rows) > MAX_TABLE_ROWS:
                break  # `_check_size` refuses it
    except csv.Error as error:
        raise ImportRefused(
            f"{name}, line {reader.line_num} is no CSV ({error}): the file is cut off or broken; "
            "get the whole file again"
        ) from None
    return Table(name, header, rows, places)


def _parquet(name: str, data: bytes) -> Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(io.BytesIO(data), pre_buffer=False)
        footer = file.metadata
        groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
        size = sum(
            group.column(at).total_uncompressed_size
            for group in groups
            for at in range(group.num_columns)
        )
        _check_size(name, footer.num_rows, footer.num_columns)
        if size > MAX_UNPACKED_BYTES:
            raise ImportRefused(f"{name} unpacks to {size:,} bytes; {SMALLER}")
        arrow = file.read(use_threads=False)
        rows = [list(row.values()) for row in arrow.to_pylist()]
    except MemoryError:
        raise ImportRefused(f"{name} takes too much memory to read; {SMALLER}") from None
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ImportRefused(
            f"{name} is no whole Parquet file ({' '.join(str(error).split())[:80]}); "
            "get the whole file again"
        ) from None
    units = {
        field.name: field.metadata[b"unit"].decode(errors="replace")
        for field in arrow.schema
        if field.metadata and field.metadata.get(b"unit")
    }
    names = list(arrow.column_names)
    return Table(name, names, rows, range(1, len(rows) + 1), "row", units)


def level_of(text: Any, kind: type) -> Any:
    """Return a cell as a level of type str, int, float, or bool; raises `ValueError`."""
    if isinstance(text, str) and kind is not str:
        if "_" in text:  # Python reads 1_000 as a number
            raise ValueError("no number")
        text = {"true": True, "false": False}.get(text.lower()) if kind is bool else kind(text)
    elif type(text) is int and kind is float:
        text = float(text)
    if type(text) is not kind:
        raise ValueError(f"no {kind.__name__}")
    return text


def number_of_cell(cell: Any) -> float | None:
    """Return a cell as a number, None if it is empty; raises `ValueError`."""
    if cell is None or cell == "":
        return None
    if isinstance(cell, bool) or "_" in str(cell):  # Python reads 1_000 as a number
        raise ValueError("no number")
    number = float(cell)
    if not math.isfinite(number):
        raise ValueError("not finite")
    return number
