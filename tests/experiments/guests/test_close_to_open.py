"""The experiment on the kernel's NFS client: two guests with a client each, and a server in one."""

import json
from types import SimpleNamespace

import pytest
from busy_machine import tried_again

from experiments.multiprotocol import staleness
from experiments.multiprotocol.close_to_open import experiment as module
from experiments.multiprotocol.stacks import Stack

WATCHED_S = 3
experiment = module.experiment


def measured(guests, system, changed_by):
    """Return {way: observation} of a trial."""
    site = SimpleNamespace(
        server=guests.host(1),
        client=guests.host(2, "client"),
        counts=SimpleNamespace(watched_s=WATCHED_S),
    )
    cell = SimpleNamespace(system=system, changed_by=changed_by)
    return {row["way"]: row for row in experiment._trial(cell, site)}


@pytest.mark.slow
@pytest.mark.parametrize("changed_by", [module.ANOTHER, module.BY_S3])
@tried_again(3)
def test_a_mount_without_caches_shows_the_change_and_its_bound(guests, changed_by):
    rows = measured(guests, "nfsd kernel noac", changed_by)
    assert set(rows) == set(staleness.WAYS)
    assert {row["documented_s"] for row in rows.values()} == {0}
    # By S3 the file is replaced, so that a descriptor shows what it was opened for.
    late = {way for way, row in rows.items() if row["unseen"]}
    assert late == ({"held"} if changed_by == module.BY_S3 else set())
    assert "noac" in json.loads(rows["size"]["mounted"])


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
    delays = {"size": 2.5, "absent": None}
    (size, absent) = module.rows(delays, {"vers": "4.2"}, 75)
    assert (size["delay_s"], size["unseen"], size["documented_s"]) == (2.5, 0, 60)
    assert "delay_s" not in absent and (absent["unseen"], absent["watched_s"]) == (1, 75)
    (size, absent) = module.rows(delays, {"acregmax": "1", "acdirmax": "2"}, 75)
    assert (size["documented_s"], absent["documented_s"]) == (1, 2)


def test_full_watches_for_longer_than_any_documented_delay():
    assert experiment.scales["full"].counts["watched_s"] > max(module.DEFAULTS_S.values())
