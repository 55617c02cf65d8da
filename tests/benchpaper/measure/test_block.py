"""One block: attempts, failures that stay visible, resuming, and what each trial's record says."""

import json
import os
import subprocess
import sys
import time

import pytest

from benchpaper import results


def records(block):
    return [json.loads(line) for line in block.journal_path.read_text().splitlines()]


def trials(project, scale="smoke", name="toy/one", block=0):
    table, _ = results.read(
        results.block_file(project.results("local", scale) / name, block, results.TRIALS)
    )
    return table.to_pylist(maps_as_pydicts="strict")


def observations(project, scale="smoke", name="toy/one", block=0):
    table, _ = results.read(
        results.block_file(project.results("local", scale) / name, block, results.OBSERVATIONS)
    )
    return table.to_pylist()


def test_a_block_measures_each_cell_once_in_the_order_of_the_plan(pipe_project, block_of):
    block = block_of(pipe_project, "toy/pipe", number=1)
    assert (
        block.measure() == 7
    )  # two of three ways have sizes 1 and 4096, and the twin; the NIC's are recorded
    found = records(block)
    assert [r["position"] for r in found] == list(range(7))
    assert {r["block"] for r in found} == {1}
    states = {r["cell"]: r["state"] for r in found}
    assert (
        states["way=nic size_bytes=1"] == results.NOT_TESTABLE
        and states["way=pipe size_bytes=1 twin"] == results.MEASURED
    )
    assert (
        sum(
            row["cell"] == "way=pipe size_bytes=1"
            for row in observations(pipe_project, name="toy/pipe", block=1)
        )
        == 1
    )


def test_what_is_not_testable_names_the_capability_and_runs_nothing(pipe_project, block_of):
    block_of(pipe_project, "toy/pipe").measure()
    (trial, _) = [t for t in trials(pipe_project, name="toy/pipe") if t["way"] == "nic"]
    assert (trial["state"], trial["reason"]) == ("not testable here", "needs rdma")
    assert trial["attempts"] == [] and trial["commands"] == []
    assert not [row for row in observations(pipe_project, name="toy/pipe") if row["way"] == "nic"]


def test_an_attempt_that_fails_is_followed_by_another_and_stays_visible(
    make_toy, block_of, tmp_path
):
    project = make_toy(f"""
        counter = Path({str(tmp_path / "counter")!r})
        with open(counter, "a") as file:
            file.write("x")
        site.client.run(["echo", counter.read_text()])
        if len(counter.read_text()) < 3:
            raise ValueError(f"try {{len(counter.read_text())}}")
        yield dict(latency_us=1.0)
    """, attempts=3)  # fmt: skip
    told = []
    block_of(project, report=lambda event, **facts: told.append((event, facts))).measure()
    (trial,) = trials(project)
    assert (trial["state"], trial["reason"]) == ("measured", "")
    at = "experiments/toy/one/experiment.py:25: "
    assert [(a["outcome"], a["message"]) for a in trial["attempts"]] == [
        ("failed", at + "ValueError: try 1"), ("failed", at + "ValueError: try 2"), ("ok", ""),
    ]  # fmt: skip
    assert trial["commands"] == [{"host": "client", "argv": ["echo", "xxx"], "status": 0}]
    assert [event for event, _ in told] == ["start", "attempt", "attempt", "trial"]
    assert [row["latency_us"] for row in observations(project)] == [1.0]
    logs = sorted(
        path.name for path in (project.results("local", "smoke") / "toy/one/failed").iterdir()
    )
    assert logs == ["block000-position000-attempt1.log", "block000-position000-attempt2.log"]


