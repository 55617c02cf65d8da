"""Servers that fail, and capabilities that vanish or are missing."""

import json
import re
import shutil

import pytest
from checkout import ROOT
from toy_runs import begun, notebook, refused_in_one_line, trial_table

from benchpaper import results

pytestmark = pytest.mark.slow

# ---- what goes wrong while measuring ----

SERVER = """
import socket, sys, time
way, address, port = sys.argv[1:]
if way == "silent":
    time.sleep(60)
listener = socket.create_server((address, int(port)))
print("ready", flush=True)
caller, _ = listener.accept()
caller.recv(100)
if way == "dies":
    sys.exit("panic: out of luck")
caller.sendall(b"\\xff\\x00?!\\n" if way == "garbage" else b"pong\\n")
"""


CALLING = """
    way, port = cell.way, site.server.free_port()
    if way == "first":  # both attempts of the block that is measured first, each in its own way
        way = {1: "dies", 2: "garbage"}.get(begun(site.seed), "good")
    if way == "taken":
        taken = socket.create_server((site.server.address, port))
    program = Path(__file__).with_name("server.py")
    command = [sys.executable, "-u", program, way, site.server.address, port]
    with site.server.start(command) as server:
        server.read_line(timeout=15.0 if way != "silent" else 0.2)
        with socket.create_connection((site.server.address, port), timeout=15) as connection:
            connection.sendall(b"ping")
            answer = connection.recv(100)
    if answer != b"pong\\n":
        raise RuntimeError(f"the server answered {answer}")
    yield dict(latency_us=1.0 + site.seed % 5)
"""


BEGUN = """
def begun(seed):
    (PROJECT / "firsts").open("a").write("x")
    return len((PROJECT / "firsts").read_text())
"""


SAVING_ALL = """
for way in ("good", "first", "dies", "garbage", "silent", "taken"):
    exhibits.number(f"latency-{way}", results.estimate("latency_us", way=way))
"""


def test_servers_that_fail_make_failed_trials_that_every_stage_shows_and_none_averages_in(
    make_toy, run_benchpaper
):
    ways = ["good", "first", "dies", "garbage", "silent", "taken"]
    files = {
        "experiments/toy/one/server.py": SERVER, "analysis/toy_one.ipynb": notebook(SAVING_ALL),
        "analysis/claims.py": "",
    }  # fmt: skip
    project = make_toy(CALLING, levels=ways, blocks=2, attempts=2, more=BEGUN, files=files)
    done = run_benchpaper(project, "run", "figures", "--scale", "quick")
    assert done.returncode == 0, done.stdout + done.stderr
    said = "^toy/one: 3 trials measured, 5 trials failed, 4 trials not tried again, in 2 blocks$"
    assert re.search(said, done.stdout, re.M), done.stdout
    table = {way: [t for t in trial_table(project) if t["way"] == way] for way in ways}
    expected = {
        "dies": "the server answered b''", "garbage": "the server answered b'\\xff\\x00?!\\n'",
        "silent": "on server printed nothing for 0.2 s; it said nothing",
        "taken": "before it answered; it said: .*Address already in use",
    }  # fmt: skip
    for way, reason in expected.items():
        assert [t["state"] for t in table[way]] == ["failed"] * 2
        table[way].sort(key=lambda trial: len(trial["attempts"]))
        skipped, tried = table[way]  # the blocks may be measured in any order
        assert not skipped["attempts"]
        assert skipped["reason"].startswith("not tried again: all 2 attempts in block ")
        assert [a["outcome"] for a in tried["attempts"]] == ["failed"] * 2
        assert reason in tried["reason"] or re.search(reason, tried["reason"]), tried["reason"]
        assert sum(a["seconds"] for a in tried["attempts"]) < 30
        assert f"failed: {tried['reason']}" in done.stdout
    table["first"].sort(key=lambda trial: trial["state"])  # the blocks may be measured in any order
    assert [trial["state"] for trial in table["first"]] == ["failed", "measured"]
    assert [trial["state"] for trial in table["good"]] == ["measured"] * 2
    logs = [
        path.read_text()
        for path in (project.results("local", "quick") / "toy/one/failed").iterdir()
    ]
    assert len(logs) == 2 * 5 and sum("panic: out of luck" in log for log in logs) == 3
    exhibits = json.loads(
        (project.build("local", "quick") / "exhibits/toy_one/exhibits.json").read_text()
    )["exhibits"]
    assert {way: (exhibits[f"latency-{way}"]["n"],
        exhibits[f"latency-{way}"]["failed"]) for way in ways} == {
        "good": (2, 0), "first": (1, 1), **dict.fromkeys(expected, (0, 1)),
    }  # fmt: skip
    for way in expected:
        assert exhibits[f"latency-{way}"]["value"] is None
    assert exhibits["latency-first"]["value"] == 1.0 + table["first"][1]["seed"] % 5
    explained = run_benchpaper(project, "explain", "latency-first", "--scale", "quick").stdout
    assert "1 failed, 1 measured" in explained or "1 measured, 1 failed" in explained
    explained = run_benchpaper(project, "explain", "latency-dies", "--scale", "quick").stdout
    assert "1 failed" in explained and "1 not tried again" in explained, explained
    unknown = run_benchpaper(project, "explain", "latncy-dies")
    refused_in_one_line(unknown, 'exhibit "latncy-dies" not found; did you mean "latency-dies"?')


