"""Tables in Parquet and Arrow files: read all their text, and rewrite them without metadata."""

import io
from collections.abc import Callable, Iterator
from typing import Any

from benchpaper.artifact.bundle.anonymity.limits import Budget

BATCH_ROWS = 4096  # decoded at once, so that a small file that expands hugely is stopped early
KEPT_KEYS = (b"benchpaper.schema", b"benchpaper.experiment", b"pandas")  # of a file's metadata
KEPT_FIELD_KEYS = (b"unit", b"meaning")
Part = tuple[str, str | bytes]


def read_parquet(data: bytes, budget: Budget) -> Iterator[Part]:
    """Yield the metadata and the texts of a Parquet file."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(io.BytesIO(data)) as file:
        yield "created by", file.metadata.created_by or ""
        yield from _metadata("metadata", file.metadata.metadata)
        yield from _read(
            file.schema_arrow, file.iter_batches(BATCH_ROWS, use_threads=False), budget
        )


def read_arrow(data: bytes, budget: Budget) -> Iterator[Part]:
    """Yield the metadata and the texts of an Arrow file (Feather)."""
    import pyarrow as pa

    with pa.ipc.open_file(io.BytesIO(data)) as file:
        batches = (file.get_batch(number) for number in range(file.num_record_batches))
        yield from _read(file.schema, batches, budget)


def _read(schema: Any, batches: Iterator[Any], budget: Budget) -> Iterator[Part]:
    yield from _metadata("metadata", schema.metadata)
    for field in schema:
        yield from _field(field)
    texts: dict[str, set[str | bytes]] = {name: set() for name in schema.names}
    for batch in batches:
        budget.spend(batch.nbytes)
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            _add_texts(column, texts[name])
    for name, values in texts.items():
        yield f"column {name}", "\n".join(sorted(v for v in values if isinstance(v, str)))
        for value in values:
            if isinstance(value, bytes):
                yield f"column {name}", value


def _metadata(place: str, metadata: dict[bytes, bytes] | None) -> Iterator[Part]:
    for key, value in (metadata or {}).items():
        yield f"a key of the {place}", key
        yield f"{place} {key.decode(errors='replace')}", value


def _field(field: Any) -> Iterator[Part]:
    yield "the name of a column", field.name
    yield from _metadata(f"metadata of column {field.name},", field.metadata)
    for number in range(getattr(field.type, "num_fields", 0)):
        yield from _field(field.type.field(number))


def _add_texts(column: Any, texts: set[str | bytes]) -> None:
    """Add every text and every byte string of an Arrow array, however deep in lists and maps."""
    import pyarrow as pa
    from pyarrow import types

    kind = column.type
    if types.is_dictionary(kind):
        _add_texts(column.dictionary, texts)
    elif types.is_map(kind):
        _add_texts(column.keys, texts)
        _add_texts(column.items, texts)
    elif types.is_struct(kind):
        for part in column.flatten():
            _add_texts(part, texts)
    elif hasattr(column, "flatten") and types.is_nested(kind) and not types.is_union(kind):
        _add_texts(column.flatten(), texts)
    elif isinstance(column, pa.ExtensionArray):
        _add_texts(column.storage, texts)
    elif holds_text(kind) or types.is_union(kind) or types.is_run_end_encoded(kind):
        values = column.to_pylist() if types.is_nested(kind) else column.unique().to_pylist()
        texts.update(v if isinstance(v, (str, bytes)) else str(v) for v in values if v is not None)


def rewrite(data: bytes, replace: Callable[[str], str], fixed: dict[str, str]) -> bytes:
    """Return a Parquet file with its texts replaced and only the metadata that it needs.

    `fixed` maps the names of columns to a text that takes the place of all their values
    that are not empty: imported results have no commit.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(io.BytesIO(data), use_threads=False)
    fields, columns = [], []
    for field in table.schema:
        column = table.column(field.name)
        if field.name in fixed:
            values = [value and fixed[field.name] for value in column.to_pylist()]
            column = pa.chunked_array([pa.array(values, field.type)])
        elif holds_text(field.type):
            values = [_replaced(value, replace) for value in column.to_pylist()]
            column = pa.chunked_array([pa.array(values, field.type)])
        columns.append(column)
        kept = _kept(field.metadata, KEPT_FIELD_KEYS, replace)
        fields.append(field.remove_metadata().with_metadata(kept))
    schema = pa.schema(fields, metadata=_kept(table.schema.metadata, KEPT_KEYS, replace))
    sink = io.BytesIO()
    pq.write_table(
        pa.Table.from_arrays(columns, schema=schema),
        sink,
        compression="zstd",
        compression_level=9,
        write_page_checksum=True,
    )
    return sink.getvalue()


def _kept(
    metadata: dict[bytes, bytes] | None, keys: tuple[bytes, ...], replace: Callable[[str], str]
) -> dict[bytes, bytes]:
    return {
        key: replace(value.decode()).encode()
        for key, value in (metadata or {}).items()
        if key in keys
    }


def _replaced(value: Any, replace: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return replace(value)
    if isinstance(value, (list, tuple)):
        return type(value)(_replaced(item, replace) for item in value)
    if isinstance(value, dict):
        return {key: _replaced(item, replace) for key, item in value.items()}
    return value


def holds_text(kind: Any) -> bool:
    """Return whether a type of Arrow holds texts or bytes."""
    return "string" in str(kind) or "binary" in str(kind)
