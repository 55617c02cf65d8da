"""The journal: a crash at any point keeps each finished trial once; the rest runs again."""

import errno
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from result_rows import record, row

from benchpaper.results import journal
from benchpaper.results.journal import Journal

CELLS = [f"size={size}" for size in range(8)]


def entry(cell, number=0, reason="µs “and” so on\n"):
    return record(position=number, cell=cell, reason=reason)


def measure(path, cells, upto):
    """Measure at most `upto` trials that the journal lacks, as a block does; return their cells."""
    measured = []
    with Journal(path) as done:
        for cell in cells:
            if cell not in done and len(measured) < upto:
                done.append(entry(cell, len(done)))
                measured.append(cell)
    return measured


def test_what_was_appended_is_there_after_reopening_in_order(tmp_path):
    path = tmp_path / "deep" / "folder" / "000.jsonl"
    with Journal(path) as written:
        for cell in reversed(CELLS):
            written.append(entry(cell))
            assert cell in written
    with Journal(path) as read:
        assert [e.cell for e in read.entries] == CELLS[::-1]
        assert read.entries[0] == entry(CELLS[-1]) and len(read) == 8 and "size=99" not in read


def test_an_appended_entry_is_on_disk_before_append_returns(tmp_path):
    with Journal(tmp_path / "j") as open_one:
        open_one.append(entry("a"))
        assert [
            json.loads(line)["cell"] for line in (tmp_path / "j").read_bytes().splitlines()
        ] == ["a"]


@given(crashes=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 400)), max_size=6))
@settings(max_examples=200, deadline=None)
def test_any_interleaving_of_crash_and_resume_measures_every_cell_and_loses_only_what_was_cut(
    crashes,
):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "j"
        for upto, cut in crashes:
            measure(path, CELLS, upto)
            whole = path.read_bytes()
            kept = whole[: max(0, len(whole) - cut)]  # a crash: the file ends anywhere
            path.write_bytes(kept)
            survivors = [
                json.loads(line)["cell"]
                for line in kept.splitlines(keepends=True)
                if line.endswith(b"\n")
            ]
            with Journal(path) as done:
                assert [e.cell for e in done.entries] == survivors
        measured = measure(path, CELLS, len(CELLS))
        lines = [json.loads(line)["cell"] for line in path.read_text().splitlines()]
        assert sorted(lines) == CELLS  # each once
        assert (
            lines[len(lines) - len(measured) :] == measured
        )  # and only what was missing was measured


@given(garbage=st.binary(min_size=1, max_size=60))
@settings(max_examples=100, deadline=None)
def test_garbage_at_the_end_is_dropped_and_the_next_entry_stands_where_it_began(garbage):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "j"
        measure(path, CELLS[:2], 2)
        good = path.read_bytes()
        path.write_bytes(good + b"\xff" + garbage.replace(b"\n", b""))
        with Journal(path) as done:
            assert len(done) == 2 and not done.damaged
            done.append(entry("new"))
        assert path.read_bytes() == good + json.dumps(entry("new").to_json()).encode() + b"\n"


@given(garbage=st.binary(max_size=60), at=st.integers(0, len(CELLS)), kept=st.integers(0, 10))
@settings(max_examples=200, deadline=None)
def test_a_damaged_line_is_skipped_and_costs_no_other(garbage, at, kept):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "j"
        measure(path, CELLS, len(CELLS))
        lines = path.read_bytes().splitlines(keepends=True)
        lines[at : at + 1] = [
            b"".join(lines[at : at + 1])[:kept] + b"\xff" + garbage.replace(b"\n", b"") + b"\n"
        ]
        path.write_bytes(b"".join(lines))
        left = [cell for number, cell in enumerate(CELLS) if number != at]
        assert journal.finished(path) == len(left) and path.read_bytes() == b"".join(lines)
        with Journal(path) as done:
            assert [e.cell for e in done.entries] == left and done.damaged == [at + 1]
            done.repair()
        with Journal(path) as done:
            assert [e.cell for e in done.entries] == left and not done.damaged
        assert measure(path, CELLS, len(CELLS)) == CELLS[at : at + 1]