@pytest.mark.parametrize("body, outcome, reason", [
    ("os.kill(os.getpid(), signal.SIGSEGV)\nyield", "crashed",
        "the trial's process was killed by SIGSEGV"),
    ("time.sleep(60)\nyield", "timed out", "did not end within 3 s"),
    ("raise ValueError('no')\nyield", "failed",
        "experiments/toy/one/experiment.py:21: ValueError: no"),
])  # fmt: skip
def test_a_trial_that_fails_every_time_is_a_failed_trial_and_the_block_goes_on(
    make_toy, block_of, body, outcome, reason
):
    body = (
        "print('first words')\nif cell.way == 'b':\n    "
        + body.replace("\n", "\n    ")
        + "\nyield dict(latency_us=1.0)"
    )
    project = make_toy(
        body, levels=["a", "b", "c"], attempts=2, timeout_s=3.0 if "sleep" in body else 20.0
    )
    assert block_of(project).measure() == 3
    found = {trial["way"]: trial for trial in trials(project)}
    assert [found[way]["state"] for way in "abc"] == ["measured", "failed", "measured"]
    assert (
        found["b"]["reason"] == reason
        and [a["outcome"] for a in found["b"]["attempts"]] == [outcome] * 2
    )
    assert sorted(row["way"] for row in observations(project)) == ["a", "c"]
    logs = [
        path.read_text()
        for path in (project.results("local", "smoke") / "toy/one/failed").iterdir()
    ]
    assert len(logs) == 2 and all(
        log.startswith(f"way=b\n{outcome}: {reason}\n") and "first words" in log for log in logs
    )


def test_failed_trials_are_measured_again_when_asked(make_toy, block_of, tmp_path):
    works = tmp_path / "works"
    project = make_toy(f"""
        if cell.way == "b" and not Path({str(works)!r}).exists():
            raise ValueError("broken")
        yield dict(latency_us=1.0)
    """, levels=["a", "b"])  # fmt: skip
    block_of(project).measure()
    kept = {trial["way"]: trial["started"] for trial in trials(project)}
    works.touch()
    block = block_of(project)
    block.reopen()
    assert block.measure() == 0  # a failed trial is finished
    block.reopen(failed=True)
    assert block.measure() == 1
    found = {trial["way"]: trial for trial in trials(project)}
    assert [found[way]["state"] for way in "ab"] == ["measured", "measured"] and found["a"][
        "started"
    ] == kept["a"]


LACKING = {
    "memory": "raise MemoryError",
    "a program's memory": (
        "site.client.run(['sh', '-c', 'echo fork: cannot allocate memory >&2; exit 1'])"
    ),
    "a kill": "os.kill(os.getpid(), signal.SIGKILL)",
    "a server's kill": (
        "with site.client.start(['sh', '-c', 'kill -9 $$']) as server: server.read_line()"
    ),
    "a connection": "from benchpaper.hosts import HostLost; raise HostLost('host b is lost')",
}


@pytest.mark.parametrize("lacking", LACKING.values(), ids=LACKING)
def test_what_failed_because_the_machine_lacked_something_is_measured_again_unasked(
    make_toy, block_of, tmp_path, lacking
):
    there = tmp_path / "there"
    project = make_toy(f"""
        if cell.way == "b" and not Path({str(there)!r}).exists():
            {lacking}
        if cell.way == "c":
            raise ValueError("broken")
        yield dict(latency_us=1.0)
    """, levels=["a", "b", "c"])  # fmt: skip
    block_of(project).measure()
    assert {trial["way"]: trial["state"] for trial in trials(project)} == dict(
        a="measured", b="failed", c="failed"
    )
    there.touch()
    block_of(project).reopen()
    assert (
        block_of(project).measure() == 1
    )  # what fails by the experiment's own fault stays as it is
    assert {trial["way"]: trial["state"] for trial in trials(project)} == dict(
        a="measured", b="measured", c="failed"
    )


@pytest.mark.parametrize("body", [
    "raise OSError(122, 'Disk quota exceeded')",
    "site.client.run(['sh', '-c', 'echo write: disk quota exceeded >&2; exit 1'])",
])  # fmt: skip
def test_a_quota_that_is_used_up_ends_the_block_as_a_full_disk_does(make_toy, block_of, body):
    block = block_of(make_toy(f"{body}\nyield"))
    with pytest.raises(
        results.UserError,
        match="^Disk quota exceeded, .*: make room, and run the same command again",
    ):
        block.measure()
    assert records(block) == []


