"""What the checker reads: arrays, compressed files, EDN, first values, and words for results."""

import gzip
import json
import random

import pyarrow
import pytest
from histories import as_text
from history_operations import LIBRARIES, cas, delete, read, simulated, write

from experiments.multiprotocol.checker import edn, jepsen, reading
from experiments.multiprotocol.checker.__main__ import main
from experiments.multiprotocol.checker.check import check, overall
from experiments.multiprotocol.checker.history import BadInput
from experiments.multiprotocol.checker.search import LINEARIZABLE, VIOLATION


def word(history, library=None):
    return overall(check(history, library=library))


def zstd(text):
    sink = pyarrow.BufferOutputStream()
    with pyarrow.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(text)
    return sink.getvalue().to_pybytes()


# ---- arrays, and compressed files ----


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("indent", [None, 2])
def test_an_array_reads_as_its_lines_do(library, indent):
    operations = simulated(random.Random(4), 60, 4, 3, failing=True, deletes=True)
    lines = reading.parse(as_text(operations), library)
    array = reading.parse(b"\n " + json.dumps(operations, indent=indent).encode() + b"\n", library)
    assert (lines.unit, array.unit) == ("line", "entry")
    for name in ("kind", "invoked", "completed", "line"):
        assert getattr(lines, name).tolist() == getattr(array, name).tolist()
    for name in ("key", "client", "value", "set_to"):
        shown = [[h.values[n] for n in getattr(h, name)] for h in (lines, array)]
        assert shown[0] == shown[1]


BAD_ARRAYS = [
    (b"[1]", "entry 1: an operation is a JSON object"),
    (b'[{"client": 1}]', 'entry 1: "op" is missing'),
    (json.dumps([read(1, 0, 1), read(2, 1, 0)]).encode(), "entry 2: completed_ns 0 lies before"),
    (json.dumps([read(1, 0, 1)]).encode()[:-1], "line 1: not JSON"),
    (json.dumps([read(1, 0, 1)]).encode() + b"[]", "line 1: not JSON"),
    (b"[", "line 1: not JSON"),
]


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("text, complaint", BAD_ARRAYS)
def test_a_bad_entry_is_named(library, text, complaint):
    with pytest.raises(BadInput) as raised:
        reading.parse(text, library)
    assert str(raised.value).startswith(complaint)


@pytest.mark.parametrize("compress", [gzip.compress, zstd])
def test_compressed_files(tmp_path, compress, capsys):
    path = tmp_path / "history"
    good = as_text([write(n, 2 * n, 2 * n + 1) for n in range(300)])
    path.write_bytes(compress(good))
    assert len(reading.read(path)) == 300
    path.write_bytes(compress(good[:1000]) + compress(good[1000:]))  # in two frames
    assert len(reading.read(path)) == 300
    for damaged in (compress(good)[:-9], compress(good)[:30] + b"!" * 40):
        path.write_bytes(damaged)
        assert main([str(path)]) == 2
        said = capsys.readouterr().err
        assert "damaged" in said and said.count("\n") == 1


# ---- the first value, empty histories ----

INITIAL = [
    ([read(7, 0, 1)], "7", LINEARIZABLE),
    ([read(7.0, 0, 1)], "7", LINEARIZABLE),
    ([read(7, 0, 1)], "7.0", LINEARIZABLE),
    ([read("7", 0, 1)], "7", VIOLATION),
    ([read(None, 0, 1)], "7", VIOLATION),
    ([read(None, 0, 1)], "null", LINEARIZABLE),
    ([cas(7, 8, True, 0, 1), read(8, 2, 3)], "7", LINEARIZABLE),
    ([cas(7, 8, False, 0, 1)], "7", VIOLATION),
    ([write(7, 0, 1), read(None, 2, 3)], "7", VIOLATION),
    ([write(8, 0, 1), write(7, 2, 3), read(7, 4, 5)], "7", LINEARIZABLE),
    ([write(8, 0, 1), read(7, 2, 3), write(7, 4, 5)], "7", VIOLATION),
    ([delete(0, 1), read(7, 2, 3)], "7", VIOLATION),
    ([delete(0, 1), delete(2, 3), read(None, 4, 5)], "7", LINEARIZABLE),
    ([read({"a": [1]}, 0, 1)], '{"a": [1]}', LINEARIZABLE),
    ([read("\u00e9", 0, 1)], '"\\u00e9"', LINEARIZABLE),
]


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("operations, initial, wanted", INITIAL)
def test_a_register_first_holds_the_initial_value(operations, initial, wanted, library):
    history = reading.parse(as_text(operations), library)
    history.start_with(reading.loads(initial))
    assert word(history, library) == wanted


