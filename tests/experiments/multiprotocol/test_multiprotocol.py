"""The probes of the multiprotocol family on real systems and on the two controls."""

import json
import random
import shutil
import zlib
from types import SimpleNamespace

import pytest
from busy_machine import tried_again

from benchpaper.hosts.local import LocalHost
from benchpaper.hosts.probe import CAPABILITIES
from experiments.multiprotocol import record, replay, running, stacks
from experiments.multiprotocol.anomalies.kinds import KINDS
from experiments.multiprotocol.broken_store import DELAY_S
from experiments.multiprotocol.checker.check import check, overall
from experiments.multiprotocol.checker.history import from_operations
from experiments.multiprotocol.checker.search import LINEARIZABLE, VIOLATION
from experiments.multiprotocol.linearizability.experiment import judged
from experiments.multiprotocol.tradeoff.experiment import experiment as tradeoff
from experiments.multiprotocol.views import open_views
from experiments.multiprotocol.visibility.experiment import experiment as visibility
from experiments.systems import libnfs


def available(system):
    return all(CAPABILITIES[name].check()[0] for name in stacks.needs(system))


@pytest.fixture
def host(tmp_path):
    made = LocalHost(folder=tmp_path)
    yield made
    shutil.rmtree(tmp_path, ignore_errors=True)


def probed(host, system, setting="default", **plan):
    site = SimpleNamespace(server=host, client=host)
    return running.run(site, SimpleNamespace(system=system, setting=setting), 600, **plan)


def anomalies(host, system, **more):
    plan = dict(what="anomalies", tries=2, kind_s=0, seed=7, limit_s=60) | more
    said, outcome = probed(host, system, **plan)
    assert outcome == "ran"
    return {result["kind"]: result for result in said}


def test_the_right_store_is_clean(host):
    result_of = anomalies(host, stacks.LOCKED, tries=3)
    assert set(result_of) == set(KINDS)
    assert all(
        result["tries"] and not result["seen"] and not result["error"]
        for result in result_of.values()
    ), result_of


def test_every_injected_kind_is_caught_with_a_witness(host):
    result_of = anomalies(
        host, stacks.BROKEN, tries=20, kind_s=60, patience_s=0.5, once=True
    )  # a look may come late for 4 ms
    assert {
        kind for kind, result in result_of.items() if result["seen"] and result["witness"]
    } == set(KINDS)


def test_the_right_store_has_no_violation_in_100_000_operations(host):
    said, outcome = probed(
        host, stacks.LOCKED, what="history", clients=4, operations=25_000, keys=6, deletes=1, seed=3
    )
    assert outcome == "ran" and len(said) == 100_000
    assert overall(check(from_operations(enumerate(said, 1)))) == LINEARIZABLE


@tried_again(5)  # clients that never get their turn together see little of each other
def test_the_broken_store_is_not_linearizable(host):
    said, _ = probed(
        host, stacks.BROKEN, what="history", clients=4, operations=60, keys=2, deletes=0, seed=3
    )
    row = judged(said, bound_s=1.0)
    assert (
        row["violated_share"] == 1
        and "no order explains" in row["witness"]
        and row["stale_share"] > 0.1
    )
    assert overall(check(from_operations(enumerate(said, 1)))) == VIOLATION


def of_control(experiment, host, system):
    counts = SimpleNamespace(**experiment.scales["smoke"].counts)
    (row,) = experiment._trial(
        SimpleNamespace(system=system, setting="default"),
        SimpleNamespace(
            server=host, client=host, counts=counts, seed=1, block=SimpleNamespace(number=0)
        ),
    )
    return row


@tried_again(5)
def test_visibility_finds_the_delay_that_was_put_in(host):
    right, wrong = (of_control(visibility, host, system) for system in stacks.CONTROLS)
    for way in ("s3_to_file", "file_to_s3"):
        assert right[f"unseen_{way}"] == wrong[f"unseen_{way}"] == 0
        assert min(wrong[f"{way}_ms"]) > 1e3 * DELAY_S > min(right[f"{way}_ms"])


@tried_again(5)
def test_tradeoff_finds_the_staleness_that_was_put_in(host):
    right, wrong = (of_control(tradeoff, host, system) for system in stacks.CONTROLS)
    assert (
        wrong["stale_share"] == 1 and wrong["staleness_ms"] > 1e3 * DELAY_S > right["staleness_ms"]
    )


@pytest.mark.parametrize("system", [*stacks.SYSTEMS, *stacks.SECOND])
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
        assert file.stat("d/a")[0] == objects.head("d/a")[0] == 7
        assert abs(file.stat("d/b")[1] - objects.head("d/b")[2]) < 60
        file.rename("d/b", "d/c")
        file.append("d/c", b"!")
        assert (
            file.read("d/c") == b"from a file!"
            and file.read("d/b") is None
            and objects.get("d/nothing") is None
        )
        objects.delete("d/a")
        file.close()


@pytest.mark.parametrize("system", stacks.SECOND)
def test_the_second_client_carries_whole_files(host, system):
    if not available(system):
        pytest.skip(f"this machine cannot run {system}")
    content = random.Random(1).randbytes(300_001)
    with stacks.Stack(host, system, "strict") as described:
        file, _ = open_views(described)()
        file.make_folder("d/e")
        file.write("d/e/a", content)
        assert file.open("d/e/a")() == file.read("d/e/a") == content
        file.write_at("d/e/a", 299_000, b"!" * 1000)
        assert file.read("d/e/a") == content[:299_000] + b"!" * 1000 + content[-1:]
        file.write("d/e/a", b"short")
        assert file.read("d/e/a") == b"short" and file.stat("d/e/a")[0] == 5
        assert (
            file.names("d/e") == {"d/e/a"}
            and file.names("none") == set()
            and file.stat("none") is None
        )
        file.delete("d/e/a")
        with pytest.raises(FileNotFoundError, match="d/e"):
            file.append("d/e/a", b"more")
        file.close()


