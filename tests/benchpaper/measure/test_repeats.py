"""A cell that failed identically in every attempt is not tried again; a flaky one always is."""

import pytest
from block_results import records, trials

from benchpaper import results
from benchpaper.measure.repeats import error_kind

TRIED = """
    with open({counter!r}, "a") as file:
        file.write(cell.way + " ")
    ran = Path({counter!r}).read_text().split().count(cell.way)
    if cell.way == "b":
        {failure}
    yield dict(latency_us=1.0)
"""


@pytest.fixture
def failing(make_toy, tmp_path):
    """Return `make(failure, ...)`: a project whose cell b fails so, and what its cells ran."""
    counter = tmp_path / "counter"

    def make(failure, attempts=2, blocks=4, **options):
        body = TRIED.format(counter=str(counter), failure=failure)
        project = make_toy(body, levels="ab", attempts=attempts, blocks=blocks, **options)
        return project, lambda: counter.read_text().split().count("b")

    return make


SAME = {
    "the same error": ("raise ValueError('no such device')", 2),
    "another number and another path": ("raise ValueError(f'{os.getpid()} in /tmp/{ran}/x')", 2),
    "a crash": ("os.kill(os.getpid(), signal.SIGSEGV)", 2),
    "a program's status": ("site.client.run(['false'])", 2),
    "one attempt a block": ("raise ValueError('no such device')", 1),
}


@pytest.mark.parametrize("failure, attempts", SAME.values(), ids=SAME)
def test_what_failed_identically_in_two_attempts_is_recorded_without_an_attempt(
    failing, block_of, failure, attempts
):
    project, ran = failing(failure, attempts)
    events = []
    for number in range(4):
        block_of(project, number=number, report=lambda event, **_: events.append(event)).measure()
    assert ran() == 2 and events.count("given up") == 4 - 2 // attempts
    rows = [row for n in range(4) for row in trials(project, block=n) if row["way"] == "b"]
    assert {row["state"] for row in rows} == {results.FAILED}
    tried = rows[: 2 // attempts]
    for row in rows[2 // attempts :]:
        assert row["attempts"] == [] and row["commands"] == [] and row["seconds"] == 0
        where = "block 0" if attempts == 2 else "blocks 0, 1"
        expected = f"not tried again: all 2 attempts in {where} ended so: {tried[0]['reason']}"
        assert row["reason"] == expected
        assert results.shown_state(row["state"], row["reason"]) == "not tried again"
    assert all(results.shown_state(row["state"], row["reason"]) == "failed" for row in tried)
    assert all(trial["state"] == "measured" for trial in trials(project) if trial["way"] == "a")


OTHER = {
    "it worked once": "if ran > 1: raise ValueError('no')",
    "two errors": "raise ValueError('no' if ran % 2 else 'not at all')",
    "two lines": "if ran % 2: raise ValueError('no')\n        raise ValueError('no')",
    "the machine's fault": "raise MemoryError",
    "a kill from outside": "os.kill(os.getpid(), signal.SIGKILL)",
}


@pytest.mark.parametrize("failure", OTHER.values(), ids=OTHER)
def test_what_fails_now_and_then_or_through_the_machine_is_tried_in_each_block(
    failing, block_of, failure
):
    project, ran = failing(failure, blocks=3)
    for number in range(3):
        block_of(project, number=number).measure()
    assert ran() == 6 - ("ran > 1" in failure)


def test_blocks_that_differ_in_more_than_time_are_all_tried(failing, block_of):
    more = """
    from benchpaper.design.replication import Block
    experiment.block = Block(over="trace", levels=["web", "mail", "news"])
    """
    project, ran = failing("raise ValueError('no such trace')", blocks=3, more=more)
    for number in range(3):
        block_of(project, number=number).measure()
    assert ran() == 6


def test_retrying_tries_again_and_so_does_other_code(failing, block_of, tmp_path):
    works = tmp_path / "works"
    project, ran = failing(
        f"if not Path({str(works)!r}).exists(): raise ValueError('no')", blocks=3
    )
    blocks = [block_of(project, number=number) for number in range(3)]
    for block in blocks:
        block.measure()
    for block in blocks:
        block.reopen()
    assert ran() == 2 and [block.measure() for block in blocks] == [0, 0, 0]
    works.touch()
    for block in blocks:
        block.reopen(failed=True)
    assert [block.measure() for block in blocks] == [1, 1, 1] and ran() == 5
    assert {record["state"] for block in blocks for record in records(block)} == {"measured"}
    works.unlink()
    path = project.experiments / "toy/one/experiment.py"
    path.write_text(path.read_text() + "\nchanged = 1")
    for number in range(3):
        block_of(project, number=number).measure()
    assert ran() == 7


@pytest.mark.parametrize("first, second, same", [
    ("did not end within 3 s", "did not end within 60.5 s", True),
    ("cannot open /tmp/a-1/x", "cannot open /var/b/y.txt", True),
    ("bad address 0x7f00", "bad address 0x7fFF", True),
    ("cannot open a", "cannot open b", False),
    ("experiments/a/b/experiment.py:3: ValueError: 1", "experiments/a/b/experiment.py:3: "
     "ValueError: 2", True),
    ("experiments/a/b/experiment.py:3: ValueError: 1", "experiments/a/b/experiment.py:4: "
     "ValueError: 1", False),
])  # fmt: skip
def test_errors_are_compared_without_numbers_and_paths(first, second, same):
    assert (error_kind(first) == error_kind(second)) is same
