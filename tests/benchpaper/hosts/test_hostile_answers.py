"""Answers of an agent that break the protocol end the conversation in one line."""

import struct
import time
from pathlib import Path

import pytest
from hostile_answers import ESCAPES, KEPT, framed, one_line

from benchpaper.core.deployment import Software
from benchpaper.hosts import HostError, HostLost, HostUnreliable, facts
from benchpaper.hosts.agent import disturbances, wire
from benchpaper.hosts.ssh import conversation
from benchpaper.hosts.ssh.conversation import Conversation

FORGED = {
    "4 GiB": {"bytes": "\xff\xff\xff\xff"},
    "one byte too many": {"bytes": struct.pack("<I", wire.MAX_MESSAGE_BYTES + 1).decode("latin-1")},
    "an empty frame": {"bytes": framed(b"")},
    "no JSON": {"bytes": framed(b"{")},
    "no text": {"bytes": framed(b'"\xff"')},
    "a number that is not finite": {"bytes": framed(b'{"value": NaN, "request": 2}')},
    "a number too large": {"bytes": framed(b'{"value": 1e999, "request": 2}')},
    "a number of too many digits": {"bytes": framed(b'{"value": ' + b"9" * 5000 + b"}")},
    "deeply nested": {"bytes": framed(b"[" * 100_000)},
    "a list": {"message": []},
    "a text": {"message": "value"},
    "no value": {"message": {"request": 2}},
    "a value and an error": {"message": {"value": 1, "error": "HostError", "request": 2}},
    "an earlier request": {"message": {"value": 1.0, "request": 1}},
    "a later request": {"message": {"value": 1.0, "request": 3}},
    "no request": {"message": {"value": 1.0}},
    "an unknown error": {"error": "SystemExit", "text": "x"},
    "an error without text": {"error": "HostError"},
    "a status that is a text": {"value": 1.0, "status": "0"},
    "a status out of range": {"value": 1.0, "status": 1 << 40},
    "a truth": {"value": True},
    "endless": {"bytes": framed(b"x" * 1000), "again": True},
}


@pytest.mark.parametrize("kind", FORGED)
def test_a_malformed_answer_ends_the_connection_in_one_line(far, kind):
    agent = far(clock=FORGED[kind])
    with pytest.raises(HostUnreliable) as failed:
        agent.ask("clock")
    assert one_line(failed).startswith("far sent a") and agent.lost


CUT = {
    "within the length": "\x10\x00",
    "within the message": framed(b"x" * 100)[:50],
    "before it": "",
}


@pytest.mark.parametrize("kind", CUT)
def test_an_answer_that_is_cut_is_a_lost_connection(far, kind):
    with pytest.raises(HostLost, match="^the connection to far is lost$"):
        far(clock={"bytes": CUT[kind], "close": True}).ask("clock")


@pytest.mark.parametrize("announced", ["\x00\x04\x00\x00", "\x00\x00\x00\x04"])
def test_an_answer_that_drips_has_one_deadline(far, monkeypatch, announced):
    """As with a byte every 5 s and the true deadline of 15 s."""
    monkeypatch.setattr(conversation, "ANSWER_S", 1.5)
    begin = time.monotonic()
    with pytest.raises(HostLost) as failed:
        far(clock={"bytes": announced + "x" * 1000, "drip": 0.5}).ask("clock")
    assert one_line(failed) == "far did not answer within 1.5 s; the connection is given up"
    assert time.monotonic() - begin < 15  # and not 500


def interrupted(*_):
    raise KeyboardInterrupt


ENDED = {
    "its end": ({"bytes": "", "close": True}, {}, "the connection to far is lost; it said: oom"),
    "no answer": ({"bytes": "\x10\x00"}, {}, "far did not answer within 0.5 s"),
    "a bad answer": ({"value": "now"}, {}, "far sent an answer "),
    "an interrupt": (
        {"value": 1.0},
        {"sending": interrupted},
        'the connection to far was given up in "clock": KeyboardInterrupt',
    ),
}


@pytest.mark.parametrize("kind", ENDED)
def test_each_later_call_repeats_why_a_conversation_ended(far, kind):
    answer, options, why = ENDED[kind]
    seconds = 0.5 if kind == "no answer" else None  # the others get the usual patience
    talk = Conversation(far(clock=answer).connect("far"), "far", lambda: "oom", answer_s=seconds)
    with pytest.raises((HostLost, KeyboardInterrupt)):
        talk.call("clock", **options)
    talk.close()  # as a trial's end does
    for _ in range(2):
        with pytest.raises(HostLost) as lost:
            talk.call("addresses")
        assert one_line(lost).startswith(why)


SOFTWARE = Software("gcc/13").to_json()
WRONG = {
    "clock": [None, "now", [1.0], False],
    "disturbances": [{}, {"load_1m": 1.0}, {**disturbances.so_far(), "load_1m": "high"}],
    "has": [{}, {"cc": [1, "cc"]}, {"cc": [True]}, {"cc": [True, "x"], "gpu": [True, "x"]}],
    "environments": [
        {},
        {"conda:x": None},
        {"module:a": {}},
        {"module:a": {**SOFTWARE, "kind": "sh"}},
        {"module:a": {**SOFTWARE, "variables": {"A": 1}}},
        {"module:a": {**SOFTWARE, "engine": "x"}},
    ],
    "probe": [{"facts": {}, "capabilities": {}}, {"facts": facts.facts()}],
    "conclude": [[], {"PREFIX-x": {}}, {"PREFIX-x": {**KEPT, "output": 1}}, {"other-x": KEPT}],
}
NAMES = ["../x", "/etc/x", "..", ".", "", "a/b", "a\0b", "PREFIX-../x", "PREFIX-/etc/x",
         "PREFIX-\x1b[2J", "PREFIX-x\n", "PREFIX-" + "x" * 300, "PREFIX-\u202ex"]  # fmt: skip
