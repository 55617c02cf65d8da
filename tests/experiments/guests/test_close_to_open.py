"""The experiment on the kernel's NFS client: two guests with a client each, and a server in one."""

import itertools
import json
import subprocess
import sys
from types import SimpleNamespace

import pytest
from busy_machine import tried_again

from experiments.multiprotocol import staleness
from experiments.multiprotocol.close_to_open import experiment as module
from experiments.multiprotocol.stacks import Stack

WATCHED_S = 3
experiment = module.experiment


@pytest.mark.slow
@tried_again(3)
def test_each_mount_shows_both_changes_and_its_bound(guests):
    site = SimpleNamespace(
        server=guests.host(1),
        client=guests.host(2, "client"),
        counts=SimpleNamespace(watched_s=WATCHED_S),
    )
    cell = SimpleNamespace(system="nfsd kernel")
    rows = {
        (row["mount"], row["changed_by"], row["way"]): row for row in experiment._trial(cell, site)
    }
    mounts = module.mounts_of("nfsd kernel")
    assert rows.keys() == set(itertools.product(mounts, module.CHANGED_BY, staleness.WAYS))
    noac = {key[1:]: row for key, row in rows.items() if key[0] == "noac"}
    assert {row["documented_s"] for row in noac.values()} == {0}
    # By S3 the file is replaced, so that a descriptor shows what it was opened for.
    assert {key for key, row in noac.items() if row["unseen"]} == {(module.BY_S3, "held")}
    assert "noac" in json.loads(noac[module.ANOTHER, "size"]["mounted"])
    assert rows["actimeo=1", module.ANOTHER, "size"]["documented_s"] == 1
    assert rows["ordinary", module.ANOTHER, "size"]["documented_s"] == 60


CACHED = """
echo old > "$0/a"; stat "$1/a" > /dev/null
echo newer > "$0/a"; stat --format %s "$1/a"
"""  # at once, so that nothing expires on a busy machine


@pytest.mark.slow
@tried_again(3)
def test_only_mounts_that_share_no_cache_differ(guests, shell):
    """What one mount has cached, the other one shows too; a mount apart does not even ask."""
    seen = {}
    for system in ("nfsd kernel two mounts", "nfsd kernel two mounts nosharecache"):
        server, client = guests.host(1), guests.host(2, "client")
        with Stack(server, system, "default", client=client) as described:
            seen[system.rpartition(" ")[2]] = shell(client, CACHED, *described["file"]["paths"])
    assert seen == {"mounts": "6", "nosharecache": "4"}


def test_the_bound_is_the_kernels_default_or_what_the_mount_says():
    delays = [["s3", "ordinary", "size", 2.5], ["s3", "short", "absent", None]]
    mounted = {"ordinary": {"vers": "4.2"}, "short": {"acregmax": "1", "acdirmax": "2"}}
    (size, absent) = module.rows(delays, mounted, 75)
    assert (size["delay_s"], size["unseen"], size["documented_s"]) == (2.5, 0, 60)
    assert "delay_s" not in absent and (absent["unseen"], absent["watched_s"]) == (1, 75)
    assert absent["documented_s"] == 2


@pytest.mark.parametrize(
    "delay, watched_s, overdue",
    [(59.0, 75, 0), (60.9, 75, 0), (61.5, 75, 1), (None, 75, 1), (None, 4, None)],
)
def test_what_shows_for_longer_than_documented_is_overdue(delay, watched_s, overdue):
    """What was not seen in a short watch may still be in time."""
    (row,) = module.rows([["s3", "ordinary", "size", delay]], {"ordinary": {}}, watched_s)
    assert row.get("overdue") == overdue


def test_a_watcher_tells_changes_apart_by_who_made_them(tmp_path):
    folders = {by: {"one": str(tmp_path / by), "two": str(tmp_path / by)} for by in ("a", "b")}
    for by in folders:
        staleness.prepare(tmp_path / by)
    program = [sys.executable, "-m", staleness.__name__]
    with subprocess.Popen(
        [*program, "watch", json.dumps(folders), "0.2", "127.0.0.1"], stdout=-1, text=True
    ) as watcher:
        port = json.loads(watcher.stdout.readline())["port"]
        staleness.change(tmp_path / "a", "a", "127.0.0.1", port)
        staleness._change("b", "127.0.0.1", port, lambda way: None)  # b changes nothing
        delays = json.loads(watcher.stdout.readline())
    seen = {(by, mount, way) for by, mount, way, delay in delays if delay is not None}
    assert seen == set(itertools.product("a", ("one", "two"), staleness.WAYS))
    assert len(delays) == 2 * len(seen)


def test_full_watches_for_longer_than_any_documented_delay():
    assert experiment.scales["full"].counts["watched_s"] > max(module.DEFAULTS_S.values())