def command(tmp_path, operations, *options, name="history.jsonl"):
    path = tmp_path / name
    path.write_bytes(operations if isinstance(operations, bytes) else as_text(operations))
    return main([str(path), *options])


def test_the_command_takes_an_initial_value(tmp_path, capsys):
    assert command(tmp_path, [read(7, 0, 1)], "--initial", "7", "--sessions", "--staleness") == 0
    assert command(tmp_path, [write(1, 0, 1), read(7, 2, 3)], "--initial", "7") == 1
    assert "which first holds 7" in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        command(tmp_path, [], "--initial", "seven")
    assert ended.value.code == 2 and "seven is not JSON" in capsys.readouterr().err


@pytest.mark.parametrize("text", [b"", b"\n \r\n", b"[]", b" [ ]\n"])
def test_an_empty_history_is_bad_input(tmp_path, text, capsys):
    assert command(tmp_path, text) == 2
    said = capsys.readouterr().err
    assert "no operation" in said and "--allow-empty" in said and said.count("\n") == 1
    assert command(tmp_path, text, "--allow-empty") == 0
    assert command(tmp_path, text, "--allow-empty", "--json", "--sessions", "--staleness") == 0


# ---- words for results ----

REFUSED = [1, "timeout", "OK", "failed", [], {}, 0, 1.0]


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(
    "operation", [write(1, 0, 1), delete(0, 1), cas(None, 1, True, 0, 1)], ids=lambda o: o["op"]
)
@pytest.mark.parametrize("result", REFUSED)
def test_other_words_in_result_are_refused(operation, result, library):
    with pytest.raises(BadInput, match='line 1: "result" .* is not one of true, "ok", false'):
        reading.parse(as_text([operation | {"result": result}]), library)


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_compare_and_set_that_failed_itself_tells_nothing(library):
    for result, wanted in ((False, VIOLATION), ("fail", LINEARIZABLE), ("info", LINEARIZABLE)):
        operations = [write(1, 0, 1), cas(1, 2, result, 2, 3), read(1, 4, 5)]
        assert word(reading.parse(as_text(operations), library), library) == wanted
    changed = [write(1, 0, 1), cas(1, 2, "fail", 2, 3), read(2, 4, 5)]  # it changed nothing
    assert word(reading.parse(as_text(changed), library), library) == VIOLATION


# ---- EDN ----

EDN = [
    ("1 -2N 3.5M 1e3 nil true", [1, -2, 3.5, 1000, None, True]),
    ('"a\\n\\u00e9\\"" \\x \\newline', ['a\n\u00e9"', "x", "\n"]),
    (":a b/c, ; a comment\n #inst \"2026\" #_ {:left [out]} ^:meta 1", [":a", "b/c", "2026", 1]),
    ("[1 (2 [])] {:a 1, \"b\" nil} #{2 1} {1 2}",
        [[1, [2, []]], {":a": 1, "b": None}, ["#{}", 1, 2], ["{}", [1, 2]]]),
    ("#jepsen.history.Op{:index 0}", [{":index": 0}]),
    ("#_#_ 1 2 3", [3]),
]  # fmt: skip


@pytest.mark.parametrize("text, wanted", EDN)
def test_values_of_edn(text, wanted):
    assert list(edn.values(text)) == wanted


@pytest.mark.parametrize(
    "text", ["[1", "{:a}", ")", "[1)", '"a', '"\\q"', "1x", "#_", "[1\n#inst]", "{:a 1 :b"]
)
def test_what_is_no_edn_is_named_by_its_line(text):
    with pytest.raises(BadInput, match=r"line \d: "):
        jepsen.parse(text.encode())


def entries(*rows):
    """Return EDN of (process, type, f, value) rows."""
    return "\n".join(f"{{:process {p} :type :{t} :f :{f} :value {v}}}" for p, t, f, v in rows)


