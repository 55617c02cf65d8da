"""The five invariants, judged on small histories of which each breaks one, and on the controls."""

import json

import pytest

from experiments.multiprotocol import invariants, random_history
from experiments.multiprotocol.model import INVARIANTS
from experiments.multiprotocol.views import open_views

MS = 1_000_000


def op(what, at, lasts=1, **more):
    """Return an operation "side op key value" that begins `at` ms and lasts so many ms."""
    side, op, key, value = [*what.split(), None][:4]
    value = None if value == "nothing" else value
    row = dict(client=len(side), side=side, op=op, key=key)
    row |= dict(invoked_ns=at * MS, completed_ns=None if lasts is None else (at + lasts) * MS)
    row |= {"read": {"result": value}, "write": {"value": value}}.get(op, {})
    return row | more


VIOLATED = {
    "I1": [
        op("s3 write a 1", 0), op("s3 read a 1", 2, validator="t"),
        op("file write a 2", 4), op("s3 read a 2", 6, validator="t"),
    ],
    "I2": [op("s3 write a 1", 0), op("file write a 2", 2), op("s3 read a 1", 100)],
    "I2 nothing yet": [op("file write a 1", 0), op("s3 read a nothing", 100)],
    "I3": [op("s3 write a 1", 0), op("s3 write A 2", 2), op("s3 read a 2", 4)],
    "I4 torn": [op("s3 write a 11", 0), op("file write a 22", 2), op("s3 read a 12", 3)],
    "I4 empty": [op("s3 write a 1", 0), op("file read a", 2, result="")],
    "I5 overwritten": [
        op("s3 write a 1", 0), op("file write a 2", 2),
        op("s3 read a 1", 4, final=True), op("file read a 1", 4, final=True),
    ],
    "I5 never there": [op("s3 write a 1", 0), op("s3 read a nothing", 4, final=True)],
    "I5 back after a delete": [
        op("file write a 1", 0), op("s3 delete a", 2), op("s3 read a 1", 4, final=True),
    ],
    "I5 lost update": [
        op("s3 write a 1", 0), op("file write a 2", 2),
        op("s3 cas a", 4, expected="1", new="3", result="ok"),
        op("s3 read a 3", 6, final=True),
    ],
}  # fmt: skip

KEPT = {
    "a late read within the bound": [
        op("s3 write a 1", 0), op("file write a 2", 2), op("s3 read a 1", 9),
    ],
    "a late read through the same door": [
        op("s3 write a 1", 0), op("s3 write a 2", 2), op("s3 read a 1", 100),
    ],
    "writes that overlap": [
        op("s3 write a 1", 0, 50), op("file write a 2", 1, 40), op("s3 read a 1", 200, final=True),
    ],
    "a write without an answer": [
        op("s3 write a 1", 0), op("file write a 2", 2, None), op("s3 read a 1", 200, final=True),
    ],
    "one door is late": [
        op("s3 write a 1", 0), op("file write a 2", 90),
        op("s3 read a 1", 94, final=True), op("file read a 2", 94, final=True),
    ],
    "a failed compare-and-set": [
        op("s3 write a 1", 0), op("file write a 2", 2),
        op("s3 cas a", 4, expected="1", new="3", result="fail"),
        op("s3 read a 2", 6, final=True),
    ],
    "deletes leave open what nothing means": [
        op("s3 write a 1", 0), op("file delete a", 2), op("s3 write a 2", 4),
        op("file read a nothing", 100, final=True),
    ],
    "one validator of two names": [
        op("s3 write a 1", 0), op("s3 write b 2", 0),
        op("s3 read a 1", 2, validator="t"), op("s3 read b 2", 2, validator="t"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("case", VIOLATED)
def test_a_history_that_breaks_one_invariant_breaks_no_other(case):
    verdicts = invariants.check(VIOLATED[case], bound_s=0.01)
    broken = [name for name, verdict in verdicts.items() if verdict.lines]
    assert broken == [case.split()[0]], verdicts
    assert verdicts[broken[0]].lines[0] <= len(VIOLATED[case])


@pytest.mark.parametrize("case", KEPT)
def test_what_real_time_does_not_prove_is_no_violation(case):
    verdicts = invariants.check(KEPT[case], bound_s=0.01)
    assert not any(verdict.lines for verdict in verdicts.values()), verdicts


def history_of(broken, seed=3):
    plan = dict(clients=4, operations=60, keys=2, cas=2, validators=True, patience_s=0.1, seed=seed)
    new = open_views({"file": {"kind": "memory", "broken": broken}})
    return list(random_history.history(plan, new))


def test_the_right_store_keeps_all_that_its_history_can_check():
    verdicts = invariants.check(history_of(broken=False), bound_s=0)
    assert all(verdict.checked and not verdict.lines for verdict in verdicts.values()), verdicts


def test_the_broken_store_breaks_what_its_history_can_show():
    seen = set()
    for seed in range(20):  # who comes when is not known
        verdicts = invariants.check(history_of(broken=True, seed=seed), bound_s=0)
        seen |= {name for name, verdict in verdicts.items() if verdict.lines}
        if seen >= {"I1", "I2", "I5"}:
            return
    pytest.fail(f"only {seen} were seen")


def test_the_command_names_each_invariant(tmp_path, capsys):
    file = tmp_path / "history.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in VIOLATED["I1"]))
    assert invariants.main([str(file), "--bound", "0.01"]) == 1
    said = capsys.readouterr().out
    assert "I1  violated 1 times of 2, first in line 4" in said
    assert all(f"\n{name}  " in f"\n{said}" for name in INVARIANTS)
    assert "I5  not checked" in said
    file.write_text("".join(json.dumps(row) + "\n" for row in KEPT["one door is late"]))
    assert invariants.main([str(file), "--bound", "0.01"]) == 0


@pytest.mark.parametrize(
    "text, why",
    [
        ("[1]\n", "line 1"),
        ("no JSON\n", "Expecting value"),
        (json.dumps(op("s3 write a 1", 0) | {"op": "append"}), "append"),
        (json.dumps({k: v for k, v in op("s3 read a 1", 0).items() if k != "side"}), "side"),
        ("\n".join(json.dumps(op("s3 write a 1", at)) for at in (0, 5)), "write values once"),
        (json.dumps(op("s3 read a", 0, result={"a": 1})), "unhashable"),
        (json.dumps(op("s3 read a", 0) | {"invoked_ns": "0"}), "invoked_ns must be a whole number"),
        (json.dumps(op("s3 cas a", 0, new="1", result="ok")), "expected"),
        (json.dumps({k: v for k, v in op("s3 write a", 0).items() if k != "value"}), "value"),
        (json.dumps(op("nfs write a 1", 0)), 'side "nfs" must be one of file, s3'),
    ],
)
def test_what_is_no_history_is_refused(tmp_path, capsys, text, why):
    file = tmp_path / "history.jsonl"
    file.write_text(text)
    assert invariants.main([str(file)]) == 2
    assert why in capsys.readouterr().err
