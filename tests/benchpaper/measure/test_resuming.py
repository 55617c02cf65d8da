"""A block that was cut short goes on where it stopped, and measures nothing twice."""

import os
import time

import pytest
from block_results import observations, records, trials

from benchpaper import results
from benchpaper.core.errors import UserError

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
    events, order = [], measured()
    again = block_of(project, report=lambda event, **facts: events.append((event, facts)))
    assert again.measure() == 1 and measured()[6:] == [order[2]]
    name = block.journal_path.relative_to(project.root)
    what = (
        f"{name} is damaged in line 3: skipped, and the trials "
        "that are missing now are measured "
        "again"
    )
    assert events[0] == ("damaged", {"message": what})
    events.clear()
    assert again.measure() == 0 and not events
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
    used, _, cut = row["used"].partition(" ")  # a cut word is dropped, up to 4 KiB of it
    assert used == "a" * len(used) and 195_000 < len(used) <= 200_000
    assert cut == "[cut at 200000 of 5000000 bytes]"
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
    with os.fdopen(told_by) as lines:
        finished = lines.read().split()
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
    project = make_toy("yield dict(latency_us=1.0)", more="experiment.needs(lambda cell: ['rot'])")
    with pytest.raises(
        UserError, match='^toy/one: capability "rot" not found; did you mean "root"?'
    ):
        block_of(project)
