"""Kinds of anomaly from public reports, seen on the systems that show them."""

import json
import re
import shutil
from types import SimpleNamespace

import pytest
from checkout import ROOT

from benchpaper.hosts.local import LocalHost
from benchpaper.hosts.probe import CAPABILITIES
from experiments.multiprotocol import broken_store, control_views, record, running, stacks
from experiments.multiprotocol.anomalies.kinds import CONFORMANCE, KINDS, LOSES
from experiments.multiprotocol.anomalies.tries import Try

SEEN_ON = {
    "rclone": ["several_winners", "get_ignores_if_match", "delete_ignores_if_match",
        "complete_ignores_if_none_match", "collide_slash", "copy_stale", "put_undone"],
    "juicefs": ["etag_missing", "names_invented", "directory_listed_otherwise",
        "complete_ignores_if_none_match", "collide_slash", "exclusive_twice", "lock_ignored"],
    "seaweedfs": ["listing_out_of_order", "metadata_lost", "names_invented", "collide_slash",
        "directory_listed_otherwise", "time_goes_back", "lost_update", "attribute_lost",
        "permissions_lost"],
    "ganesha": ["directory_gone", "permissions_lost"],
    "local files": ["truncation_seen"],
}  # fmt: skip
NOT_JUDGED_ON = {"juicefs": ["etag_unchanged", "attributes_disagree"]}  # its GET gives no ETag
# A way out: another way to write, or another setting.
AVOIDED = [("seaweedfs", "default", "saved_update_lost"), ("rclone", "strict", "put_undone")]
NOT_LOST = ["restart_loses", "broken_upload_destroys"]  # on any system that was tried


def tried(folder, system, setting, kinds):
    """Return {kind: its result} of up to five tries; skip what this machine cannot run."""
    if not all(CAPABILITIES[name].check()[0] for name in stacks.needs(system)):
        pytest.skip(f"this machine cannot run {system}")
    host = LocalHost(folder=folder)
    said, outcome = running.run(
        SimpleNamespace(server=host, client=host),
        SimpleNamespace(system=system, setting=setting),
        300,
        what="anomalies",
        tries=5,
        kind_s=30,
        seed=7,
        limit_s=120,
        once=True,
        kinds=kinds,
    )
    shutil.rmtree(folder, ignore_errors=True)
    assert outcome == "ran"
    return {result["kind"]: result for result in said}


@pytest.mark.parametrize("system", SEEN_ON)
def test_a_kind_is_seen_where_it_was_reported(system, tmp_path):
    unjudged = NOT_JUDGED_ON.get(system, [])
    results = tried(tmp_path, system, "default", SEEN_ON[system] + unjudged)
    assert [k for k, r in results.items() if r["seen"] and r["witness"]] == SEEN_ON[system], results
    levels = {kind: results[kind]["severity"]["level"] for kind in SEEN_ON[system]}
    assert {kind for kind, level in levels.items() if level == 6} == LOSES & levels.keys()
    assert not any(results[kind]["tries"] or results[kind]["error"] for kind in unjudged), results


@pytest.mark.parametrize("system, setting, kind", AVOIDED)
def test_a_way_out_avoids_the_kind(system, setting, kind, tmp_path):
    result = tried(tmp_path, system, setting, [kind])[kind]
    assert result["tries"] and not result["seen"], result


@pytest.mark.parametrize("system", ["rclone", "juicefs", "ganesha"])
def test_what_was_acknowledged_survives_a_killed_server_and_a_broken_upload(system, tmp_path):
    results = tried(tmp_path, system, "default", NOT_LOST)
    assert all(r["tries"] and not r["seen"] and not r["error"] for r in results.values()), results


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_only_conformance_leaves_the_file_side_alone(kind):
    """The broken store lets every kind go to its end."""
    store, steps = broken_store.Broken(), []
    views = (
        record.Recorded(control_views.File(store), "file", steps),
        record.Recorded(control_views.S3(store), "s3", steps),
    )
    KINDS[kind](Try(views, views, "a/folder", 1, large=1 << 17, restart=lambda: None))
    assert ("file" not in {side for _, _, side, *_ in steps}) == (kind in CONFORMANCE)


def test_the_notebook_sorts_out_the_same_kinds():
    notebook = json.loads((ROOT / "analysis" / "multiprotocol_anomalies.ipynb").read_text())
    code = "".join(line for cell in notebook["cells"] for line in cell["source"])
    listed = re.search(r"CONFORMANCE = \{(.*?)\}", code, re.DOTALL)[1]
    assert set(re.findall(r'"(\w+)"', listed)) == CONFORMANCE
