"""A table that means harm ends the child that reads it, and the command in one line."""

from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchpaper.artifact import strange_tables
from benchpaper.results.import_record import ImportRefused

LIMITS = replace(strange_tables.LIMITS, memory_bytes=1 << 30)


def parquet(path, rows, length):
    """Write a column of equal texts: a dictionary holds it once, so the footer counts it once."""
    text = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), ["x" * length])
    pq.write_table(pa.table({"text": text}), path, store_schema=False)


def test_a_small_file_that_unpacks_to_gigabytes_is_refused(tmp_path):
    path = tmp_path / "huge.parquet"
    parquet(path, 150_000, 10_000)
    assert path.stat().st_size < 100_000
    with pytest.raises(ImportRefused, match=r"^[^\n]*huge.parquet[^\n]*$") as error:
        strange_tables.table(path, tmp_path, LIMITS)
    assert "memory" in str(error.value) or "ended the reader" in str(error.value)
    assert "import the rows that the paper uses" in str(error.value)


@pytest.mark.parametrize("name", ["good.parquet", "good.csv"])
def test_a_good_table_passes_the_same_limits(tmp_path, name):
    path = tmp_path / name
    parquet(path, 3, 10) if name.endswith("parquet") else path.write_text("text\na\nb\nc\n")
    table, data = strange_tables.table(path, tmp_path, LIMITS)
    assert (len(table.rows), list(table.columns)) == (3, ["text"]) and data == path.read_bytes()
