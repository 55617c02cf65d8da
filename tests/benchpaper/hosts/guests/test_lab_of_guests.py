"""`benchpaper lab up --guests`: an experiment runs on guests, and nothing is left of them."""

import os
from pathlib import Path

import pytest
import yaml

from benchpaper import results
from benchpaper.core.project import Project
from benchpaper.hosts import guest_kernel
from benchpaper.hosts.lab.namespaces import Lab
from benchpaper.workflow.pipeline import Pipeline

NOT_HERE = guest_kernel.lacking()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(NOT_HERE), reason=f"no guests here: {NOT_HERE}"),
]
IS_ROOT = os.geteuid() == 0

NEEDS = """
@experiment.needs
def needs(cell):
    return ["fresh_kernel"] if cell.way in ("c", "d") else ["own_kernel"]
"""
BODY = """
import os
FRESH = ("c", "d")  # the second of them finds used guests
server, client = site.server, site.client
assert server.run(["uname", "-r"]).stdout.strip() != os.uname().release
with server.start(["sh", "-c", "echo ready; exec sleep 1000"]) as process:
    assert process.read_line(60) == "ready"
    if cell.way in FRESH:
        assert server.run(["ls", "/srv"]).stdout == client.run(["ls", "/srv"]).stdout == ""
    for host in (server, client):
        host.run(["touch", "/srv/used"])
    if cell.way == "b":
        client.run(["sh", "-c", "echo c > /proc/sysrq-trigger"])  # a kernel panic
    yield dict(latency_us=float(client.facts()["cpus"]))
"""


@pytest.fixture
def project(make_toy):
    made = make_toy(BODY, levels=("a", "b", "c", "d"), timeout_s=120.0)
    path = made.root / "experiments/toy/one/experiment.py"
    roles = 'roles=("server", "client"), '
    text = path.read_text().replace("    attempts=", f"    {roles}attempts=", 1)
    path.write_text(text + NEEDS)
    return made


def links(lab):
    return [path.name for path in Path("/sys/class/net").glob(f"{lab.bridge}*")]


def test_a_block_boots_guests_once_measures_on_them_and_a_panic_fails_one_trial(
    project, run_benchpaper
):
    lab = Lab(project)
    done = run_benchpaper(project, "lab", "up", "--guests", 2)
    try:
        assert done.returncode == 0 and bool(links(lab)) == IS_ROOT, done.stderr
        again = run_benchpaper(project, "lab", "up", "--guests", 1)
        assert (again.returncode, again.stderr.count("\n")) == (2, 1)
        entries = yaml.safe_load(lab.site_file.read_text())["hosts"]
        assert [entry["kind"] for entry in entries] == ["uml", "uml"]
        assert all(("tap" in entry) == IS_ROOT for entry in entries)
        status = run_benchpaper(project, "lab", "status").stdout
        assert all(f"{entry['name']}  {entry['address']}" in status for entry in entries)
        pipeline = Pipeline(project, "lab", "smoke", 1)
        assert pipeline.block("toy/one", 0).measure() == 4
        table, _ = results.read(pipeline.block("toy/one", 0).files[1])
        rows = {row["way"]: row for row in table.to_pylist()}
        assert [rows[way]["state"] for way in "acd"] == ["measured"] * 3, [
            row["reason"] for row in rows.values()
        ]
        assert rows["b"]["state"] == "failed"
        assert "Kernel panic" in rows["b"]["reason"], rows["b"]
        assert dict(rows["a"]["hosts"])["server.virtualised"] == "User-Mode Linux"
    finally:
        run_benchpaper(project, "lab", "down")
    assert not links(lab) and not lab.folder.exists() and not lab.site_file.exists()


@pytest.mark.skipif(not IS_ROOT, reason="only root's guests have interfaces here")
def test_a_second_lab_takes_another_subnet_and_survives_the_end_of_the_first(tmp_path):
    labs = []
    for name in ("one", "two"):
        (tmp_path / name / "experiments").mkdir(parents=True)
        (tmp_path / name / "Snakefile").touch()
        labs.append(Lab(Project(tmp_path / name)))
        labs[-1]._first_subnet = labs[0]._first_subnet  # as two checkouts' may be by chance
    first, second = labs
    try:
        for lab in labs:
            lab.up(0, guests=1, kept=False)
        assert first.subnet != second.subnet
        first.down()
        assert not links(first) and len(links(second)) == 2 and second.exists()
    finally:
        for lab in labs:
            lab.down()
    assert not links(second)


@pytest.mark.parametrize("count", [-1, 99])
def test_a_number_of_guests_out_of_bounds_is_refused(project, run_benchpaper, count):
    done = run_benchpaper(project, "lab", "up", "--guests", count)
    assert (done.returncode, done.stderr) == (
        2,
        f"benchpaper: --guests {count} is not in 1 to 50\n",
    )


def test_hosts_need_root_and_guests_do_not(project, run_benchpaper, monkeypatch):
    from benchpaper.core.errors import UserError

    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    lab = Lab(project)
    with pytest.raises(UserError, match="needs root"):
        lab.up(1, guests=1)
    with pytest.raises(UserError, match="--rate limits interfaces of this machine"):
        lab.up(0, "1gbit", guests=1)
    assert not lab.exists()
    lab.up(0, guests=3)
    assert len(lab.guests()) == 3 and not lab.needs_root()
    assert "tap" not in lab.site_file.read_text()
    lab.down()
    assert not lab.exists() and not lab.site_file.exists()
