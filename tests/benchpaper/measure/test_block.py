"""Blocks: each cell is measured once, failures stay visible, and rules hold."""

import pytest
from block_results import observations, records, trials

from benchpaper import results
from benchpaper.core.errors import UserError


def test_a_block_measures_each_cell_once_in_the_order_of_the_plan(pipe_project, block_of):
    block = block_of(pipe_project, "toy/pipe", number=1)
    assert (
        block.measure() == 7
    )  # two of three ways have sizes 1 and 4096, and the twin; the NIC's are recorded
    journalled = records(block)
    assert [r["position"] for r in journalled] == list(range(7))
    assert {r["block"] for r in journalled} == {1}
    states = {r["cell"]: r["state"] for r in journalled}
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
    events = []
    block_of(project, report=lambda event, **facts: events.append((event, facts))).measure()
    (trial,) = trials(project)
    assert (trial["state"], trial["reason"]) == ("measured", "")
    at = "experiments/toy/one/experiment.py:25: "
    assert [(a["outcome"], a["message"]) for a in trial["attempts"]] == [
        ("failed", at + "ValueError: try 1"), ("failed", at + "ValueError: try 2"), ("ok", ""),
    ]  # fmt: skip
    assert trial["commands"] == [{"host": "client", "argv": ["echo", "xxx"], "status": 0}]
    assert [event for event, _ in events] == ["start", "attempt", "attempt", "trial"]
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
    by_way = {trial["way"]: trial for trial in trials(project)}
    assert [by_way[way]["state"] for way in "abc"] == ["measured", "failed", "measured"]
    assert (
        by_way["b"]["reason"] == reason
        and [a["outcome"] for a in by_way["b"]["attempts"]] == [outcome] * 2
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
    by_way = {trial["way"]: trial for trial in trials(project)}
    assert [by_way[way]["state"] for way in "ab"] == ["measured", "measured"] and by_way["a"][
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
        UserError,
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