SET_1 = ((0, "invoke", "write", 1), (0, "ok", "write", 1))
READ_NIL = ((1, "invoke", "read", "nil"), (1, "ok", "read", "nil"))
READ_2 = ((1, "invoke", "read", "nil"), (1, "ok", "read", 2))
KNOSSOS = [
    ((*SET_1, *READ_2), VIOLATION),
    ((*SET_1, *READ_NIL), LINEARIZABLE),
    ((*SET_1, (2, "invoke", "write", 2), *READ_2), LINEARIZABLE),
    ((*SET_1, (2, "invoke", "write", 2), (2, "info", "write", 2), *READ_2), LINEARIZABLE),
    ((*SET_1, (2, "invoke", "write", 2), (2, "fail", "write", 2), *READ_2), VIOLATION),
    ((*SET_1, (2, "invoke", "cas", "[1 2]"), (2, "ok", "cas", "[1 2]"), *READ_2), LINEARIZABLE),
    ((*SET_1, (2, "invoke", "cas", "[1 2]"), (2, "fail", "cas", "[1 2]")), LINEARIZABLE),
    ((*SET_1, (2, "invoke", "cas", "[3 2]"), (2, "ok", "cas", "[3 2]")), VIOLATION),
    ((*SET_1, (":nemesis", "info", "start", "nil"), (":n", "info", "stop", 7)), LINEARIZABLE),
    ((*SET_1, (1, "invoke", "read", "nil"), (1, "fail", "read", 7)), LINEARIZABLE),
    (((0, "invoke", "write", "[:x 1]"), (0, "ok", "write", "[:x 1]"),
        (1, "invoke", "read", "[:y nil]"), (1, "ok", "read", "[:y 1]")), VIOLATION),
    (((0, "invoke", "cas", "[7 [nil 1]]"), (0, "ok", "cas", "[7 [nil 1]]"),
        (1, "invoke", "cas", "[8 [nil 1]]"), (1, "ok", "cas", "[8 [nil 1]]")), LINEARIZABLE),
    (((0, "invoke", "acquire", "nil"), (0, "ok", "acquire", "nil"),
        (1, "invoke", "acquire", "nil"), (1, "ok", "acquire", "nil")), VIOLATION),
    (((0, "invoke", "acquire", "nil"), (0, "ok", "acquire", "nil"),
        (0, "invoke", "release", "nil"), (0, "ok", "release", "nil"),
        (1, "invoke", "acquire", "nil"), (1, "ok", "acquire", "nil")), LINEARIZABLE),
]  # fmt: skip


@pytest.mark.parametrize("rows, wanted", KNOSSOS)
def test_histories_of_knossos(rows, wanted):
    for text in (entries(*rows), f"[{entries(*rows)}]", f"({entries(*rows)}) ; all"):
        assert word(jepsen.parse(text.encode())) == wanted


BAD_ENTRIES = [
    ("[1]", "entry 1: an entry is a map"),
    ("{:process 0 :f :read}", "entry 1: :type is missing"),
    (entries((0, "done", "read", "nil")), 'entry 1: :type ":done" is not one of'),
    (entries(SET_1[1]), "entry 1: process 0 completes what it did not invoke"),
    (entries(SET_1[0], SET_1[0]), "entry 2: process 0 has not completed entry 1"),
    (entries(SET_1[0], (0, "ok", "read", 1)), "entry 2: :read completes the :write of entry 1"),
    (entries((0, "invoke", "cas", 1)), "entry 1: :value 1 of a :cas is not"),
    (entries((0, "invoke", "txn", "[]")), 'entry 1: :f ":txn" is not one of'),
]


@pytest.mark.parametrize("text, complaint", BAD_ENTRIES)
def test_bad_entries_of_knossos_are_named(text, complaint):
    with pytest.raises(BadInput) as raised:
        jepsen.parse(text.encode())
    assert str(raised.value).startswith(complaint)


def test_the_command_takes_edn_by_its_name_or_by_option(tmp_path, capsys):
    wrong = entries(*SET_1, *READ_2).encode()
    assert command(tmp_path, wrong, name="h.edn") == 1
    assert "entry 3, 3 to 4" in capsys.readouterr().out
    assert command(tmp_path, zstd(wrong), name="h.edn.zst") == 1
    assert command(tmp_path, wrong, "--format", "edn", "--initial", "2") == 1
    assert command(tmp_path, wrong) == 2
    nil = entries(*SET_1, *READ_NIL).encode()
    assert command(tmp_path, nil, name="h.edn") == 0
    assert "1 reads that returned nil are left out" in capsys.readouterr().out
    assert command(tmp_path, nil, "--nil-reads", name="h.edn") == 1
    assert "returned nil" not in capsys.readouterr().out
    assert command(tmp_path, nil, "--staleness", name="h.edn") == 2
    assert "it has no times" in capsys.readouterr().err