def test_a_libnfs_whose_calls_are_not_known_is_refused(monkeypatch):
    monkeypatch.setattr(libnfs, "find_library", lambda name: "libnfs.so.16")
    with pytest.raises(
        OSError, match="found libnfs.so.16, which must be one of libnfs.so.13, libnfs.so.14"
    ):
        libnfs.library()


REPLAYED = {
    "rclone": ["ignored_if_none_match", "two_winners", "stale_s3_read"],
    "juicefs": ["lost_update", "etag_missing"],
    "ganesha libnfs": ["listing_misses", "truncation_seen"],
}


@pytest.mark.parametrize("system", REPLAYED)
def test_a_witness_replays_on_a_fresh_server(host, system):
    if not available(system):
        pytest.skip(f"this machine cannot run {system}")
    seen = anomalies(host, system, kinds=REPLAYED[system], tries=20, kind_s=30, once=True)
    witnesses = {kind: result["witness"] for kind, result in seen.items()}
    assert all(witnesses.values()), seen
    site, cell = (
        SimpleNamespace(server=host, client=host),
        SimpleNamespace(system=system, setting="default"),
    )
    replayed = replay.again(site, cell, witnesses, tries=60, at_most_s=120)
    assert all(result["seen"] and result["alike"] for result in replayed.values()), replayed


@pytest.mark.skipif(not available("seaweedfs"), reason="this machine cannot run SeaweedFS")
def test_the_stored_witnesses_of_the_reference_replay_by_command(capsys):
    assert replay.main(["seaweedfs", "default", "lost_update", "--steps"]) == 0
    said = capsys.readouterr().out
    assert (
        "[1/1] seaweedfs, default, lost_update: replayed, try " in said
        and "put(a/lost_update/n" in said
    )
    assert "lost_update  1 of 1" in said and said.endswith(
        "1 of 1 witnesses replayed, of 1 of 1 kinds at least one\n"
    )


def test_what_the_replay_command_cannot_do_is_told(capsys, monkeypatch, tmp_path):
    with pytest.raises(SystemExit) as ended:
        replay.main(["seaweed"])
    assert ended.value.code == 2
    assert replay.main(["locked store"]) == 2 and "--list" in capsys.readouterr().err
    assert replay.main(["rclone", "--results", str(tmp_path)]) == 2
    assert replay.main(["broken store", "default", "lost_update", "--list"]) == 0
    monkeypatch.setattr(stacks, "needs", lambda system: ["gpu"])
    assert replay.main(["broken store", "default", "lost_update"]) == 1
    assert "not testable here: needs gpu" in capsys.readouterr().out


def test_a_kind_without_a_stored_witness_is_tried_afresh(capsys):
    assert replay.main(["saved_update_lost", "broken store", "--tries", "8", "--steps"]) == 0
    said = capsys.readouterr().out
    assert "severity silent loss" in said and "save(a/saved_update_lost/n" in said
    with pytest.raises(SystemExit):
        replay.main(["saved_update", "broken store"])
    assert 'did you mean "saved_update_lost"?' in capsys.readouterr().err
    with pytest.raises(SystemExit):
        replay.main(["lost_update", "put_undone"])
    assert '"put_undone" is a second kind' in capsys.readouterr().err
    assert replay.main(["put_undone", "locked store", "relaxed"]) == 2
    assert "locked store has no setting relaxed" in capsys.readouterr().err


def test_a_witness_that_does_not_replay_is_told(monkeypatch, capsys):
    monkeypatch.setattr(stacks, "BROKEN", "none")  # the store is made right
    assert replay.main(["broken store", "default", "lost_update", "--tries", "3"]) == 1
    assert "NOT REPLAYED in 3 tries" in capsys.readouterr().out


def test_a_witness_shows_what_was_torn_and_polled_and_left_open():
    class View:
        def get(self, key):
            return b"a" * 60 + b"b" * 60

        def open(self, key):
            return lambda: b"content"

        def upload(self, key, part, rest):
            yield
            yield

    steps = []
    view = record.Recorded(View(), "s3", steps)
    for _ in range(30):
        view.get("k")
    view.open("k")()
    assert len(list(view.upload("k", b"1", b"2"))) == 2
    shown = [step[3:] for step in record.summary(steps)]
    whole = View().get("k")
    assert shown[0] == [
        "get",
        ["k"],
        f"{'a' * 24}...{'b' * 24} (120 B, CRC {zlib.crc32(whole):08x})",
        30,
    ]
    assert [step[0] for step in shown[1:3]] == ["open", "open, then read"] and shown[2][
        2
    ] == "content"
    assert [step[0] for step in shown[3:]] == ["upload, step 1", "upload, step 2", "upload, step 3"]


def test_a_server_that_does_not_answer_is_a_result(host, monkeypatch):
    views = {
        "file": {"kind": "folder", "path": str(host.scratch())},
        "s3": dict(url="http://127.0.0.1:9", bucket="b", access_key="A", secret_key="S"),
    }
    monkeypatch.setattr(stacks.Stack, "__enter__", lambda self: views)
    said, outcome = probed(
        host,
        "rclone",
        what="anomalies",
        tries=2,
        kind_s=0,
        seed=1,
        limit_s=60,
        kinds=["ignored_if_match", "stale_s3_read"],
    )
    assert outcome == "ran" and all(result["tries"] == 0 and result["error"] for result in said), (
        said
    )