INVALID = [
    (
        "dict(latency_us=float('nan'), used='x')",
        'metric "latency_us" must be a finite number, not nan',
    ),
    (
        "dict(latency_us=float('inf'), used='x')",
        'metric "latency_us" must be a finite number, not inf',
    ),
    ("dict(latency_us=-1.5, used='x')", 'metric "latency_us": -1.5 µs is below its minimum 0'),
    (
        "dict(latency_us='1.5', used='x')",
        "metric \"latency_us\" must be a finite number, not '1.5'",
    ),
    ("dict(latency_us=True, used='x')", 'metric "latency_us" must be a finite number, not True'),
    ("dict(used='x')", 'metric "latency_us" is missing; yield it, or declare it optional'),
    ("dict(latency_us=1.0)", 'evidence "used" must be text, not None'),
    (
        "dict(latency_us=1.0, used='x', latncy_us=2.0)",
        'column "latncy_us" is not declared; did you mean "latency_us"?; declare it or drop it',
    ),
    ("1.5", "a trial yields dicts of metrics, not float"),
]


@pytest.mark.parametrize(
    "observation, message", INVALID, ids=[message[:40] for _, message in INVALID]
)
def test_an_observation_that_breaks_the_schema_fails_the_attempt_and_keeps_the_output(
    make_toy, block_of, observation, message
):
    project = make_toy(f"print('what was done')\nyield {observation}", evidence='Evidence("used")')
    block_of(project).measure()
    (trial,) = trials(project)
    assert (trial["state"], trial["reason"]) == ("failed", message)
    assert [a["outcome"] for a in trial["attempts"]] == ["failed"] and observations(project) == []
    (log,) = (project.results("local", "smoke") / "toy/one/failed").iterdir()
    assert message in log.read_text() and "what was done" in log.read_text()


def test_a_valid_second_attempt_makes_up_for_an_invalid_first(make_toy, block_of, tmp_path):
    project = make_toy(f"""
        flag = Path({str(tmp_path / "flag")!r})
        first = not flag.exists()
        flag.touch()
        yield dict(latency_us=-1.0 if first else 1.0)
    """, attempts=2)  # fmt: skip
    block_of(project).measure()
    (trial,) = trials(project)
    assert trial["state"] == "measured" and [a["outcome"] for a in trial["attempts"]] == [
        "failed",
        "ok",
    ]


COUNTED = """
    with open({path!r}, "a") as file:
        file.write(cell.way + "\\n")
    yield dict(latency_us=1.0)
"""


@pytest.fixture
def counted(make_toy, tmp_path):
    """A project whose trial logs its cell, and a function that reads which cells were measured."""
    path = tmp_path / "measured"
    project = make_toy(COUNTED.format(path=str(path)), levels=list("abcdef"), blocks=2)
    return project, lambda: path.read_text().split() if path.exists() else []


def test_a_block_of_the_same_key_is_not_measured_again(counted, block_of):
    project, measured = counted
    assert block_of(project).measure() == 6
    assert block_of(project).measure() == 0
    assert sorted(measured()) == list("abcdef")
    assert len(trials(project)) == 6


@pytest.mark.parametrize("kept", range(6))
def test_resuming_measures_only_what_is_missing(counted, block_of, kept):
    project, measured = counted
    block = block_of(project)
    block.measure()
    lines = block.journal_path.read_bytes().splitlines(keepends=True)
    block.journal_path.write_bytes(b"".join(lines[:kept]) + lines[kept][:-5])
    order = measured()
    assert block_of(project).measure() == 6 - kept
    assert measured()[6:] == order[kept:]
    assert [t["position"] for t in trials(project)] == list(range(6))


