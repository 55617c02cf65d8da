"""Whom an anomaly is attributed to, by its kind's tries over one protocol."""

import shutil
import threading
from types import SimpleNamespace

import pytest

from benchpaper.hosts.local import LocalHost
from experiments.multiprotocol import control, control_views, running, stacks, views
from experiments.multiprotocol.anomalies import attribution
from experiments.multiprotocol.anomalies.attribution import (
    EACH_ALONE,
    FILE_ALONE,
    PAIR,
    S3_ALONE,
    UNKNOWN,
    Solo,
    described,
    totals,
    word,
)
from experiments.multiprotocol.anomalies.kinds import CONFORMANCE
from experiments.multiprotocol.single_door import (
    FilesAsObjects,
    InexpressibleError,
    ObjectsAsFiles,
)

CLEAN, SEEN = Solo(tries=3, seen=0), Solo(tries=3, seen=1)
NO_WORDS, NOT_JUDGED = Solo(tries=0, seen=0, expressible=False), Solo(tries=0, seen=0)


@pytest.mark.parametrize(
    "s3, file, due_to",
    [
        (CLEAN, CLEAN, PAIR),
        (SEEN, CLEAN, S3_ALONE),
        (CLEAN, SEEN, FILE_ALONE),
        (SEEN, SEEN, EACH_ALONE),
        (SEEN, NOT_JUDGED, S3_ALONE),
        (NO_WORDS, CLEAN, PAIR),
        (NO_WORDS, NO_WORDS, PAIR),
        (NOT_JUDGED, CLEAN, UNKNOWN),
        (NO_WORDS, NOT_JUDGED, UNKNOWN),
    ],
)
def test_what_one_protocol_shows_alone_is_no_fault_of_the_pair(s3, file, due_to):
    assert word(False, {"s3": s3, "file": file}) == due_to
    assert word(True, {"s3": s3, "file": file}) == S3_ALONE


def test_without_solo_tries_nothing_is_attributed():
    assert described(False, {})["word"] == UNKNOWN and described(True, {})["word"] == S3_ALONE


def test_what_a_put_means_is_not_blamed_on_s3():
    """A PUT replaces an object's metadata; only a file write should not."""
    kinds = []

    def try_kind(result, *_):
        kinds.append(result["kind"])
        result["tries"] += 1

    store = control.Store()
    solos = attribution.Solos(
        lambda: (control_views.File(store), control_views.S3(store)), try_kind, limit_s=60
    )
    tried = solos.tried("metadata_lost", range(2))
    assert [tried[protocol]["expressible"] for protocol in ("s3", "file")] == [False, True]
    assert kinds == ["metadata_lost"]


def test_solo_tries_that_hang_are_not_told_apart_and_the_next_get_new_connections():
    opened, release = [], threading.Event()
    store = control.Store()

    def new():
        opened.append(1)
        return control_views.File(store), control_views.S3(store)

    def try_kind(result, *_):
        release.wait()

    solos = attribution.Solos(new, try_kind, limit_s=0.05)
    tried = solos.tried("stale_file_read", range(2))
    release.set()
    assert described(False, {"solos": tried})["word"] == UNKNOWN
    assert len(opened) == 8


def test_a_server_that_is_gone_is_not_told_apart():
    def new():
        raise ConnectionRefusedError

    assert attribution.Solos(new, None, limit_s=60).tried("stale_file_read", range(2)) == {}


def test_a_kind_that_each_side_shows_counts_for_both():
    due = {word: {"word": word} for word in (S3_ALONE, FILE_ALONE, EACH_ALONE, PAIR, UNKNOWN)}
    assert totals(due) == {"kinds_of_s3": 2, "kinds_of_file": 2, "kinds_of_pair": 1}


def pairs_of(store):
    return views.solos(lambda: (control_views.File(store), control_views.S3(store)))


@pytest.mark.parametrize("protocol", ["s3", "file"])
def test_both_views_of_solo_tries_speak_one_protocol(protocol):
    store = control.Store()
    (file, objects), (file2, objects2) = pairs_of(store)[protocol]
    file.write("a/x", b"1")
    assert objects.get("a/x")[0] == file2.read("a/x") == b"1"
    objects2.put("a/y", b"22")
    assert file.stat("a/y")[0] == objects.head("a/y")[0] == 2
    assert file.names("a") == objects.names("a/") == {"a/x", "a/y"}
    objects.delete("a/x")
    objects.delete("a/x")
    assert (
        file.read("a/x") is objects.get("a/x") is file.stat("a/x") is objects2.head("a/x") is None
    )


def test_a_folder_of_objects_shows_what_is_deeper_by_its_first_part():
    store = control.Store()
    objects = control_views.S3(store)
    for key in ("a/b/1", "a/b/2", "a/c", "d"):
        objects.put(key, b"")
    assert ObjectsAsFiles(objects).names("a") == {"a/b", "a/c"}
    assert ObjectsAsFiles(objects).top() == {"a", "d"}


class Tree:
    """Files, and folders of names, as a mount lists them."""

    def read(self, name):
        return b""

    def stat(self, name):
        return 0, 0.0

    def names(self, folder):
        return {"a": {"a/b"}, "a/b": {"a/b/1"}}.get(folder, set())


@pytest.mark.parametrize(
    "ask",
    [
        lambda objects: objects.put("a", b"", create=True),
        lambda objects: objects.put("a", b"", tag='"1"'),
        lambda objects: not objects.head("a")[1],
        lambda objects: objects.get("a")[1] == objects.get("a")[1],
        lambda objects: objects.upload("a", b"", b""),
        lambda objects: objects.names("a/"),
        lambda objects: objects.an_operation_of_a_later_kind("a"),
    ],
)
def test_what_files_have_no_words_for_is_refused(ask):
    with pytest.raises(InexpressibleError):
        ask(FilesAsObjects(Tree()))


@pytest.mark.parametrize("name", ["rename", "append", "write_at", "open", "make_folder"])
def test_what_objects_have_no_words_for_is_refused(name):
    with pytest.raises(InexpressibleError):
        getattr(ObjectsAsFiles(control_views.S3(control.Store())), name)


def attributed(folder, kinds, **more):
    """Return {kind: word} of the broken store."""
    host = LocalHost(folder=folder)
    plan = dict(tries=20, kind_s=60, once=True, seed=7, limit_s=60, attribute=True) | more
    said, outcome = running.run(
        SimpleNamespace(server=host, client=host),
        SimpleNamespace(system=stacks.BROKEN, setting="default"),
        600,
        what="anomalies",
        kinds=kinds,
        **plan,
    )
    shutil.rmtree(folder, ignore_errors=True)
    assert outcome == "ran"
    return {
        result["kind"]: described(result["kind"] in CONFORMANCE, result)["word"]
        for result in said
        if result["seen"]
    }


def test_the_broken_stores_faults_are_told_apart(tmp_path):
    """Its sides hide changes from each other alone; each PUT of much data arrives in pieces."""
    due = {
        "stale_file_read": PAIR,
        "stale_s3_read": PAIR,
        "lost_update": S3_ALONE,  # it ignores If-Match
        "half_written": EACH_ALONE,  # files arrive in pieces as well
        "ignored_if_match": S3_ALONE,
        "etag_unchanged": PAIR,
        "rename_half_done": FILE_ALONE,
    }
    assert attributed(tmp_path, list(due)) == due
