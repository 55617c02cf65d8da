"""A host lost in mid-epoch: what each policy reads twice or never, by arithmetic."""

from types import SimpleNamespace

import pytest

from benchpaper.core.project import Project
from benchpaper.design import catalog
from benchpaper.design.spec import make_cell
from benchpaper.hosts.local import LocalHost
from benchpaper.results import check_observation
from experiments.training_io.data import samples
from experiments.training_io.loops import node_loss
from experiments.training_io.loops.node_loss import Job, lose
from experiments.training_io.node_loss import experiment as module

JOB = Job("data", count=96, size=64, hosts=3, batch=4, save_every=2, limit_s=2.0, seed=5)
STEP = JOB.hosts * JOB.batch


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("epoch")
    body = b"".join(samples.content(number, JOB.size) for number in range(JOB.count))
    (folder / JOB.name).write_bytes(body)
    return dict(kind="null", folder=str(folder))


# What the other hosts had delivered of the step that was interrupted comes again after going back.
OTHERS = STEP - JOB.batch


@pytest.mark.parametrize(
    "failure, policy, twice, never",
    [
        ("silent", "replace", lambda at: 0, lambda at: 0),
        ("killed", "go back", lambda at: at % JOB.save_every * STEP + OTHERS, lambda at: 0),
        ("killed", "start over", lambda at: at * STEP + OTHERS, lambda at: 0),
        ("killed", "share out", lambda at: 0, lambda at: 0),
        ("killed", "go on", lambda at: 0, lambda at: (JOB.steps - at) * JOB.batch),
    ],
)
def test_a_policy_reads_twice_or_never_what_it_must(store, failure, policy, twice, never):
    result = lose(store, JOB, failure, policy)
    at = result["lost_at"]
    assert JOB.steps // 4 <= at < 3 * JOB.steps // 4
    assert (result["twice"], result["never"]) == (twice(at), never(at))
    assert result["stands_ms"] >= result["noticed_ms"]
    if failure == "silent":
        assert result["noticed_ms"] >= 1e3 * JOB.limit_s


def test_what_remains_is_divided_evenly():
    assert node_loss.shared_out([1, 2, 3, 4, 5], [0, 2]) == {0: [1, 2, 3], 2: [4, 5]}
    assert node_loss.shared_out([1], [0, 2]) == {0: [1]}


@pytest.mark.parametrize("words", [("asleep", "replace"), ("killed", "pray")])
def test_mistakes_are_refused(words):
    with pytest.raises(ValueError, match="there are"):
        lose(dict(kind="null"), JOB, *words)
    with pytest.raises(ValueError, match="whole steps of 3 x 4"):
        Job("data", 97, 64, 3, 4, 2, 1.0, 5)


@pytest.mark.parametrize("name, rows", [("node_loss", 2), ("resume", 6)])
def test_a_trial_yields_what_is_declared(name, rows, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "TRIES", [["killed", "share out"], ["killed", "go on"]])
    experiment = catalog.load(Project.find(), f"training_io/{name}")
    programs = tmp_path / "programs"
    programs.mkdir()
    experiment._build(programs)
    site = SimpleNamespace(client=LocalHost(folder=tmp_path), seed=1, programs=programs)
    observed = list(experiment._trial(make_cell(dict(backend="null")), site))
    assert len(observed) == rows
    for row in observed:
        check_observation(experiment.describe(), row)