WRONG["conclude"] += [{name: KEPT} for name in NAMES]
ASKED = {
    "has": {"names": ["cc"]}, "conclude": {"prefix": "PREFIX-", "seconds": 0},
    "environments": {"names": ["module:a"]},
}  # fmt: skip


@pytest.mark.parametrize("operation", WRONG)
def test_an_answer_of_the_wrong_form_is_refused(far, operation):
    for value in WRONG[operation]:
        with pytest.raises(HostUnreliable) as failed:
            far(**{operation: {"value": value}}).ask(operation, **ASKED.get(operation, {}))
        assert one_line(failed).startswith("far sent an answer "), value


IN_A_TRIAL = {
    "run": (lambda host, path: host.run(["true"]), [
        None, [0, "", 1], [0, ""], ["0", "", ""], [1 << 40, "", ""], [0, "\ud800", ""]]),
    "start": (lambda host, path: host.start(["true"]), [[0], [0, -1], [0, "1"], [-1, 5], None]),
    "scratch": (lambda host, path: host.scratch(), ["x", None, "/x\x1b[2J", "/" + "x" * 5000]),
    "free_port": (lambda host, path: host.free_port(), [0, 65536, "80", None, 1.5]),
    "facts": (lambda host, path: host.facts(), [{}, [], {**facts.facts(), "cpu": []}]),
    "undo": (lambda host, path: host.undo("x", ["true"]), ["x"]),
    "put": (lambda host, path: host.put(__file__, path), [1]),
    "lacks": (lambda host, path: host.provide(Path(__file__)), [["x"], ["../x"], {}, [1]]),
    "open": (lambda host, path: host.run(["true"]), [1]),
}  # fmt: skip


@pytest.mark.parametrize("operation", IN_A_TRIAL)
def test_an_answer_of_the_wrong_form_is_refused_in_a_trial(far, tmp_path, operation):
    call, values = IN_A_TRIAL[operation]
    for value in values:
        with pytest.raises(HostUnreliable) as failed:
            call(far(**{operation: {"value": value}}).host(), tmp_path / "file")
        assert one_line(failed).startswith("server sent an answer "), value


def chunk(data, announced=None):
    length = len(data) if announced is None else announced
    return (struct.pack("<I", length) + data).decode("latin-1")


GOOD_SIZE = framed(b'{"value": 4, "request": 2}')
STREAMS = {
    "more than announced": (GOOD_SIZE + chunk(b"12345") + chunk(b""), HostUnreliable),
    "less than announced": (GOOD_SIZE + chunk(b"123") + chunk(b""), HostUnreliable),
    "a chunk of 4 GiB": (GOOD_SIZE + chunk(b"1234", 0xFFFFFFFE), HostUnreliable),
    "a chunk of more than 1 MiB": (GOOD_SIZE + chunk(b"1234", wire.CHUNK + 1), HostUnreliable),
    "given up": (GOOD_SIZE + chunk(b"12") + chunk(b"", 0xFFFFFFFF), HostError),
    "no answer after it": (
        GOOD_SIZE + chunk(b"1234") + chunk(b"") + framed(b'{"value": 1, "request": 2}'),
        HostUnreliable,
    ),
    "larger than the disk": (framed(b'{"value": 4611686018427387904, "request": 2}'), HostError),
    "a negative size": (framed(b'{"value": -1, "request": 2}'), HostUnreliable),
    "no size": (framed(b'{"value": null, "request": 2}'), HostUnreliable),
}


@pytest.mark.parametrize("kind", STREAMS)
def test_a_file_that_is_not_what_was_announced_never_appears(far, tmp_path, kind):
    data, error = STREAMS[kind]
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "log").write_text("older")
    with pytest.raises(error) as failed:
        far(get={"bytes": data}).host().get("/there/log", folder / "log")
    one_line(failed)
    assert [path.name for path in folder.iterdir()] == ["log"]
    assert (folder / "log").read_text() == "older"


def test_a_file_that_is_what_was_announced_appears(far, tmp_path):
    data = GOOD_SIZE + chunk(b"1234") + chunk(b"") + framed(b'{"value": null, "request": 2}')
    far(get={"bytes": data}).host().get("/there/log", tmp_path / "log")
    assert (tmp_path / "log").read_bytes() == b"1234"


def test_a_file_replaces_a_link_and_does_not_follow_it(far, tmp_path):
    data = GOOD_SIZE + chunk(b"1234") + chunk(b"") + framed(b'{"value": null, "request": 2}')
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "log").symlink_to("victim")
    far(get={"bytes": data}).host().get("/there/log", tmp_path / "log")
    assert (tmp_path / "victim").read_text() == "precious"
    assert not (tmp_path / "log").is_symlink() and (tmp_path / "log").read_bytes() == b"1234"


@pytest.mark.parametrize("kind", ["CommandFailed", "HostError", "OSError"])
def test_an_error_of_the_host_shows_control_characters_as_such(far, kind):
    error = {"error": kind, "text": ESCAPES, "name": ESCAPES, "status": 1}
    with pytest.raises(HostError) as failed:
        far(run=error).host().run(["true"])
    assert r"\x1b[2J\x1b]0;pwned\x07\r\x9b31m\u202eevil\x00" in one_line(failed)


def test_the_output_of_a_trials_command_reaches_the_experiment_as_it_is(far):
    assert far(run={"value": [0, ESCAPES, ""]}).host().run(["true"]).stdout == ESCAPES
