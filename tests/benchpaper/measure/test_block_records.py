"""What a record says of a trial, and what it must not say."""

import subprocess
import sys
import time

import pytest
from block_results import records, trials

from benchpaper import results
from benchpaper.hosts.agent.disturbances import COLUMNS
from benchpaper.hosts.fleet import Fleet
from benchpaper.measure import trial


def test_a_record_says_where_when_and_with_what_it_was_measured(make_toy, block_of):
    project = make_toy(
        "yield dict(latency_us=1.0)", more="experiment.uses(lambda: {'tool': '1.2'})"
    )
    begin = time.time()
    block = block_of(project)
    block.measure()
    (trial,) = trials(project)
    assert (trial["experiment"], trial["site"], trial["scale"], trial["seed"]) == (
        "toy/one",
        "local",
        "smoke",
        records(block)[0]["seed"],
    )
    assert begin - 1 < trial["started"].timestamp() < time.time() + 1 and 0 < trial["seconds"] < 20
    assert (
        0 <= trial["overhead_s"] < 60
        and trial["steal_s"] >= 0
        and trial["load_1m"] >= 0
        and trial["suspended_s"] < 1
    )
    assert (
        trial["tools"] == {"tool": "1.2"}
        and len(trial["code_digest"]) == len(trial["plan_digest"]) == 64
    )
    assert {"client.cpu", "client.kernel", "client.governor", "client.disk", "client.nic"} <= set(
        trial["hosts"]
    )
    assert (trial["git_commit"], trial["git_clean"]) == ("unknown", False)


def test_neither_a_guests_boot_nor_a_failed_attempt_counts_as_a_disturbance(
    make_toy, block_of, monkeypatch, tmp_path
):
    """Each step disturbs the machines by another amount: the boot, the attempt, the restoring."""
    stolen_s, flag = [0], tmp_path / "flag"

    def steps(amount, then=lambda *_: []):
        def step(*words):
            stolen_s[0] += amount
            return then(*words)

        return step

    def so_far(fleet):
        return {**dict.fromkeys(COLUMNS, 0.0), "steal_s": stolen_s[0], "load_1m": stolen_s[0]}

    monkeypatch.setattr(Fleet, "disturbances", so_far)
    monkeypatch.setattr(Fleet, "renew", steps(1000))
    monkeypatch.setattr(Fleet, "restore", steps(100))
    monkeypatch.setattr(trial, "attempt", steps(1, trial.attempt))
    body = f"""
        first = not os.path.exists({str(flag)!r})
        open({str(flag)!r}, "w").close()
        assert not first
        yield dict(latency_us=1.0)
    """
    fresh = "@experiment.needs\ndef needs(cell):\n    return ['fresh_kernel']"
    project = make_toy(body, attempts=2, more=fresh)
    block_of(project, present=["fresh_kernel"]).measure()
    (row,) = trials(project)
    assert row["state"] == results.MEASURED and len(row["attempts"]) == 2
    assert (row["steal_s"], row["load_1m"]) == (1, 1101)


