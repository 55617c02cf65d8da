"""Each mistake in an import ends in one line that names place, rule, and remedy."""

import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from published_tables import csv, record, rows

from benchpaper.results import import_table
from benchpaper.results.import_map import imported_rows
from benchpaper.results.import_record import ImportRecord, ImportRefused
from benchpaper.results.import_table import read_table

METRIC = dict(better="lower", meaning="", kept="value", minimum=0, optional=False)
DESCRIBED = {
    "name": "caching/published",
    "factors": [
        dict(name="algorithm", levels=["LRU", "FIFO"], unit="", meaning=""),
        dict(name="size_mb", levels=[1, 64], unit="MB", meaning=""),
    ],
    "metrics": [
        dict(METRIC, name="miss_ratio", unit="1"),
        dict(METRIC, name="latency_us", unit="µs", optional=True),
    ],
    "evidence": [],
}


def read(data, described=DESCRIBED, **changes):
    """Read and map a table, as the import does."""
    table = read_table(changes.get("table", "table.csv"), data)
    return imported_rows(described, record(**changes), table)


def line(number, text):
    """Return the table with another line; lines count from 1."""
    lines = rows()
    lines[number - 1] = text
    return csv(lines)


def parquet(**columns):
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out)
    return out.getvalue()


def with_column(name, value):
    return csv([f"{text},{value if number else name}" for number, text in enumerate(rows())])


