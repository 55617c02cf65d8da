"""Faults within the tries: a killed server, a bad link, and several kinds at a time."""

import json
import threading
import time
from types import SimpleNamespace

import pytest

from experiments.multiprotocol import control, control_views, stacks
from experiments.multiprotocol.anomalies import trying
from experiments.multiprotocol.anomalies.attempts import try_kind
from experiments.multiprotocol.anomalies.killing import Enduring, KilledMeanwhileError, Killer
from experiments.multiprotocol.anomalies.kinds import KINDS
from experiments.multiprotocol.faults import experiment as module

experiment = module.experiment


class Server:
    """A file view whose server can be killed; `lost` is whether it forgets what it acknowledged."""

    def __init__(self, loses=False):
        self.names, self.loses, self.connected, self.questions = {}, loses, True, 0
        self.during = None  # what happens within the next operation

    def restart(self):
        self.connected, self.questions = False, self.questions + 1
        if self.loses:
            self.names.clear()

    def _act(self):
        if not self.connected:
            raise ConnectionError("the old server is gone")
        act, self.during = self.during, None
        if act:
            act()

    def read(self, name):
        self._act()
        return self.names.get(name)

    def write(self, name, data):
        self._act()
        self.names[name] = data

    def restarted(self):
        self.connected = True


@pytest.fixture
def server():
    return Server()


def test_a_view_connects_anew_after_a_kill(server):
    killer = Killer(server.restart)
    view = Enduring(server, killer)
    view.write("a", b"1")
    killer._kill(0)
    assert view.read("a") == b"1" and server.questions == killer.kills == 1


def test_a_read_that_a_kill_meets_is_done_again_and_a_change_is_not(server):
    killer = Killer(server.restart)
    view = Enduring(server, killer)
    server.names["a"] = b"1"
    server.during = lambda: killer._kill(0)
    assert view.read("a") == b"1"
    server.during = lambda: killer._kill(0)
    with pytest.raises(KilledMeanwhileError, match="write"):
        view.write("a", b"2")  # whatever the server answered


def test_an_error_without_a_kill_is_raised(server):
    view = Enduring(server, Killer(server.restart))
    server.connected = False
    with pytest.raises(ConnectionError):
        view.read("a")


def test_a_server_that_does_not_come_back_is_an_error(server):
    def fail():
        raise TimeoutError("it did not start")

    killer = Killer(fail)
    killer.begin(1)
    with pytest.raises(TimeoutError, match="did not start"):
        killer.end()


def test_no_operation_starts_while_the_server_is_away(server):
    go, order = threading.Event(), []

    def ask():
        go.wait()
        order.append("back")
        server.restart()

    killer = Killer(ask)
    view = Enduring(server, killer)
    killer.begin(1)
    while not killer.kills:
        time.sleep(0.001)
    threading.Timer(0.01, go.set).start()
    view.write("a", b"1")
    order.append("written")
    killer.end()
    assert order == ["back", "written"]


def tried(ask, kind="write_in_place_lost", tries=3):
    store = control.Store()

    def view():
        return control_views.File(store), control_views.S3(store)

    result = {"kind": kind, "tries": 0, "seen": 0, "told": 0, "witness": None, "error": None}
    try_kind(result, view(), view(), range(7, 7 + tries), kind_s=60, killer=Killer(ask))
    return result


def test_each_try_has_one_kill_and_one_more_shows_how_long_it_takes():
    kills = []
    result = tried(lambda: kills.append(1))
    assert len(kills) == 3 == result["tries"] + result["told"] and not result["seen"]


def test_tries_that_are_told_do_not_end_the_kind():
    def fail():
        raise OSError("no server")

    result = tried(fail)
    assert (result["tries"], result["told"]) == (0, 3) and "no server" in result["error"]


def test_lanes_try_each_kind_once_and_what_cuts_connections_last():
    store, said = control.Store(), []

    def new():
        return control_views.File(store), control_views.S3(store)

    kinds = ["restart_loses", "stale_file_read", "lost_update", "half_written", "etag_unchanged"]
    plan = dict(kinds=kinds, tries=2, kind_s=0, seed=1, limit_s=60, lanes=3, patience_s=0.1)
    trying.anomalies(plan, new, lambda **line: said.append(line))
    assert sorted(line["kind"] for line in said) == sorted(kinds)
    assert said[-1]["kind"] == "restart_loses"
    assert {line["kind"] for line in said if line["tries"]} >= set(kinds[1:])


def test_a_lane_that_fails_ends_the_trial():
    def new():
        raise ConnectionError("no server")

    plan = dict(tries=1, kind_s=0, seed=1, limit_s=60, lanes=2)
    with pytest.raises(ConnectionError):
        trying.anomalies(plan, new, lambda **_: None)


def test_a_bad_link_needs_guests_and_a_store_in_memory_has_neither_link_nor_server():
    cell = SimpleNamespace(system="juicefs", setting="default", fault=module.BAD_LINK)
    assert "own_kernel" in experiment._needs(cell)
    for fault in (module.BAD_LINK, module.KILLED):
        assert not experiment._valid(SimpleNamespace(system=stacks.LOCKED, fault=fault))


@pytest.mark.parametrize("fault", [module.NO_FAULT, module.BAD_LINK])
def test_a_trial_says_of_each_kind_what_occurred_and_what_was_told(monkeypatch, fault):
    plan_given, words = {}, []

    def run(site, cell, at_most_s, *, shaped, **plan):
        plan_given.update(plan)
        if shaped:
            shaped()
        line = {
            "kind": "lost_update",
            "tries": 4,
            "seen": 1,
            "told": 2,
            "witness": [[1]],
            "error": "E",
        }
        return [line, dict(line, kind="half_written", tries=0, seen=0, witness=None)], "ran"

    monkeypatch.setattr(module.running, "run", run)
    host = SimpleNamespace(netem=lambda *given: words.append(given))
    site = SimpleNamespace(
        server=host, client=host, seed=5, counts=SimpleNamespace(tries=4, kind_ms=10)
    )
    lost, half = experiment._trial(SimpleNamespace(system="juicefs", fault=fault), site)
    assert (lost["kind"], lost["occurred"], lost["tries"], lost["told"]) == (
        "lost_update",
        0.25,
        4,
        2,
    )
    assert "occurred" not in half and json.loads(half["witness"]) is None
    assert words == ([module.NETEM] if fault == module.BAD_LINK else [])
    assert plan_given["kill"] is False and set(plan_given["kinds"]) <= set(KINDS)
