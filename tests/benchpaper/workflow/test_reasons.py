"""Why a block is measured again: what its trials depended on then, and depend on now."""

import copy

import pytest

from benchpaper.results import journal
from benchpaper.workflow import reasons

THEN = {
    "sources": {"experiments/a.py": "1", "experiments/b.py": "2"},
    "plan": {"digest": "x", "seed": 1, "blocks": 5},
    "levels": {"way": ["pipe", "socket"], "size": [1, 2]}, "block": 0,
    "hosts": {"server": ["s", "i"], "client": ["s", "i"]},
    "tools": {"ucx": "1.21"}, "capabilities": ["cc"], "counts": {"messages": 100}, "schema": 1,
    "facts": {role: {"cpu": "A", "cpus": 2, "memory_gib": 8} for role in ("server", "client")},
}  # fmt: skip

CHANGES = [
    ({"sources": {"experiments/a.py": "9", "experiments/b.py": "2"}}, "experiments/a.py changed"),
    ({"sources": {"experiments/a.py": "1", "experiments/c.py": "2"}},
        "experiments/c.py added; experiments/b.py removed"),
    ({"sources": {f"experiments/{n}.py": "1" for n in "vwxyz"} | THEN["sources"]},
     "experiments/v.py, experiments/w.py, experiments/x.py and 2 more added"),
    ({"plan": {"digest": "y", "seed": 7, "blocks": 5}}, "seed 1 -> 7"),
    ({"plan": {"digest": "y", "seed": 1, "blocks": 6}}, "blocks 5 -> 6"),
    ({"levels": {"way": ["pipe", "nic"], "size": [1, 2]}},
        "level nic of way added; level socket of way removed"),
    ({"hosts": {"server": ["s", "j"], "client": ["s", "j"]}}, "another machine"),
    ({"hosts": {"server": ["s", "j"], "client": ["s", "i"]}}, "another machine as server"),
    ({"tools": {"ucx": "1.22", "cc": "12"}}, "ucx 1.21 -> 1.22; cc none -> 12"),
    ({"capabilities": ["rdma"]}, "rdma is there now; cc is gone"),
    ({"counts": {"messages": 1000}}, "messages 100 -> 1000"),
    ({"schema": 2}, "results schema 1 -> 2"),
    ({"facts": {role: {"cpu": "A", "cpus": 1, "memory_gib": 8} for role in ("server", "client")}},
        "cpus 2 -> 1"),
    ({"facts": THEN["facts"] | {"client": {"cpu": "A", "cpus": 1, "memory_gib": 8}}},
     "cpus 2 -> 1 (client)"),
    ({}, "its plan differs"),
]  # fmt: skip


@pytest.mark.parametrize("change, text", CHANGES, ids=[text for _, text in CHANGES])
def test_each_difference_is_named(change, text):
    assert "; ".join(reasons.reasons(THEN, copy.deepcopy(THEN) | change)) == text


def test_what_was_noted_last_under_another_key_is_what_is_compared(tmp_path):
    path = tmp_path / "journal" / "000-abc.jsonl"
    path.parent.mkdir()
    assert journal.noted(path) is None
    for key in ("old", "abc"):
        journal.note(path.with_name(f"000-{key}.jsonl"), {"key": key})
    journal.note(path.with_name("001-other.jsonl"), {"key": "another block"})
    path.with_name("000-cut.json").write_text('{"half')
    assert journal.noted(path) == {"key": "old"}


def test_a_block_says_what_it_was_measured_with_until_it_is_measured_so(make_toy, block_of):
    project = make_toy("yield dict(latency_us=1.0)")
    assert block_of(project).before() is None  # never measured
    block_of(project).measure()
    assert block_of(project).before() is None  # as it would be now
    other = block_of(project, seed=2)
    assert reasons.reasons(other.before(), other.depends) == ["seed 1 -> 2"]
    assert not reasons.elsewhere(other.before(), other.depends)
    other.measure()
    assert other.before() is None and block_of(project).before() is None
