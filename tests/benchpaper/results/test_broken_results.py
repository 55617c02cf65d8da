"""Parquet: a broken file, or blocks that do not fit together, give one clear line."""

import copy
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from result_rows import DESCRIBED, record, rows

from benchpaper import results
from benchpaper.results import OBSERVATIONS, TRIALS, ResultsError

# --- broken files ----------------------------------------------------------------------------


@pytest.fixture
def good(tmp_path):
    folder = tmp_path / "results/local/smoke/toy/one"
    results.write_block(
        folder, 0, [record(position=n, reason="text " * 50) for n in range(20)], DESCRIBED
    )
    return results.block_file(folder, 0, TRIALS)


def refusal(path):
    with pytest.raises(ResultsError) as refused:
        results.read(path)
    message = str(refused.value)
    assert (
        "\n" not in message
        and "one/blocks/000.trials.parquet" in message
        and str(path.parents[5]) not in message
    )
    return message


def test_a_missing_file_says_to_measure_first(good):
    good.unlink()
    assert refusal(good) == (
        "results file results/local/smoke/toy/one/blocks/000.trials.parquet does not exist; "
        "measure first (./reproduce)"
    )


@pytest.mark.parametrize("damage", [
    lambda data: b"",
    lambda data: b"PAR1",
    lambda data: b"hello, world",
    lambda data: data[:-1],
    lambda data: data[: len(data) // 2],
    lambda data: data[10:],
    lambda data: data[:100] + bytes(200) + data[300:],
    lambda data: data[:-6] + b"\xff\xff\xff\x7f" + b"PAR1",
], ids=["empty", "magic", "text", "short by one", "half", "headless", "zeros",
    "footer length"])  # fmt: skip
def test_a_broken_file_is_one_line_with_the_way_out(good, damage):
    good.write_bytes(damage(good.read_bytes()))
    message = refusal(good)
    assert "cannot be read (" in message and message.endswith(
        "remove it, and the next run rebuilds it from the journal"
    )


def test_a_flipped_bit_anywhere_is_found_or_changes_nothing(good):
    """Checksums protect the data; most of the footer must also describe this file to be valid."""
    data, whole = good.read_bytes(), results.read(good)
    footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    draw = random.Random(1)
    messages = []
    for place in [*range(0, footer, 7), *draw.sample(range(footer, len(data)), 300)]:
        broken = bytearray(data)
        broken[place] ^= 1 << draw.randrange(8)
        good.write_bytes(broken)
        try:
            table, described = results.read(good)
        except ResultsError as error:
            messages.append(str(error))
            continue
        assert place >= footer or table.equals(whole[0])
        assert place >= footer or described == whole[1]
    assert not any("\n" in message for message in messages)


@pytest.mark.parametrize("version, shown", [(b"99", "99"), (None, "none")])
def test_another_schema_version_is_named(good, version, shown):
    table = pq.read_table(good)
    described = {**table.schema.metadata, b"benchpaper.schema": version} if version else {}
    pq.write_table(table.replace_schema_metadata(described), good)
    assert refusal(good) == (
        "results file results/local/smoke/toy/one/blocks/000.trials.parquet has schema "
        f"version {shown}, but "
        "this program reads 1 to 3; "
        "measure again, or use the version of benchpaper that wrote it"
    )


@pytest.mark.parametrize("described", [None, b"not json", b"{}"])
def test_a_file_without_its_description_is_refused(good, described):
    table = pq.read_table(good)
    metadata = {**table.schema.metadata, b"benchpaper.experiment": described}
    if described is None:
        del metadata[b"benchpaper.experiment"]
    pq.write_table(table.replace_schema_metadata(metadata), good)
    assert "cannot be read (" in refusal(good)


def test_a_file_that_lacks_a_column_is_refused(good):
    table = pq.read_table(good)
    pq.write_table(table.drop_columns(["state"]), good)
    assert "cannot be read (it lacks the column state)" in refusal(good)


# --- collecting ------------------------------------------------------------------------------


def write_blocks(folder, *blocks, described=DESCRIBED):
    for number, changes in enumerate(blocks):
        written = [record(number, position, **changes) for position in (1, 0)]
        results.write_block(folder, number, written, described)


def test_blocks_are_joined_in_the_order_of_block_and_position(tmp_path):
    write_blocks(tmp_path, {}, {}, {})
    results.collect(tmp_path, 3)
    for kind in (OBSERVATIONS, TRIALS):
        assert [(row["block"], row["position"]) for row in rows(tmp_path / kind)] == [
            (b, p) for b in range(3) for p in (0, 1)
        ]
    assert rows(tmp_path / TRIALS)[0]["tools"] == {"cc": "12"}
    assert results.read(tmp_path / OBSERVATIONS)[1] == DESCRIBED


OPTIONAL = ["swapped_mb", "throttled_s", "overheated"]


def test_a_file_from_before_an_optional_column_is_read_and_joined_with_one_from_after(tmp_path):
    write_blocks(tmp_path, {}, {})
    old = results.block_file(tmp_path, 0, TRIALS)
    pq.write_table(pq.read_table(old).drop_columns(OPTIONAL), old)
    assert not set(OPTIONAL) & set(results.read(old)[0].column_names)
    results.collect(tmp_path, 2)
    assert [row["swapped_mb"] for row in rows(tmp_path / TRIALS)] == [None, None, 0.5, 0.5]


@pytest.mark.parametrize(
    "changes, what",
    [
        (dict(plan_digest="q" * 64), "2 plans"),
        (dict(code_digest="d" * 64), "2 versions of the code"),
    ],
)
def test_blocks_that_do_not_belong_together_are_refused_and_nothing_is_written(
    tmp_path, changes, what
):
    write_blocks(tmp_path, {}, {})
    results.collect(tmp_path, 2)
    before = {kind: (tmp_path / kind).read_bytes() for kind in (OBSERVATIONS, TRIALS)}
    write_blocks(tmp_path, {"state": "failed"}, {"state": "failed", **changes})
    with pytest.raises(ResultsError, match=f"belong to {what}; run again to measure them alike$"):
        results.collect(tmp_path, 2)
    assert {kind: (tmp_path / kind).read_bytes() for kind in (OBSERVATIONS, TRIALS)} == before


def test_blocks_of_another_declaration_are_refused(tmp_path):
    write_blocks(tmp_path, {}, {})
    other = copy.deepcopy(DESCRIBED)
    other["metrics"].append(
        dict(
            name="more",
            unit="s",
            better="lower",
            meaning="",
            kept="value",
            minimum=0.0,
            optional=True,
        )
    )
    more = results.check_observation(other, dict(latency_us=[1.0], used="x", more=1.0))
    changed = replace(record(1, 0, code_digest="d" * 64), observations=(more,))
    results.write_block(tmp_path, 1, [changed], other)
    with pytest.raises(ResultsError, match="belong to 2 versions of the code"):
        results.collect(tmp_path, 2)
    assert not (tmp_path / OBSERVATIONS).exists()


def test_a_block_that_is_missing_or_broken_is_named(tmp_path):
    write_blocks(tmp_path, {}, {})
    results.block_file(tmp_path, 1, TRIALS).write_bytes(b"PAR1")
    with pytest.raises(ResultsError, match="blocks/001.trials.parquet cannot be read"):
        results.collect(tmp_path, 2)
    with pytest.raises(ResultsError, match="blocks/002.observations.parquet does not exist"):
        results.collect(tmp_path, 3)
    assert not any((tmp_path / kind).exists() for kind in (OBSERVATIONS, TRIALS))


def test_a_digest_is_that_of_the_bytes(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    assert (
        results.file_digest(Path(tmp_path / "x"))
        == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )


def test_reading_starts_no_thread(good):
    """An Arrow thread that still holds a Python file at exit aborts one run in eight."""
    code = (
        "import os, sys; import pyarrow.parquet; from "
        "benchpaper import results; before = "
        "len(os.listdir('/proc/self/task'))\n"
        "results.read(sys.argv[1]); sys.exit(len(os.listdir('/proc/self/task')) - before)"
    )
    assert subprocess.run([sys.executable, "-c", code, good]).returncode == 0
