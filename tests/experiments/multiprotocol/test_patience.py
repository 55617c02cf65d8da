"""No number is the time that was waited, and what is waited is longer than the documents say."""

import json
from types import SimpleNamespace

import pytest

from experiments.multiprotocol import measure, random_history, scales, settings, stacks
from experiments.multiprotocol.linearizability.experiment import experiment as linearizability
from experiments.multiprotocol.linearizability.experiment import judged
from experiments.multiprotocol.tradeoff.experiment import experiment as tradeoff
from experiments.multiprotocol.visibility import experiment as module

visibility = module.experiment
DOCUMENTED_S = 60  # the longest delay: Ganesha's and SeaweedFS's caches


class Objects:
    """An object side, and a file side that may never see it, or refuse."""

    def __init__(self, refuses=False):
        self.objects, self._refuses = {}, refuses

    def put(self, name, data):
        self.objects[name] = data

    def get(self, name):
        return self.objects[name], "tag"

    def make_folder(self, name):
        pass

    def write(self, name, data):
        self.objects[name] = data

    def read(self, name):
        if self._refuses and self.objects[name] == measure.Write.NEW:
            raise OSError("stale")
        return b"old"


@pytest.mark.parametrize("refuses", [False, True])
def test_what_is_never_seen_has_no_delay(refuses):
    store = Objects(refuses)
    plan = dict(writes=2, patience_s=0.05)
    to_file, to_s3 = measure.visibility(plan, lambda: (store, store))
    assert (to_file["delays_ms"], to_file["unseen"]) == ([], 2)
    assert bool(to_file["refusal"]) == refuses
    assert (len(to_s3["delays_ms"]), to_s3["unseen"], to_s3["refusal"]) == (2, 0, "")


def test_a_trial_leaves_out_the_delay_of_what_was_not_seen(monkeypatch):
    said = [
        dict(way=measure.WAYS[0], delays_ms=[], unseen=2, refusal="OSError: no"),
        dict(way=measure.WAYS[1], delays_ms=[1.5], unseen=1, refusal=""),
    ]
    monkeypatch.setattr(module.running, "run", lambda *_, **__: (said, "ran"))
    counts = SimpleNamespace(writes=2, patience_ms=65_000, confirm_ms=7000)
    for number, waited_s in ((0, 65), (1, 7)):
        site = SimpleNamespace(counts=counts, block=SimpleNamespace(number=number))
        (row,) = visibility._trial(SimpleNamespace(), site)
        assert "s3_to_file_ms" not in row and row["unseen_s3_to_file"] == 1
        assert row["file_to_s3_ms"] == [1.5] and row["unseen_file_to_s3"] == 0.5
        assert row["waited_s"] == waited_s
        assert json.loads(row["refusals"]) == {measure.WAYS[0]: "OSError: no"}


@pytest.mark.parametrize("experiment", [visibility, tradeoff, linearizability])
def test_full_waits_for_longer_than_any_documented_delay(experiment):
    counts = experiment.scales["full"].counts
    assert counts["patience_ms"] > 1e3 * DOCUMENTED_S
    assert counts["patience_ms"] > counts["confirm_ms"]


def test_the_last_reads_wait_until_nothing_is_written_back():
    counts = linearizability.scales["full"].counts
    delays = [settings.write_back_s(system, "default") for system in stacks.ALL]
    assert max(delays) == 5 and counts["confirm_ms"] > 1e3 * (max(delays) + random_history.LOOK_S)
    assert counts["patience_ms"] == scales.PATIENCE_MS


class Client:
    """A client whose door shows one value after the other."""

    def __init__(self, *values):
        self._values = list(values)

    def read_all(self):
        value = self._values.pop(0) if len(self._values) > 1 else self._values[0]
        return [dict(key="a", result=value, completed_ns=None if value is None else 1)]


@pytest.mark.parametrize(
    "file, objects, looks",
    [(["x"], ["x"], 1), (["x", "y"], ["y"], 2), (["x"], ["y"], 3), ([None, "x"], [None, "x"], 2)],
)
def test_the_last_reads_end_once_both_doors_agree(monkeypatch, file, objects, looks):
    slept = []
    monkeypatch.setattr(random_history.time, "sleep", slept.append)
    rows = random_history._last_reads([Client(*objects), Client(*file)], 65, 5)
    assert len(slept) == looks and sum(slept) <= 65
    assert [row["result"] for row in rows] == [objects[-1], file[-1]]
    assert slept[0] > 5  # no look may put off a write


def test_the_last_reads_do_not_tell_how_long_a_read_may_be_stale():
    write = dict(
        client=0, side="s3", op="write", key="a", invoked_ns=0, completed_ns=1, result="ok"
    )
    late = dict(client=1, side="file", op="read", key="a", invoked_ns=10**10, result="1")
    rows = [
        dict(write, value="1"),
        dict(write, value="2", invoked_ns=2, completed_ns=3),
        dict(late, completed_ns=10**10 + 1, final=True),
    ]
    row = judged(rows, bound_s=1.0)
    assert row["violated_share"] == 1 and max(row["staleness_ms"]) == 0
