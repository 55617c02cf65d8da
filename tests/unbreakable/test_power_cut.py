"""The power goes after each write to the disk: whatever has its name then is whole.

A guest with a kernel of its own saves every kind of state on a file system below which
dm-log-writes records the writes. Then it mounts the disk as of each write, and reads it.
"""

import json
import os
from pathlib import Path

import pytest
import uml

SCRIPT = Path(__file__).parent / "guest" / "saved_states.py"
GUEST_TIMEOUT_S = 1800  # it takes a minute; a busy machine may need many
LEAST_POINTS = 200
# The suite cuts the power after every fourth write; with EVERY_WRITE=1 after each of almost 1,000.
EVERY = 1 if os.environ.get("EVERY_WRITE") else 4

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(uml.lacking()), reason=uml.lacking() or "no reason"),
]


def outcome(folder, how):
    printed = uml.run(SCRIPT, folder, how, str(EVERY), timeout=GUEST_TIMEOUT_S)
    path = folder / "outcome.json"
    assert path.exists(), printed
    report = json.loads(path.read_text())
    assert "error" not in report, report["error"]
    return report


def test_after_each_write_all_that_has_a_name_is_whole(tmp_path):
    report = outcome(tmp_path, "durable")
    assert report["points"] >= LEAST_POINTS and report["wrong"] == [], report


def test_without_flushes_the_same_power_cuts_do_damage(tmp_path):
    """The test above could not fail otherwise."""
    report = outcome(tmp_path, "careless")
    assert any("bytes that no step wrote" in text for text in report["wrong"]), report