def test_a_damaged_line_of_the_journal_costs_its_own_trial_and_is_told_once(counted, block_of):
    project, measured = counted
    block = block_of(project)
    block.measure()
    lines = block.journal_path.read_bytes().splitlines(keepends=True)
    block.journal_path.write_bytes(
        b"".join([*lines[:2], lines[2][:40] + b"\x00" + lines[2][41:], *lines[3:]])
    )
    told, order = [], measured()
    again = block_of(project, report=lambda event, **facts: told.append((event, facts)))
    assert again.measure() == 1 and measured()[6:] == [order[2]]
    name = block.journal_path.relative_to(project.root)
    what = (
        f"{name} is damaged in line 3: skipped, and the trials "
        "that are missing now are measured "
        "again"
    )
    assert told[0] == ("damaged", {"message": what})
    told.clear()
    assert again.measure() == 0 and not told
    assert sorted(t["position"] for t in trials(project)) == list(range(6))


def test_what_a_trial_tells_is_bounded_and_its_redaction_takes_no_time(make_toy, block_of):
    project = make_toy("""
        if cell.way == "b":
            raise RuntimeError("0123456789abcdef" * 320_000 + chr(0xdcff))
        yield dict(latency_us=1.0, used=cell.way * 5_000_000)
    """, levels=["a", "b"], evidence="Evidence('used')")  # fmt: skip
    begin = time.process_time()
    block_of(project).measure()
    assert time.process_time() - begin < 60
    (row,) = observations(project)
    assert row["used"] == "a" * 200_000 + " [cut at 200000 of 5000000 bytes]"
    (failed,) = [t for t in trials(project) if t["way"] == "b"]
    assert failed["reason"].endswith(" [cut at 200000 of 5120006 bytes]")


class Stop(BaseException):
    pass


def test_a_run_interrupted_between_trials_goes_on_and_records_the_pause(counted, block_of):
    project, measured = counted

    def stop_after_two(event, **facts):
        if event == "trial" and len(measured()) == 2:
            raise Stop

    with pytest.raises(Stop):
        block_of(project, report=stop_after_two).measure()
    block = block_of(project)
    assert len(records(block)) == 2
    an_hour_ago = time.time() - 3600
    os.utime(block.journal_path, (an_hour_ago, an_hour_ago))
    assert block.measure() == 4
    pauses = [t["paused_s"] for t in trials(project)]
    assert pauses[2] == pytest.approx(3600, abs=60) and pauses[:2] + pauses[3:] == [0.0] * 5
    assert sorted(measured()) == list("abcdef")


def test_the_end_of_the_program_between_trials_loses_none_of_them(counted, block_of):
    project, measured = counted
    child = os.fork()
    if child == 0:
        block_of(
            project,
            report=lambda event, **facts: (
                len(measured()) == 3 and event == "trial" and os.kill(os.getpid(), 9)
            ),
        ).measure()
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == 9
    assert block_of(project).measure() == 3
    assert sorted(measured()) == list("abcdef")


@pytest.mark.parametrize("moment", [0.03, 0.06, 0.09, 0.12, 0.15, 0.2])
def test_kill_9_at_any_moment_loses_no_finished_trial_and_leaves_no_process(
    make_toy, block_of, tmp_path, is_running, moment
):
    project = make_toy(f"""
        server = site.client.start(["sleep", "60"])
        with open({str(tmp_path / "pids")!r}, "a") as file:
            file.write(f"{{os.getpid()}} {{server.pid}}\\n")
        time.sleep(0.02)
        yield dict(latency_us=1.0)
    """, levels=list("abcdef"))  # fmt: skip
    told_by, tell = os.pipe()
    child = os.fork()
    if child == 0:
        block_of(
            project,
            report=lambda event, **facts: (
                event == "trial" and os.write(tell, facts["cell"].encode() + b"\n")
            ),
        ).measure()
        os._exit(0)
    os.close(tell)
    time.sleep(moment)
    os.kill(child, 9)
    os.waitpid(child, 0)
    with os.fdopen(told_by) as told:
        finished = told.read().split()
    pids = (tmp_path / "pids").read_text().split() if (tmp_path / "pids").exists() else []
    end = time.monotonic() + 30
    while left := [pid for pid in pids if is_running(int(pid))]:
        assert time.monotonic() < end, left
        time.sleep(0.01)
    block = block_of(project)
    kept = [r["cell"] for r in records(block)] if block.journal_path.exists() else []
    assert kept[: len(finished)] == finished and len(kept) <= len(finished) + 1
    assert block.measure() == 6 - len(kept)
    assert sorted(t["way"] for t in trials(project)) == list("abcdef")


