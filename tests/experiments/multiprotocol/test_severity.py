"""The severity of an occurrence, and the watch that measures for how long it lasts."""

import itertools
import json
import shutil
import threading
from types import SimpleNamespace

import pytest

from benchpaper.hosts.local import LocalHost
from experiments.multiprotocol import restarts, stacks
from experiments.multiprotocol.anomalies import registry
from experiments.multiprotocol.anomalies.experiment import experiment
from experiments.multiprotocol.anomalies.kinds import LOSES
from experiments.multiprotocol.anomalies.severity import (
    LASTING_S,
    LEVELS,
    MOMENT_S,
    Duration,
    Seen,
    lasting,
    level,
    watch,
)
from experiments.multiprotocol.anomalies.watching import Watches
from experiments.multiprotocol.file_operations import Declined

OVER, LATER, WHILE, LASTING = (
    Duration(0.1), Duration(MOMENT_S, ended=False), Duration(LASTING_S), Duration(LASTING_S, False),
)  # fmt: skip


@pytest.mark.parametrize(
    "loses, reported, duration, name",
    [
        (True, False, OVER, "silent loss"),
        (True, False, LASTING, "silent loss"),
        (True, True, LASTING, "told loss"),
        (False, False, LASTING, "lasting"),
        (False, False, WHILE, "while"),
        (False, False, LATER, "while"),  # nobody looked for longer
        (False, False, OVER, "moment"),
        (False, True, LASTING, "told"),
    ],
)
def test_loss_weighs_more_than_silence_and_silence_more_than_time(loses, reported, duration, name):
    assert LEVELS[level(loses, reported, duration)] == name


def wrong_for(looks):
    """Return a state that is wrong for so many looks."""
    count = itertools.count()
    return lambda: next(count) < looks


def test_a_state_is_watched_until_it_is_right():
    seen = lasting(wrong_for(3))
    duration = watch(seen, 0.0, float("inf"))
    assert duration.ended and duration.seconds > 0
    assert lasting(wrong_for(0)) is False


def test_a_state_that_stays_wrong_is_not_watched_for_longer_than_asked():
    duration = watch(Seen(lambda: True), 0.0, 0.0)
    assert not duration.ended


def test_a_look_that_fails_shows_nothing_wrong():
    assert watch(Seen(lambda: 1 / 0), 0.0, 9.0).ended


def test_what_lasts_longer_than_a_moment_is_watched_on_together():
    watches = Watches(1.3)
    ends = {"soon": threading.Event(), "never": threading.Event()}
    first = {
        kind: watches.occurred(kind, Seen(lambda end=end: not end.is_set()), loses=False)
        for kind, end in ends.items()
    }
    assert not any(occurrence.duration.ended for occurrence in first.values())
    ends["soon"].set()
    rest = {occurrence.kind: occurrence for occurrence in watches.rest()}
    assert rest["soon"].duration.ended and not rest["never"].duration.ended
    assert rest["never"].as_dict()["level"] == LEVELS.index("while")


def test_a_bare_occurrence_is_over():
    watches = Watches(9)
    assert watches.occurred("kind", True, loses=False).as_dict() == {
        "level": 2, "lasted_s": 0.0, "ended": True, "told": False,
    }  # fmt: skip
    assert not list(watches.rest())


def test_a_kind_must_violate_an_invariant_that_exists():
    with pytest.raises(ValueError, match="'I9' must be one of I1, I2"):
        registry.kind("I9")


def test_a_restart_waits_for_its_answer(tmp_path):
    said = []

    def say(restart):
        said.append(restart)
        (tmp_path / restart).touch()

    restart = restarts.asking(str(tmp_path), say)
    restart(), restart()
    assert len(set(said)) == 2
    with pytest.raises(Declined, match="no server of the file side"):
        restarts.asking("", say)()


@pytest.mark.parametrize("system", stacks.CONTROLS)
def test_a_trial_keeps_the_severity_of_each_kind_that_it_saw(tmp_path, system):
    host = LocalHost(folder=tmp_path)
    counts = SimpleNamespace(**experiment.scales["smoke"].counts)
    counts.replay_every = 2  # this seed replays nothing
    site = SimpleNamespace(
        server=host, client=host, counts=counts, seed=7, block=SimpleNamespace(number=0)
    )
    (row,) = experiment._trial(SimpleNamespace(system=system, setting="default"), site)
    shutil.rmtree(tmp_path, ignore_errors=True)
    declared = {each.name for each in (*experiment.metrics, *experiment.evidence)}
    assert row.keys() <= declared and row["outcome"] == "ran"
    severities = json.loads(row["severities"])
    assert severities.keys() == json.loads(row["witnesses"]).keys()
    assert len(severities) == row["kinds_seen"]
    lost = {kind for kind, severity in severities.items() if LEVELS[severity["level"]] == LEVELS[6]}
    assert lost == LOSES & severities.keys() and row["silent_losses"] == len(lost)
    assert row["worst_severity"] == (6 if system == stacks.BROKEN else 0)
