"""The file format of histories, and the command that checks one."""

import gzip
import json
import random
import subprocess
import sys

import pytest
from checkout import ROOT
from histories import as_text
from history_operations import LIBRARIES, WRONG, read, simulated, write

from experiments.multiprotocol.checker import history as histories
from experiments.multiprotocol.checker import native, reading
from experiments.multiprotocol.checker.check import check, overall
from experiments.multiprotocol.checker.search import LINEARIZABLE, VIOLATION

# ---- the file format ----


@pytest.mark.parametrize(
    "line, complaint",
    [
        ("{", "line 2: not JSON"),
        ("[]", "line 2: an operation is a JSON object"),
        ('{"client":1,"op":"read","key":"k","invoked_ns":1,"completed_ns":2}',
            "a completed read needs"),
        ('{"client":1,"op":"push","key":"k","invoked_ns":1,"completed_ns":2}',
            '"op" "push" is not one of'),
        ('{"client":1,"op":"write","key":"k","invoked_ns":1,"completed_ns":2}',
            'a write needs "value"'),
        ('{"client":1,"op":"write","key":"k","value":1,"invoked_ns":3,"completed_ns":2}',
            "lies before"),
        ('{"client":1,"op":"write","key":"k","value":1,"invoked_ns":"3","completed_ns":4}',
            "whole number of nanoseconds"),
        ('{"client":1,"op":"write","key":"k","value":1,"invoked_ns":3}',
            '"completed_ns" is missing'),
        ('{"client":1,"op":"write","key":"k","value":1,"invoked_ns":3,"completed_ns":true}',
            "whole number"),
        ('{"client":1,"op":"cas","key":"k","expected":1,"new":2,"invoked_ns":3,"completed_ns":4}',
            "needs \"result\" true or false"),
        ('{"client":1,"op":"read","key":"k","value":1,"result":2,"invoked_ns":3,"completed_ns":4}',
            "they differ"),
        ('{"client":1,"op":"read","key":null,"result":2,"invoked_ns":3,"completed_ns":4}',
            '"key" must be'),
        ('{"client":1,"client":1,"op":"read","key":"k","result":2,"invoked_ns":3,"completed_ns":4}',
            '"client" is given twice'),
        ('{"client":1,"op":"read","key":1.0,"result":2,"invoked_ns":3,"completed_ns":4}',
            '"key" must be'),
        ('{"client":1,"op":"read","key":"k","result":1e99999999999999999999,'
            '"invoked_ns":3,"completed_ns":4}', "too long"),
        ('{"client":1,"op":"read","key":"k","result":' + "[" * 5000 + "]" * 5000
            + ',"invoked_ns":3,"completed_ns":4}', "too deeply"),
        ('{"client":1,"op":"read","key":"k","result":NaN,"invoked_ns":3,"completed_ns":4}',
            "not JSON"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("library", LIBRARIES)
def test_bad_lines_are_named(line, complaint, library):
    text = as_text([read(None, 0, 1)]) + line.encode() + b"\n"
    with pytest.raises(histories.BadInput, match="line 2") as raised:
        reading.parse(text, library=library)
    assert complaint in str(raised.value)


def test_both_parsers_read_the_same():
    rng = random.Random(4)
    operations = simulated(rng, 400, 4, 3, failing=True, deletes=True)
    operations += [
        write(v, 0, 1, key="odd")
        for v in ['"\\\u00e9\n', 1.5, -0.0, 1e30, [1, {"a": None}], 2**70, "", True]
    ]
    text = b"\n" + as_text(operations).replace(b"\n", b" \r\n")
    first, other = reading.parse(text), reading.parse(text, library=False)
    for name in ("kind", "invoked", "completed", "line"):
        assert getattr(first, name).tolist() == getattr(other, name).tolist()
    for name in ("key", "client", "value", "set_to"):
        values = [[json.loads(h.values[n]) for n in getattr(h, name)] for h in (first, other)]
        assert values[0] == values[1]


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_backslash_before_a_nul_is_no_json(library):
    for operation in (read("?", 0, 1), read(1, 0, 1, other="?")):  # nobody looks into other fields
        with pytest.raises(histories.BadInput, match="line 1"):
            reading.parse(as_text([operation]).replace(b"?", b"\\\0"), library=library)


def test_names_that_do_not_fit_into_memory_are_an_error(tmp_path):
    path = tmp_path / "history.jsonl"
    path.write_bytes(as_text([write(number, 0, 1) for number in range(100_000)]))
    code = """
import mmap, resource, sys
from experiments.multiprotocol.checker import native, reading
library, text = native.library(), open(sys.argv[1], "rb").read()
class Library:
    def history_parse(self, *arguments):
        used = int(open("/proc/self/statm").read().split()[0]) * mmap.PAGESIZE
        room = 3 * 2**19  # a first table is 1 MB, a second 2 MB
        resource.setrlimit(resource.RLIMIT_AS, (used + room, resource.RLIM_INFINITY))
        refused = library.history_parse(*arguments)
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        print(refused)
        return refused
try:
    reading.parse(text, Library())
except MemoryError:
    print("no memory")
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=300,
    )
    assert done.stdout.split("\n") == ["-1", "no memory", ""], done.stderr


SAME = [
    ("1", "1.0"),
    ("0", "-0"),
    ("0", "-0.0"),
    ("1e400", "1E+400"),
    ('"é"', '"\\u00e9"'),
    ("[1,{}]", "[1.0, {}]"),
    ("9" * 5000, "9" * 5000),
]
OTHER = [
    ("1", "true"),
    ("1", '"1"'),
    ("0", "false"),
    ('""', "null"),
    ('"\\ud800"', '"\\ud801"'),
    ("9" * 5000, "9" * 4999 + "8"),
    ("[]", "{}"),
]


@pytest.mark.parametrize("library", LIBRARIES)
def test_values_are_compared_as_json(library):
    for pairs, wanted in ((SAME, LINEARIZABLE), (OTHER, VIOLATION)):
        for written, got in pairs:
            text = (
                f'{{"client":1,"op":"write","key":-5,"value":{written},'
                '"invoked_ns":-9,"completed_ns":-8}\n'
                f'{{"client":null,"op":"read","key":-5,"result":{got},'
                '"invoked_ns":-7,"completed_ns":-6}'
            )
            for encoded in (
                text.encode(),
                b"\xef\xbb\xbf\r\n" + text.replace("\n", "\r\n").encode(),
            ):
                assert (
                    overall(check(reading.parse(encoded, library=library), library=library))
                    == wanted
                ), (written, got)


# ---- the command ----


def run(tmp_path, operations_, *options):
    path = tmp_path / "history.jsonl"
    path.write_bytes(operations_ if isinstance(operations_, bytes) else as_text(operations_))
    command = [sys.executable, "-m", "experiments.multiprotocol.checker", str(path), *options]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300)


def test_the_command_says_it_by_its_status_as_text_and_as_a_picture(tmp_path):
    assert run(tmp_path, [write(1, 0, 1), read(1, 2, 3)]).returncode == 0
    for name in ("picture.svg", "picture.png"):
        picture = tmp_path / name
        done = run(tmp_path, WRONG[3][0], "--picture", str(picture))
        assert (
            done.returncode == 1
            and "3 operations that no order explains" in done.stdout
            and picture.stat().st_size > 500
        )
    bad = run(tmp_path, b"nonsense\n")
    assert bad.returncode == 2 and "line 1" in bad.stderr and "Traceback" not in bad.stderr
    missing = subprocess.run(
        [sys.executable, "-m", "experiments.multiprotocol.checker", str(tmp_path / "no")],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert missing.returncode == 2 and missing.stderr.count("\n") == 1
    printed = json.loads(run(tmp_path, WRONG[3][0], "--json", "--sessions", "--staleness").stdout)
    assert printed["verdict"] == VIOLATION and printed["witnesses"][0]["lines"] == [1, 2, 3]
    assert printed["staleness"] == {"stale": 1, "of": 1, "most_ns": 1, "left_out": 0}


def test_the_command_meets_odd_files_and_readers(tmp_path):
    good = as_text([write("ü", 0, 1), read("ü", 2, 3)])
    assert run(tmp_path, gzip.compress(good)).returncode == 0
    cut = run(tmp_path, gzip.compress(good)[:-9])
    assert cut.returncode == 2 and "damaged" in cut.stderr
    cut = run(tmp_path, good[:-9])
    assert cut.returncode == 2 and "line 2" in cut.stderr and "cut off" in cut.stderr
    assert run(tmp_path, good.decode().encode("utf-16")).returncode == 2
    assert run(tmp_path, good, "--picture", "x.gif").returncode == 2
    undrawn = run(tmp_path, as_text([read(1, 0, 1)]), "--picture", str(tmp_path / "no" / "x.svg"))
    assert undrawn.returncode == 1 and "--picture" in undrawn.stderr
    command = f"{sys.executable} -m experiments.multiprotocol.checker {tmp_path}/history.jsonl"
    for closed in (
        f"{command} | true; exit ${{PIPESTATUS[0]}}",
        f"{command} >&-",
        f"PYTHONIOENCODING=ascii {command}",
    ):
        done = subprocess.run(
            ["bash", "-c", closed], capture_output=True, text=True, cwd=ROOT, timeout=300
        )
        assert done.returncode == 1 and not done.stderr


def test_without_a_compiler_it_says_so_and_what_to_do(tmp_path):
    package = tmp_path / "experiments" / "multiprotocol" / "checker"
    package.mkdir(parents=True)
    for file in (ROOT / "experiments" / "multiprotocol" / "checker").glob("*.py"):
        (package / file.name).write_bytes(file.read_bytes())
    for name in native.SOURCES:
        (package / name).write_bytes((native.FOLDER / name).read_bytes())
    (tmp_path / "history.jsonl").write_bytes(as_text([write(1, 0, 1), read(2, 2, 3)]))
    done = subprocess.run(
        [sys.executable, "-m", "experiments.multiprotocol.checker", "history.jsonl"],
        capture_output=True, text=True,
        cwd=tmp_path, timeout=300, env={"PATH": "/nonexistent", "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 1 and "read 2" in done.stdout
    assert (
        done.stderr.count("\n") == 1
        and "no C compiler" in done.stderr
        and "apt-get install gcc" in done.stderr
    )
