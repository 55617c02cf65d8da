"""Events: a reader gets each event of a step whole, once and in order; watching is optional."""

import os

import pytest

from benchpaper.core import events


@pytest.fixture
def watched(tmp_path, monkeypatch):
    path = tmp_path / "events.jsonl"
    monkeypatch.setenv(events.VARIABLE, str(path))
    return path


def without_times(reported):
    return [{key: value for key, value in event.items() if key != "time"} for event in reported]


def test_nothing_is_written_when_nobody_watches(tmp_path, monkeypatch):
    monkeypatch.delenv(events.VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    events.emit("trial", cell="a")
    with events.step("measure"):
        pass
    assert not list(tmp_path.iterdir())


def test_a_step_tells_its_beginning_and_its_end(watched):
    with events.step("measure", block=3):
        events.emit("trial", cell="a")
    assert without_times(events.Reader(watched).new()) == [
        {"event": "step", "name": "measure", "block": 3},
        {"event": "trial", "cell": "a"},
        {"event": "step done", "name": "measure", "block": 3},
    ]


@pytest.mark.parametrize("error", [ValueError("too small"), OSError("too small")])
def test_a_step_that_fails_tells_why_and_fails(watched, error):
    with pytest.raises(type(error)), events.step("measure", block=3):
        raise error
    assert without_times(events.Reader(watched).new())[1:] == [
        {"event": "step failed", "name": "measure", "error": "too small", "block": 3}
    ]


def test_a_reader_gets_each_event_once(watched):
    reader = events.Reader(watched)
    assert reader.new() == []
    events.emit("a")
    assert without_times(reader.new()) == [{"event": "a"}]
    assert reader.new() == []
    events.emit("b")
    events.emit("c")
    assert without_times(reader.new()) == [{"event": "b"}, {"event": "c"}]


def test_a_line_still_being_written_waits(watched):
    reader = events.Reader(watched)
    events.emit("µs")
    data = watched.read_bytes()
    for cut in range(len(data)):
        watched.write_bytes(data[:cut])
        assert reader.new() == []
    watched.write_bytes(data)
    assert without_times(reader.new()) == [{"event": "µs"}]


def test_a_line_that_a_full_disk_cut_short_costs_that_line_only(watched):
    events.emit("a")
    with open(watched, "a") as file:
        file.write('{"event": "half')
    events.emit("b")
    events.emit("c")
    assert [event["event"] for event in events.Reader(watched).new()] == ["a", "c"]


def test_events_of_processes_at_the_same_time_do_not_mix(watched):
    children = []
    for number in range(4):
        children.append(os.fork())
        if children[-1] == 0:
            for _ in range(100):
                events.emit("trial", number=number, text="x" * 500)
            os._exit(0)
    assert all(os.waitpid(child, 0)[1] == 0 for child in children)
    read = events.Reader(watched).new()
    assert sorted(event["number"] for event in read) == sorted([*range(4)] * 100)


def test_an_interrupt_is_no_failure_of_the_step(watched):
    with pytest.raises(KeyboardInterrupt), events.step("measure", block=3):
        raise KeyboardInterrupt
    assert [event["event"] for event in events.Reader(watched).new()] == ["step"]
