"""The probes of the multiprotocol family on real systems and on the two controls."""

import json
import shutil
from types import SimpleNamespace

import pytest

from benchpaper.hosts.local import LocalHost
from benchpaper.hosts.probe import CAPABILITIES
from experiments.multiprotocol import replay, running, stacks
from experiments.multiprotocol.anomalies.kinds import KINDS
from experiments.multiprotocol.checker.check import check, overall
from experiments.multiprotocol.checker.history import from_operations
from experiments.multiprotocol.checker.search import LINEARIZABLE, VIOLATION
from experiments.multiprotocol.linearizability.experiment import judged
from experiments.multiprotocol.views import open_views


def available(system):
    return all(CAPABILITIES[name].check()[0] for name in stacks.needs(system))


@pytest.fixture
def host(tmp_path):
    made = LocalHost(folder=tmp_path)
    yield made
    shutil.rmtree(tmp_path, ignore_errors=True)


def probed(host, system, setting="default", **asked):
    site = SimpleNamespace(server=host, client=host)
    return running.run(site, SimpleNamespace(system=system, setting=setting), 60, **asked)


def anomalies(host, system, **more):
    asked = dict(what="anomalies", tries=2, slow_tries=1, seed=7, limit_s=20) | more
    said, outcome = probed(host, system, **asked)
    assert outcome == "ran"
    return {found["kind"]: found for found in said}


def test_the_right_store_is_clean(host):
    found = anomalies(host, stacks.LOCKED, tries=3)
    assert set(found) == set(KINDS)
    assert all(one["tries"] and not one["seen"] and not one["error"] for one in found.values()), found


def test_every_injected_kind_is_caught_with_a_witness(host):
    found = anomalies(host, stacks.BROKEN)
    assert {kind for kind, one in found.items() if one["seen"] and one["witness"]} == set(KINDS)


def test_the_right_store_has_no_violation_in_100_000_operations(host):
    said, outcome = probed(host, stacks.LOCKED, what="history", clients=4, operations=25_000, keys=6, deletes=1, seed=3)
    assert outcome == "ran" and len(said) == 100_000
    assert overall(check(from_operations(enumerate(said, 1)))) == LINEARIZABLE


def test_the_broken_store_is_not_linearizable(host):
    said, _ = probed(host, stacks.BROKEN, what="history", clients=4, operations=60, keys=2, deletes=0, seed=3)
    found = judged(said)
    assert found["violated_share"] == 1 and "no order explains" in found["witness"] and found["stale_share"] > 0.1
    assert overall(check(from_operations(enumerate(said, 1)))) == VIOLATION


@pytest.mark.parametrize("system", stacks.SYSTEMS)
def test_both_views_show_the_same_data(host, system):
    if not available(system):
        pytest.skip(f"this machine cannot run {system}")
    with stacks.Stack(host, system, "strict") as described:
        assert json.loads(json.dumps(described)) == described
        file, objects = open_views(described)()
        file.make_folder("d")
        objects.put("d/a", b"from S3")
        file.write("d/b", b"from a file")
        assert file.read("d/a") == b"from S3" and objects.get("d/b")[0] == b"from a file"
        assert file.names("d") == objects.names("d/") == {"d/a", "d/b"}
        assert file.stat("d/a")[0] == objects.head("d/a")[0] == 7 and abs(file.stat("d/b")[1] - objects.head("d/b")[2]) < 5
        file.rename("d/b", "d/c")
        file.append("d/c", b"!")
        assert file.read("d/c") == b"from a file!" and file.read("d/b") is None and objects.get("d/nothing") is None
        objects.delete("d/a")
        file.close()


@pytest.mark.parametrize("system, kind", [("seaweedfs", "lost_update"), ("juicefs", "ignored_if_match"), ("rclone", "ignored_if_none_match")])
def test_what_was_seen_replays_on_a_fresh_server(host, system, kind):
    if not available(system):
        pytest.skip(f"this machine cannot run {system}")
    found = replay.replay(host, system, "default", kind, tries=3)
    assert found["seen"] and found["witness"][-1][3] == "put", found


def test_a_server_that_does_not_answer_is_a_result(host, monkeypatch):
    views = {"file": {"kind": "folder", "path": str(host.scratch())}, "s3": dict(url="http://127.0.0.1:9", bucket="b", access_key="A", secret_key="S")}
    monkeypatch.setattr(stacks.Stack, "__enter__", lambda self: views)
    said, outcome = probed(host, "rclone", what="anomalies", tries=2, slow_tries=1, seed=1, limit_s=5, kinds=["ignored_if_match", "stale_s3_read"])
    assert outcome == "ran" and all(one["tries"] == 0 and one["error"] for one in said), said
