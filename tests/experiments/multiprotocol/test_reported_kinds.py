"""Kinds of anomaly from public reports, seen on the systems that show them."""

import json
import re
import shutil
from types import SimpleNamespace

import pytest
from checkout import ROOT

from benchpaper.hosts.local import LocalHost
from benchpaper.hosts.probe import CAPABILITIES
from experiments.multiprotocol import control, record, running, stacks
from experiments.multiprotocol.anomalies.kinds import CONFORMANCE, KINDS
from experiments.multiprotocol.anomalies.tries import Try

SEEN_ON = {
    "rclone": ["several_winners", "get_ignores_if_match", "delete_ignores_if_match",
        "complete_ignores_if_none_match", "collide_slash", "copy_stale"],
    "juicefs": ["etag_missing", "names_invented", "directory_listed_otherwise",
        "complete_ignores_if_none_match", "collide_slash"],
    "seaweedfs": ["listing_out_of_order", "metadata_lost", "names_invented", "collide_slash",
        "directory_listed_otherwise", "time_goes_back"],
    "ganesha": ["directory_gone"],
}  # fmt: skip
NOT_JUDGED_ON = {"juicefs": ["etag_unchanged", "attributes_disagree"]}  # its GET gives no ETag


@pytest.mark.parametrize("system", SEEN_ON)
def test_a_reported_kind_is_seen_where_it_was_reported(system, tmp_path):
    if not all(CAPABILITIES[name].check()[0] for name in stacks.needs(system)):
        pytest.skip(f"this machine cannot run {system}")
    host, unjudged = LocalHost(folder=tmp_path), NOT_JUDGED_ON.get(system, [])
    said, outcome = running.run(
        SimpleNamespace(server=host, client=host),
        SimpleNamespace(system=system, setting="default"),
        300,
        what="anomalies",
        tries=5,
        slow_tries=3,
        seed=7,
        limit_s=60,
        once=True,
        kinds=SEEN_ON[system] + unjudged,
    )
    shutil.rmtree(tmp_path, ignore_errors=True)
    assert outcome == "ran"
    assert [r["kind"] for r in said if r["seen"] and r["witness"]] == SEEN_ON[system], said
    assert not any(r["tries"] or r["error"] for r in said if r["kind"] in unjudged), said


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_only_conformance_leaves_the_file_side_alone(kind):
    """The broken store lets every kind go to its end."""
    store, steps = control.Broken(), []
    views = (
        record.Recorded(control.File(store), "file", steps),
        record.Recorded(control.S3(store), "s3", steps),
    )
    KINDS[kind](Try(views, views, "a/folder", 1, large=1 << 17))
    assert ("file" not in {side for _, _, side, *_ in steps}) == (kind in CONFORMANCE)


def test_the_notebook_sorts_out_the_same_kinds():
    notebook = json.loads((ROOT / "analysis" / "multiprotocol_anomalies.ipynb").read_text())
    code = "".join(line for cell in notebook["cells"] for line in cell["source"])
    listed = re.search(r"CONFORMANCE = \{(.*?)\}", code, re.DOTALL)[1]
    assert set(re.findall(r'"(\w+)"', listed)) == CONFORMANCE