def test_commit_and_whether_the_checkout_is_clean_are_recorded(make_toy, block_of):
    project = make_toy("yield dict(latency_us=1.0)", blocks=2)
    git = ["git", "-C", project.root, "-c", "user.name=x", "-c", "user.email=x@y"]
    (project.root / ".gitignore").write_text("results\n.benchpaper\n__pycache__\nbuild\n")
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "x"]):
        subprocess.run([*git, *words], check=True, capture_output=True)
    commit = subprocess.run(
        [*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True
    ).stdout.strip()
    block_of(project).measure()
    (project.root / "analysis" / "new").write_text("")
    block_of(project, number=1).measure()
    assert [
        (t["git_commit"], t["git_clean"]) for n in (0, 1) for t in trials(project, block=n)
    ] == [
        (commit, True),
        (commit, False),
    ]


def test_the_scratch_folder_is_empty_after_a_block(make_toy, block_of):
    project = make_toy("""
        (site.client.scratch() / "left").write_text("x")
        yield dict(latency_us=1.0)
    """)  # fmt: skip
    block_of(project).measure()
    assert list((project.state / "scratch").iterdir()) == []


SECRET = "hunter2-hunter2"


@pytest.mark.parametrize("body", [
    f"site.client.run(['true', '--password', {SECRET!r}])\nyield dict(latency_us=1.0, used='x')",
    ("site.client.run(['sh', '-c', 'echo cannot log in with $2 >&2; exit 1', 'sh', "
    f"'--password', {SECRET!r}])\nyield"),
    f"site.client.run(['sh', '-c', 'echo $0; exit 1', 'token={SECRET}'])\nyield",
    (f"site.client.start(['sh', '-c', 'echo $0', '--token={SECRET}']).wait()\nraise "
    f"ValueError({SECRET!r})\nyield"),
    "raise ValueError(os.environ['BENCHPAPER_TOKEN'])\nyield",
    "print(os.environ['BENCHPAPER_TOKEN'])\nos.kill(os.getpid(), 11)\nyield",
    "yield dict(latency_us=1.0, used='logged in with ' + os.environ['BENCHPAPER_TOKEN'])",
    f"yield dict(latency_us=1.0, used='http://alice:{SECRET}@127.0.0.1/')",
    (f"yield dict(latency_us=1.0, used={SECRET!r})\nsite.client.run(['true', "
    f"'--password', {SECRET!r}])"),
    "yield dict(latency_us=os.environ['BENCHPAPER_TOKEN'], used='x')",
])  # fmt: skip
def test_a_secret_is_in_no_file_and_no_message(make_toy, block_of, monkeypatch, body):
    monkeypatch.setenv("BENCHPAPER_TOKEN", SECRET)
    body = (
        "if cell.way == 'a':\n    "
        + body.replace("\n", "\n    ")
        + "\nelse:\n    yield dict(latency_us=1.0, used='x')"
    )
    project = make_toy(body, levels=["a", "b"], evidence='Evidence("used")')
    events = []
    block_of(project, report=lambda event, **facts: events.append(facts)).measure()
    written = [
        path
        for folder in (project.root / "results", project.state)
        for path in folder.rglob("*")
        if path.is_file()
    ]
    assert len(written) >= 3
    for path in written:
        assert SECRET.encode() not in path.read_bytes(), path
    for path in (
        results.block_file(project.results("local", "smoke") / "toy/one", 0, k)
        for k in (results.TRIALS, results.OBSERVATIONS)
    ):
        assert SECRET not in str(results.read(path)[0].to_pylist())
    assert SECRET not in str(events)


def test_paths_of_this_machine_are_in_no_file_and_no_message(make_toy, block_of):
    project = make_toy("""
        folder = site.client.scratch()
        site.client.run(["true", f"-I{site.programs}", f"--out={folder}/x", folder])
        open(f"{folder}/missing")
        yield
    """)  # fmt: skip
    events = []
    block_of(project, report=lambda event, **facts: events.append(facts)).measure()
    (trial,) = trials(project)
    assert "FileNotFoundError" in trial["reason"] and len(trial["commands"]) == 1
    texts = [
        str(trial),
        str(events),
        *(p.read_text() for p in (project.results("local", "smoke") / "toy/one/failed").iterdir()),
    ]
    for text in texts:
        assert str(project.root) not in text and sys.prefix not in text


def test_the_name_of_a_host_in_a_site_file_appears_in_no_result(make_toy, block_of):
    site = "hosts: [{name: wombat7, roles: [client]}]"
    project = make_toy("site.client.run(['false'])\nyield", files={"sites/lab.yaml": site})
    block_of(project, site="lab").measure()
    written = [path for path in project.results("lab", "smoke").rglob("*") if path.is_file()]
    assert len(written) == 5 and not [path for path in written if b"wombat7" in path.read_bytes()]