def test_a_full_disk_ends_the_block_and_it_goes_on_when_there_is_room(
    small_disk, counted, block_of
):
    project, _ = counted
    folder = small_disk(project.root / "results", 128)
    (folder / "ballast").write_bytes(bytes(128 * 1024 - 4096))
    block = block_of(project)
    with pytest.raises(OSError, match="No space left on device"):
        block.measure()
    kept = [r["cell"] for r in records(block)]
    assert 0 < len(kept) < 6
    (folder / "ballast").unlink()
    assert block_of(project).measure() == 6 - len(kept)
    assert [r["cell"] for r in records(block)][: len(kept)] == kept
    assert sorted(t["way"] for t in trials(project)) == list("abcdef")


def test_other_blocks_have_journals_of_their_own(counted, block_of):
    project, _ = counted
    blocks = [block_of(project, number=number) for number in (0, 1)]
    assert [block.measure() for block in blocks] == [6, 6]
    assert blocks[0].key != blocks[1].key and blocks[0].journal_path != blocks[1].journal_path
    results.collect(project.results("local", "smoke") / "toy/one", 2)
    assert (
        len(results.read(project.results("local", "smoke") / "toy/one" / results.TRIALS)[0]) == 12
    )


def test_changed_code_means_a_new_journal_and_the_old_one_is_kept(counted, block_of):
    project, measured = counted
    old = block_of(project)
    old.measure()
    path = project.experiments / "toy/one/experiment.py"
    path.write_text(path.read_text() + "\nchanged = 1")
    new = block_of(project)
    assert new.key != old.key and new.measure() == 6
    assert old.journal_path.exists() and len(measured()) == 12
    path.write_text(path.read_text().removesuffix("\nchanged = 1"))
    assert block_of(project).key == old.key


def test_the_key_changes_with_the_seed_and_with_a_capability_that_a_cell_needs_but_with_no_other(
    pipe_project, block_of
):
    key = block_of(pipe_project, "toy/pipe").key
    assert block_of(pipe_project, "toy/pipe").key == key
    assert block_of(pipe_project, "toy/pipe", seed=2).key != key
    assert block_of(pipe_project, "toy/pipe", scale="quick").key != key
    assert block_of(pipe_project, "toy/pipe", present=["rdma"]).key != key
    assert block_of(pipe_project, "toy/pipe", present=["gpu", "fuse", "latex"]).key == key


def test_a_capability_that_appeared_is_tried(pipe_project, block_of):
    block_of(pipe_project, "toy/pipe").measure()
    block_of(pipe_project, "toy/pipe", present=["rdma"]).measure()
    assert {t["state"] for t in trials(pipe_project, name="toy/pipe")} == {"measured"}


def test_a_need_that_nothing_probes_is_the_experiments_mistake(make_toy, block_of):
    project = make_toy("yield dict(latency_us=1.0)", more="experiment.needs(lambda cell: ['rmda'])")
    with pytest.raises(
        results.UserError, match='^toy/one: capability "rmda" not found; did you mean "rdma"?'
    ):
        block_of(project)


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
    (f"yield dict(latency_us=1.0, used={SECRET!r}, more={SECRET!r})\nsite.client.run(['true', "
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
    told = []
    block_of(project, report=lambda event, **facts: told.append(facts)).measure()
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
    assert SECRET not in str(told)


def test_paths_of_this_machine_are_in_no_file_and_no_message(make_toy, block_of):
    project = make_toy("""
        folder = site.client.scratch()
        site.client.run(["true", f"-I{site.programs}", f"--out={folder}/x", folder])
        open(f"{folder}/missing")
        yield
    """)  # fmt: skip
    told = []
    block_of(project, report=lambda event, **facts: told.append(facts)).measure()
    (trial,) = trials(project)
    assert "FileNotFoundError" in trial["reason"] and len(trial["commands"]) == 1
    texts = [
        str(trial),
        str(told),
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
