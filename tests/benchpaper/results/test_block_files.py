"""A block's files give back the records of its journal, and a damaged file says so at its end."""

import json
from dataclasses import replace

import pytest
from result_rows import DESCRIBED, record

from benchpaper import results
from benchpaper.results import OBSERVATIONS, TRIALS, journal
from benchpaper.results.records import TrialRecord

KEYS = {"3": "0123456789abcdef"}
DESCRIBED_BLOCK = {**DESCRIBED, results.JOURNALS: KEYS}
DAMAGES = {
    "empty": lambda data: b"",
    "cut": lambda data: data[: len(data) // 2],
    "zeroed": lambda data: data[:-99] + bytes(99),
}


def written(folder):
    """Write a block of two trials, the second without observations; return its records."""
    records = [
        record(block=3, position=0),
        record(block=3, position=1, state="failed", reason="crashed", observations=[], tools={}),
    ]
    results.write_block(folder, 3, records, DESCRIBED_BLOCK)
    return records


def test_the_records_come_back_so_that_the_same_files_are_written_again(tmp_path):
    before = written(tmp_path / "first")
    files = [results.block_file(tmp_path / "first", 3, kind) for kind in (OBSERVATIONS, TRIALS)]
    after = results.records_of(files, 3)
    assert [replace(entry, observations=()) for entry in after] == [
        replace(entry, observations=()) for entry in before
    ]
    lines = [json.dumps(entry.to_json()) for entry in after]
    through_the_journal = [TrialRecord.from_json(json.loads(line)) for line in lines]
    results.write_block(tmp_path / "second", 3, through_the_journal, DESCRIBED_BLOCK)
    for kind in (OBSERVATIONS, TRIALS):
        first, other = (
            results.block_file(tmp_path / name, 3, kind) for name in ("first", "second")
        )
        assert first.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("kind", [OBSERVATIONS, TRIALS])
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_what_a_power_cut_leaves_has_no_description(tmp_path, kind, damage):
    written(tmp_path)
    path = results.block_file(tmp_path, 3, kind)
    assert results.read_description(path)[results.JOURNALS] == KEYS
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(results.ResultsError, match="cannot be read"):
        results.read_description(path)


def test_collected_results_name_the_journal_of_each_block_and_hold_its_records(tmp_path):
    for block in range(2):
        described = {**DESCRIBED, results.JOURNALS: {str(block): f"key {block}"}}
        results.write_block(tmp_path, block, [record(block=block, position=block)], described)
    results.collect(tmp_path, 2)
    files = [tmp_path / kind for kind in (OBSERVATIONS, TRIALS)]
    for path in files:
        assert results.read_description(path)[results.JOURNALS] == {"0": "key 0", "1": "key 1"}
    for block in range(2):
        own = [results.block_file(tmp_path, block, kind) for kind in (OBSERVATIONS, TRIALS)]
        assert results.records_of(files, block) == results.records_of(own, block)


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_the_damaged_parts_of_a_key_are_noted_again(tmp_path, damage):
    path, parts = tmp_path / "000-key.jsonl", {"sources": {"a" * 200: "1"}}
    journal.note(path, parts)
    sidecar = path.with_suffix(".json")
    whole = sidecar.read_bytes()
    sidecar.write_bytes(damage(whole))
    assert journal.noted(tmp_path / "000-other.jsonl") is None
    journal.note(path, parts)
    assert sidecar.read_bytes() == whole