COLUMNS = record().columns
TABLES = {  # {mistake: (table, changes of the record, what the message names)}
    "empty file": (b"\n", {}, ["table.csv has no rows", "give the whole table"]),
    "a name of two lines": (with_column('"a\nb"', "1"), {}, [r"the column 'a\nb'", "rename it"]),
    "only a header": (csv(rows()[:1]), {}, ["has no rows"]),
    "cut off": (csv()[:-9], {}, ["line 25 has 3 cells", "cut off", "get the whole file again"]),
    "cut off in quotes": (line(3, 'w1,"FIFO,1,0.4'), {}, ["is no CSV", "cut off or broken"]),
    "one cell more": (line(4, "w1,LRU,64,0.1,7"), {}, ["line 4 has 5 cells", "the first line 4"]),
    "not UTF-8": (csv() + b"\xff,LRU,1,0.1\n", {}, ["line 26 is not UTF-8", "convert"]),
    "zero bytes": (csv() + b"\0", {}, ["zero bytes", "CSV"]),
    "a column twice": (line(1, "trace,trace,size_mb,mr"), {}, ['"trace" twice', "rename"]),
    "a column without name": (line(1, "trace,,size_mb,mr"), {}, ["without a name"]),
    "wrong column": (
        csv(), {"columns": {**COLUMNS, "miss_ratio": "mrr"}},
        ['no column "mrr"', 'did you mean "mr"?', "trace, algorithm, size_mb, mr"],
    ),
    "wrong block": (csv(), {"block": "tracee"}, ['no column "tracee"', '"trace"']),
    "undeclared name": (
        csv(), {"columns": {**COLUMNS, "miss_ration": "mr"}},
        ["--map miss_ration", "declares no such name", 'did you mean "miss_ratio"?'],
    ),
    "undeclared factor": (csv(), {"fixed": {"policy": "x"}}, ["--set policy", "declares no"]),
    "a level with an underscore": (line(3, "w1,FIFO,6_4,0.4"), {}, ["'6_4' is no int"]),
    "a factor without a column": (
        csv(), {"times": {"latency_us": 2.0}},
        ["--times latency_us: no column", "--map latency_us=COLUMN"],
    ),
    "undeclared metric": (csv(), {"times": {"x": 2.0}}, ["--times x", "declares no such name"]),
    "factor without column": (
        csv(), {"columns": {"size_mb": "size_mb", "miss_ratio": "mr"}},
        ['factor "algorithm"', "--map algorithm=COLUMN", "--set algorithm=LEVEL"],
    ),
    "factor twice": (csv(), {"fixed": {"algorithm": "LRU"}}, ['factor "algorithm" needs one']),
    "metric without column": (
        csv(), {"columns": {"algorithm": "algorithm", "size_mb": "size_mb"}},
        ['metric "miss_ratio" has no column', "--map miss_ratio=COLUMN", "optional"],
    ),
    "wrong type of level": (
        line(3, "w1,FIFO,1.5,0.4"), {},
        ['line 3, column "size_mb"', "'1.5' is no int", "correct the table"],
    ),
    "unknown level": (
        line(3, "w1,LRUU,1,0.4"), {},
        ['line 3, column "algorithm"', "no level", 'did you mean "LRU"?', "declare it"],
    ),
    "unknown fixed level": (
        csv(), {"columns": {"size_mb": "size_mb", "miss_ratio": "mr"},
                "fixed": {"algorithm": "ARC"}},
        ["--set algorithm", "'ARC' is no level"],
    ),
    "text for a number": (line(3, "w1,FIFO,1,many"), {}, ['column "mr"', "'many' is no finite"]),
    "NaN": (line(3, "w1,FIFO,1,NaN"), {}, ["line 3", "'NaN' is no finite number", "optional"]),
    "infinite": (line(3, "w1,FIFO,1,1e999"), {}, ["line 3", "no finite number"]),
    "a thousand with an underscore": (line(3, "w1,FIFO,1,1_000"), {}, ["no finite number"]),
    "no value": (line(3, "w1,FIFO,1,"), {}, ["line 3", "is empty", "fill it in", "optional"]),
    "no block": (line(3, ",FIFO,1,0.4"), {}, ["line 3", '"trace" is empty', "it is the block"]),
    "below the minimum": (line(3, "w1,FIFO,1,-0.4"), {}, ["line 3", "below its minimum"]),
    "duplicate rows": (
        csv([*rows(), "w1,LRU,1,0.5"]), {},
        ["line 26 is algorithm=LRU size_mb=1 again, as line 2", 'same "trace"', "keep one"],
    ),
    "repetitions without a block": (
        csv(), {"block": ""}, ["again, as line 2", "--block COLUMN"],
    ),
    "unit in the column's name": (
        with_column("lat_ms", 2.5), {"columns": {**COLUMNS, "latency_us": "lat_ms"}},
        ['column "lat_ms" is in ms', "latency_us in µs", "--times latency_us="],
    ),
    "unit of a factor": (
        csv([text.replace("size_mb", "size_kb") for text in rows()]),
        {"columns": {**COLUMNS, "size_mb": "size_kb"}},
        ['"size_kb" is in kb', "size_mb in MB", "declare its levels"],
    ),
    "another format": (csv(), {"table": "table.xlsx"}, ["must be one of .csv, .tsv, .parquet"]),
    "no Parquet": (csv(), {"table": "table.parquet"}, ["no whole Parquet file", "again"]),
    "Parquet cut off": (
        parquet(trace=["w1"], algorithm=["LRU"], size_mb=[1], mr=[0.4])[:-20],
        {"table": "table.parquet"}, ["no whole Parquet file", "get the whole file again"],
    ),
    "null in Parquet": (
        parquet(trace=["w1"], algorithm=["LRU"], size_mb=[1], mr=[None]),
        {"table": "table.parquet"}, ["row 1", '"mr"', "is empty"],
    ),
    "truth for a number": (
        parquet(trace=["w1"], algorithm=["LRU"], size_mb=[1], mr=[True]),
        {"table": "table.parquet"}, ["True is no finite number"],
    ),
    "truth for a level": (
        parquet(trace=["w1"], algorithm=["LRU"], size_mb=[True], mr=[0.4]),
        {"table": "table.parquet"}, ["True is no int"],
    ),
    "a list for a block": (
        parquet(trace=[["w1"]], algorithm=["LRU"], size_mb=[1], mr=[0.4]),
        {"table": "table.parquet"}, ["row 1", "holds a list", "name another column"],
    ),
    "NaN for a block": (
        parquet(trace=[float("nan")], algorithm=["LRU"], size_mb=[1], mr=[0.4]),
        {"table": "table.parquet"}, ["row 1", "it is the block"],
    ),
    "a list for a level": (
        parquet(trace=["w1"], algorithm=[["LRU"]], size_mb=[1], mr=[0.4]),
        {"table": "table.parquet"}, ["row 1", "['LRU'] is no str"],
    ),
    "a list for a value": (
        parquet(trace=["w1"], algorithm=["LRU"], size_mb=[1], mr=[[0.4]]),
        {"table": "table.parquet"}, ["[0.4] is no finite number"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLES)
def test_a_mistake_in_a_table_or_its_map_is_one_line(name):
    data, changes, words = TABLES[name]
    with pytest.raises(ImportRefused) as error:
        read(data, **changes)
    assert "\n" not in str(error.value)
    for word in words:
        assert word in str(error.value)


def test_the_table_without_mistakes_is_read():
    assert len(read(csv())) == 24
    assert len(read(csv().replace(b"\n", b"\r\n"))) == 24
    assert len(read(b"\xef\xbb\xbf" + csv())) == 24  # the mark that some programs begin with


def test_samples_need_a_list():
    described = {**DESCRIBED, "metrics": [dict(METRIC, name="miss_ratio", unit="1",
                                               kept="all samples")]}  # fmt: skip
    with pytest.raises(ImportRefused, match='keeps all samples.* declare kept="value"'):
        read(csv(), described)
    data = parquet(trace=["w1"], algorithm=["LRU"], size_mb=[1], mr=[[2.0, 1.0, 1.0]])
    [row] = read(data, described, table="table.parquet")
    assert row.observation.metrics["miss_ratio"].counts == [2, 1]


@pytest.mark.parametrize("key", ["block", "within"])
def test_blocks_and_rows_that_an_import_cannot_fill_are_refused(key):
    with pytest.raises(ImportRefused, match=f"declares {key}, which .* import into an experiment"):
        read(csv(), {**DESCRIBED, key: {}})


@pytest.mark.parametrize(
    "limit, words",
    [("MAX_TABLE_BYTES", "bytes, and 3 are the most"), ("MAX_TABLE_ROWS", "rows, and 3 are"),
     ("MAX_TABLE_COLUMNS", "4 columns, and 3 are")],
)  # fmt: skip
def test_a_huge_table_is_refused(monkeypatch, limit, words):
    monkeypatch.setattr(import_table, limit, 3)
    with pytest.raises(ImportRefused, match=f"{words}.*import the rows that the paper uses"):
        read_table("table.csv", csv())


def test_a_parquet_file_that_unpacks_to_too_much_is_refused_unread(monkeypatch):
    monkeypatch.setattr(import_table, "MAX_UNPACKED_BYTES", 3)
    with pytest.raises(ImportRefused, match="unpacks to"):
        read_table("t.parquet", parquet(a=[1, 2, 3]))


def test_values_are_converted_and_a_wrong_unit_can_be_declared_right():
    columns = {**COLUMNS, "latency_us": "lat_ms"}
    data = with_column("lat_ms", 2.5)
    assert read(data, columns=columns, times={"latency_us": 1000.0})[0].observation.metrics[
        "latency_us"
    ] == pytest.approx(2500)


def test_blocks_are_numbered_as_they_appear():
    numbered = read(csv(rows(("b", "a"))))
    assert [row.block for row in numbered] == [0] * 4 + [1] * 4
    assert numbered[0].where == "table.csv, line 2"


RECORDS = {
    "zero digest": (dict(sha256="0" * 64), ["--sha256", "64 hex digits", "not all zeros"]),
    "short digest": (dict(sha256="ab"), ["--sha256", "64 hex digits"]),
    "no digest": (dict(sha256=""), ["--sha256"]),
    "zero commit": (dict(commit="0" * 40), ["--commit", "not all zeros"]),
    "commit that is a branch": (dict(commit="main"), ["--commit", "hex digits"]),
    "empty source": (dict(source=""), ["--origin", "says nothing", "URL or the DOI"]),
    "unknown source": (dict(source="unknown"), ["--origin", "says nothing"]),
    "source that is a path": (dict(source="/home/me/t.csv"), ["--origin", "public URL"]),
    "source on this machine": (dict(source="http://localhost/t"), ["--origin", "public URL"]),
    "source that is a file": (dict(source="file:///t.csv"), ["--origin", "public URL"]),
    "source with a password": (dict(source="https://me:pw@a.org/t"), ["a user or a password"]),
    "empty licence": (dict(licence=" "), ["--licence", "says nothing", "SPDX"]),
    "no host": (dict(machine={}), ["--host is missing", "--host cpu=", "names no machine"]),
    "host of which nothing is said": (dict(machine={"cpu": "?"}), ["--host cpu", "says nothing"]),
    "fact that is no name": (dict(machine={"The CPU": "x"}), ["--host", "small letters"]),
    "factor of zero": (dict(times={"latency_us": 0.0}), ["--times", "positive number"]),
    "NaN factor": (dict(times={"latency_us": float("nan")}), ["--times", "positive number"]),
    "note of two lines": (dict(note="a\nb"), ["--note", "one line"]),
    "long note": (dict(note="a" * 501), ["--note", "at most 500"]),
    "no day": (dict(imported_on="yesterday"), ["import.json", "is not a day"]),
}


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_that_says_too_little_is_refused(name):
    changes, words = RECORDS[name]
    with pytest.raises(ImportRefused) as error:
        record(**changes)
    assert "\n" not in str(error.value)
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize(
    "source, short",
    [("https://github.com/a/b/blob/c/d.csv", "github.com/a/b"), ("http://a.org", "a.org"),
     ("doi:10.1145/3600006.3613147", "doi:10.1145/3600006.3613147"),
     ("10.5281/zenodo.1", "doi:10.5281/zenodo.1"),
     ("https://doi.org/10.5281/zenodo.1", "doi:10.5281/zenodo.1")],
)  # fmt: skip
def test_a_source_is_a_url_or_a_doi(source, short):
    assert record(source=source).short == short


@pytest.mark.parametrize(
    "change",
    [
        lambda plain: plain.pop("licence"),
        lambda plain: plain.update(benchpaper_import=99),
        lambda plain: plain.update(more=1),
        lambda plain: plain.update(rows="24"),
        lambda plain: plain.update(columns=[]),
        lambda plain: plain.update(columns={**plain["columns"], "miss_ratio": "\x1b[2J"}),
        lambda plain: plain.update(fixed={"size_mb": "1\n2"}),
        lambda plain: plain.update(machine="Xeon"),
        lambda plain: plain.update(sha256="0" * 64),
        lambda plain: plain.update(times={"latency_us": "2"}),
    ],
)
def test_a_broken_record_is_refused(change):
    plain = json.loads(json.dumps(record().to_json()))
    assert ImportRecord.from_json(plain) == record()
    change(plain)
    with pytest.raises(ImportRefused, match="import.json"):
        ImportRecord.from_json(plain)
    for other in ([], None, "x"):
        with pytest.raises(ImportRefused):
            ImportRecord.from_json(other)
