"""The lab: it comes up, serves a real experiment between two hosts, and leaves no trace."""

import os
import shutil
from pathlib import Path

import pytest

from benchpaper import results
from benchpaper.errors import UserError
from benchpaper.lab import Lab

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the lab needs root")


def traces(lab):
    return lab.namespaces() + [path.name for path in Path("/sys/class/net").glob(f"{lab.bridge}*")]


def test_up_with_a_limit_and_down_leave_no_trace(make_project, run_benchpaper):
    project = make_project({})
    lab = Lab(project)
    done = run_benchpaper(project, "lab", "up", "--hosts", 2, "--rate", "1gbit")
    try:
        assert done.returncode == 0 and len(lab.namespaces()) == 2, done.stderr
        again = run_benchpaper(project, "lab", "up")
        assert (again.returncode, again.stderr.strip()) == (
            2, 'benchpaper: there is a lab of this checkout already; "benchpaper lab down" removes it',
        )  # fmt: skip
        assert run_benchpaper(project, "lab", "status").stdout.count("processes") == 2
    finally:
        run_benchpaper(project, "lab", "down")
    assert not traces(lab) and not lab.folder.exists() and not lab.site_file.exists()


def test_a_lab_whose_making_failed_leaves_no_trace(make_project, monkeypatch):
    lab = Lab(make_project({}))
    monkeypatch.setattr(Lab, "_write_site", lambda *_: (_ for _ in ()).throw(UserError("no room")))
    with pytest.raises(UserError, match="no room"):
        lab.up(1)
    assert not traces(lab) and not lab.folder.exists()


@pytest.mark.skipif(not shutil.which("cc"), reason="its program is compiled")
def test_fabric_runs_between_two_hosts(lab, make_project, run_benchpaper):
    project = make_project({})
    for name in ("rdma/fabric", "systems"):
        shutil.copytree(ROOT / "experiments" / name, project.experiments / name)
    lab.site(project)
    done = run_benchpaper(project, "run", "rdma/fabric", "results", "--site", "lab", "--scale", "smoke", timeout=150)
    assert done.returncode == 0, done.stdout + done.stderr
    table, _ = results.read(project.results("lab", "smoke") / "rdma/fabric" / results.TRIALS)
    frame = table.to_pandas()
    measured = frame[frame["state"] == results.MEASURED]
    assert set(measured["transport"]) == {"tcp", "null"} and not (frame["state"] == results.FAILED).any()
    assert "needs shared_host" in set(frame["reason"])
