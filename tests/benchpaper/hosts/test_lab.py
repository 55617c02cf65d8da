"""The lab: it comes up, serves a real experiment between two hosts, and leaves no trace."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from checkout import ROOT

from benchpaper import results
from benchpaper.core.errors import UserError
from benchpaper.core.project import Project
from benchpaper.hosts.lab import owners
from benchpaper.hosts.lab.namespaces import Lab

pytestmark = [
    pytest.mark.slow,
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="the lab needs root"),
]


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
            2, ('benchpaper: there is a lab of this checkout already; "benchpaper lab down" '
               'removes it'),
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
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "experiments", project.experiments, dirs_exist_ok=True, ignore=ignored)
    lab.site(project)
    done = run_benchpaper(
        project, "run", "rdma/fabric", "results", "--site", "lab", "--scale", "smoke"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    table, _ = results.read(project.results("lab", "smoke") / "rdma/fabric" / results.TRIALS)
    frame = table.to_pandas()
    measured = frame[frame["state"] == results.MEASURED]
    assert (
        set(measured["transport"]) == {"tcp", "null"}
        and not (frame["state"] == results.FAILED).any()
    )
    assert "needs shared_host" in set(frame["reason"])


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_lab_whose_making_was_killed_is_swept_up_from_its_checkout_and_from_another(
    make_project, run_benchpaper, tmp_path, elsewhere
):
    project = make_project({})
    lab = Lab(project)
    command = [str(Path(sys.executable).with_name("benchpaper")), "lab", "up", "--hosts", "20"]
    making = subprocess.Popen(
        command, cwd=project.root, stdout=subprocess.DEVNULL, start_new_session=True
    )
    try:
        end = time.monotonic() + 120
        while len(lab.namespaces()) < 2:
            assert making.poll() is None and time.monotonic() < end
            time.sleep(0.01)
    finally:
        os.killpg(making.pid, signal.SIGKILL)
        making.wait()
    left = traces(lab)
    if elsewhere:
        for name in ("project2", "project2/experiments"):
            (tmp_path / name).mkdir()
        (tmp_path / "project2/Snakefile").write_text("")
        project = Project(tmp_path / "project2")
    done = run_benchpaper(project, "lab", "down")
    # The commands of other tests that run meanwhile may be quicker to sweep it up.
    said = f"the namespace {lab.namespace(1)}" in done.stdout
    assert done.returncode == 0 and (said or "PYTEST_XDIST_WORKER" in os.environ), done.stderr
    assert left and not traces(lab) and not lab.folder.exists() and lab.mark not in owners.roots()


def test_a_lab_in_use_is_left_alone_by_others_until_its_checkout_is_gone(
    make_project, tmp_path, monkeypatch
):
    monkeypatch.setattr(owners, "FOLDER", tmp_path / "labs")
    root = make_project({}).root
    for of_process in (True, False):
        owners.note("012345", root, of_process)
        assert owners.roots() == {"012345": root} and owners.abandoned() == []
    shutil.rmtree(root)
    assert owners.abandoned() == [root]
    owners.note("012345", root, of_process=True)
    assert owners.abandoned() == []
    monkeypatch.setattr(owners, "_begun", lambda pid: 1)  # another process has the id by now
    assert owners.abandoned() == [root]