@pytest.mark.parametrize(
    "line",
    [
        b"{}\n",
        b"[1]\n",
        b"null\n",
        b"\n",
        b'{"cell": "a"}',
        b'{"cell": []}\n',
        b'{"cell": "a"}\n',
        json.dumps(row() | {"cell": 7}).encode() + b"\n",
        json.dumps({key: value for key, value in row().items() if key != "site"}).encode() + b"\n",
        json.dumps(row() | {"attempts": [1]}).encode() + b"\n",
        json.dumps(row() | {"commands": ["ls"]}).encode() + b"\n",
        b"[" * 99_999 + b"\n",
    ],
)
def test_a_line_that_is_no_whole_entry_is_no_trial(tmp_path, line):
    (tmp_path / "j").write_bytes(line)
    with Journal(tmp_path / "j") as done:
        assert len(done) == 0 and done.damaged == ([1] if line.endswith(b"\n") else [])
        done.repair()
    assert (tmp_path / "j").read_bytes() == b""


def test_to_count_the_trials_of_a_running_block_leaves_its_journal_alone(tmp_path):
    (tmp_path / "j").write_bytes(json.dumps(entry("a").to_json()).encode() + b'\n{"cell": "b", ')
    assert journal.finished(tmp_path / "j") == 1 and journal.finished(tmp_path / "none") == 0
    assert (tmp_path / "j").read_bytes().endswith(b'{"cell": "b", ')


WRITER = """
import sys
from result_rows import record
from benchpaper.results.journal import Journal
with Journal(sys.argv[1]) as done:
    for number in range(len(done), 10**6):
        done.append(record(cell=f"size={number}", reason="x" * 3000))
        print(number, flush=True)
"""


def test_kill_9_at_any_moment_loses_no_entry_whose_append_returned(tmp_path):
    for round_ in range(5):
        with open(tmp_path / "out", "w") as out:
            process = subprocess.Popen(
                [sys.executable, "-c", WRITER, tmp_path / "j"],
                stdout=out,
                cwd=Path(__file__).parent,
            )
            end = time.monotonic() + 60
            while not (tmp_path / "out").read_text() and time.monotonic() < end:
                time.sleep(0.002)
            time.sleep(0.003 * round_)
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        last = int((tmp_path / "out").read_text().splitlines()[-1])
        with Journal(tmp_path / "j") as done:
            assert [e.cell for e in done.entries] == [f"size={n}" for n in range(len(done))]
            assert last < len(done) <= last + 2


@pytest.mark.parametrize("size", [10, 3000, 9000, 100_000])
def test_a_full_disk_leaves_the_earlier_entries_and_goes_on_when_there_is_room(
    small_disk, tmp_path, size
):
    disk = small_disk(tmp_path / "small", 64)
    (disk / "ballast").write_bytes(b"x" * 30_000)
    pad = "x" * size
    with Journal(disk / "j") as done:
        number, full = 0, None
        while not full:
            try:
                done.append(entry(f"size={number}", reason=pad))
                number += 1
            except OSError as error:
                full = error
        assert full.errno == errno.ENOSPC
        kept = len(done)
        assert number == kept and f"size={number}" not in done
        lines = (disk / "j").read_bytes().splitlines(keepends=True)
        assert [json.loads(line)["cell"] for line in lines] == [f"size={n}" for n in range(kept)]
        assert all(line.endswith(b"\n") for line in lines)
        (disk / "ballast").unlink()
        if size <= 9000:
            done.append(entry("after", reason=pad))  # the same journal goes on
    with Journal(disk / "j") as again:
        assert len(again) == kept + (size <= 9000)


@given(
    st.dictionaries(
        st.text(max_size=8),
        st.one_of(st.integers(), st.text(max_size=8), st.lists(st.integers(), max_size=3)),
    )
)
def test_the_key_does_not_depend_on_the_order_of_its_parts(parts):
    reordered = dict(reversed(parts.items()))
    assert journal.key(x=parts) == journal.key(x=reordered)
    assert journal.key(x=parts, y=1) != journal.key(x=parts, y=2)
    assert len(journal.key(x=parts)) == 16