LAMP = """
from benchpaper.hosts import probe

@probe.capability("lamp", "light", "light the lamp")
def _lamp():
    return (PROJECT / "lamp").exists(), "it is out"

experiment.needs(lambda cell: ["lamp"] if cell.way in ("b", "c") else [])
"""


DARKENING = """
    if cell.way in ("b", "c"):
        if not (PROJECT / "matches").exists():
            (PROJECT / "lamp").unlink()
        open(PROJECT / "lamp").read()
    yield dict(latency_us=1.0)
"""


def test_a_capability_that_vanishes_in_a_run_fails_nothing_and_is_tried_again_when_it_is_back(
    make_toy, run_benchpaper
):
    project = make_toy(DARKENING, levels=["a", "b", "c"], attempts=2, more=LAMP, files={"lamp": ""})
    done = run_benchpaper(project, "run", "results")
    assert done.returncode == 0 and "toy/one: " in done.stdout and "failed," not in done.stdout
    first, second = sorted(
        (t for t in trial_table(project) if t["way"] != "a"), key=lambda t: t["position"]
    )
    assert first["state"] == second["state"] == results.NOT_TESTABLE
    assert (
        first["reason"] == "needs lamp (it is out), which vanished during the run"
        and len(first["attempts"]) == 2
    )
    assert second["reason"] == "needs lamp" and second["attempts"] == []
    assert (
        "1 trials not testable here: needs lamp (it is out), which vanished during the run"
        in done.stdout
    )
    for name in ("lamp", "matches"):
        (project.root / name).write_text("")
    done = run_benchpaper(project, "run", "results")
    assert done.returncode == 0 and "toy/one: 3 trials measured" in done.stdout, done.stdout
    assert len(begun(project)) == 1 + 2 + 2


def test_without_a_c_compiler_the_run_succeeds_and_says_what_is_missing(
    make_project, run_benchpaper, tmp_path
):
    project = make_project({})
    shutil.rmtree(project.experiments)
    shutil.rmtree(project.analysis)
    for folder in ("experiments", "analysis"):
        shutil.copytree(
            ROOT / folder, project.root / folder, ignore=shutil.ignore_patterns("__pycache__")
        )
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("bash", "sh", "git", "ip", "env", "uname", "which"):
        if program := shutil.which(name):
            (programs / name).symlink_to(program)
    done = run_benchpaper(project, "run", "rdma/fabric", "--scale", "smoke", PATH=str(programs))
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^rdma/fabric: \d+ trials not testable here, in 2 blocks$", done.stdout, re.M)
    assert re.search(r"^    \d+ trials not testable here: needs cc", done.stdout, re.M), done.stdout
    built = json.loads((project.programs("rdma/fabric") / "built.json").read_text())
    assert built == {"built": False, "missing": ["cc"]}
    manifest = project.build("local", "smoke") / "exhibits/rdma_fabric/exhibits.json"
    exhibits = json.loads(manifest.read_text())["exhibits"]
    assert "needs cc" in exhibits["fabric-latency"]["missing"]
    assert all(entry["missing"] for entry in exhibits.values() if entry["cells"])
