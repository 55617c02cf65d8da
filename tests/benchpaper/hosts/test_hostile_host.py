"""A host that speaks the agent's protocol badly harms nothing here, and is refused in one line."""

import json
import secrets
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml
from hostile_answers import CONTROL, ESCAPES, HOST, KEPT, greeting, one_line

from benchpaper.hosts import HostUnreliable, facts
from benchpaper.hosts.agent import main
from benchpaper.hosts.ssh import connection, deploy
from benchpaper.hosts.ssh.connection import Unreachable
from benchpaper.workflow.pipeline import Pipeline

# ---- while it connects ----

GREETINGS = {
    "endless": "x" * (2 << 20),
    "lines for ever, and no greeting": "hello\n" * 1000,
    "no JSON": f"{main.GREETING}{{\n",
    "an empty list": f"{main.GREETING}[]\n",
    "deeply nested": f"{main.GREETING}{'[' * 100_000}\n",
    "no text": f"{main.GREETING}\xff\xfe\n",
    "an answer to no order": f'{main.GREETING}{{"locked": true}}\n',
    "an unknown message": f'{main.GREETING}{{"pwn": 1}}\n',
    "a field is missing": greeting(socket=...),
    "a field too many": greeting(more=1),
    "a forward to elsewhere": greeting(socket="/x:/etc/passwd"),
    "a socket with a NUL": greeting(socket="/x\0y"),
    "a relative store": greeting(store="../store"),
    "a home that is no path": greeting(home="e"),
    "a folder with an escape code": greeting(trials="/t\x1b[2J"),
    "a folder of other bytes": greeting(temporary="/\udcff"),
    "CPUs that are no numbers": greeting(cpus=["0"]),
    "a version of three": greeting(version=[3, 11, 7]),
    "a C library that is no version": greeting(libc="glibc"),
    "an identity that is a path": greeting(identity="../../x"),
    "a number for its start": greeting(boot=1),
    "an error with escape codes": f"{main.GREETING}{json.dumps({'error': ESCAPES})}\n",
    "no Python, with escape codes": f"{main.GREETING}{json.dumps({'old python': ESCAPES})}\n",
}
SITE_FILE = dict(name=HOST.name, kind=HOST.kind, address=HOST.address, roles=list(HOST.roles))


@pytest.mark.parametrize("kind", GREETINGS)
def test_a_bad_greeting_is_refused_in_one_line(hostile, monkeypatch, kind):
    monkeypatch.setattr(connection, "GREETING_S", 2.0 if "for ever" in kind else 20.0)
    with pytest.raises(Unreachable) as refused, hostile(GREETINGS[kind]):
        pytest.fail("it was believed")
    assert one_line(refused).startswith('host "far" of site "site": ')
    assert not list((hostile.project.state / "connections").iterdir())


@pytest.mark.parametrize("value", [["eth0"], {"eth0": "x"}, {"eth0": 1}, {"eth0": "192.0.2.999"}])
def test_addresses_of_the_wrong_form_are_refused_while_it_connects(hostile, value):
    with pytest.raises(Unreachable) as refused, hostile(addresses={"value": value}):
        pytest.fail("it was believed")
    assert one_line(refused).startswith('host "far" of site "site": far sent an answer ')


def test_complaints_without_end_are_cut(hostile):
    with pytest.raises(Unreachable) as refused, hostile(complaints=2000):
        pytest.fail("it was believed")
    text = one_line(refused)
    assert r"ssh said: \x1b[2Jno \x00 \x1b[2Jno" in text and len(text) < 1000


# ---- what reaches a terminal or a log ----

ORDERS = {
    "escape codes in the holder's name": {"lock": json.dumps({"held": ESCAPES * 100})},
    "escape codes in an error": {"lock": json.dumps({"error": ESCAPES})},
    "an answer to another order": {"lock": '{"unlocked": true}'},
    "another greeting": {"lock": greeting()[len(main.GREETING) :].strip()},
    "no JSON": {"lock": "{"},
    "a text for a truth": {"lock": '{"locked": "yes"}'},
}


@pytest.mark.parametrize("kind", ORDERS)
def test_a_bad_answer_about_the_lock_is_one_line(hostile, kind):
    with hostile(orders=ORDERS[kind]) as fleet:
        if "holder" in kind:
            text = fleet.links["far"].lock("measuring")
        else:
            with pytest.raises(Unreachable) as refused:
                fleet.links["far"].lock("measuring")
            text = one_line(refused)
    assert text.isprintable() and len(text) < 3000


def test_what_a_host_says_about_itself_shows_control_characters_as_such(hostile):
    capability = {"present": True, "detail": ESCAPES}
    answers = {"facts": {**facts.facts(), "cpu": ESCAPES}, "capabilities": {ESCAPES: capability}}
    with hostile(probe={"value": answers}, has={"value": {"cc": [True, ESCAPES]}}) as fleet:
        texts = json.dumps([asdict(fleet.probe()["far"]), fleet.has(["cc"])], ensure_ascii=False)
    assert "pwned" in texts and not CONTROL.search(texts)


# ---- a whole block ----


@pytest.fixture
def block(hostile):
    """Return `make()`: a block on the hostile host; its events go to `make.reported`."""
    (hostile.project.root / "sites/site.yaml").write_text(yaml.safe_dump({"hosts": [SITE_FILE]}))

    def make():
        run = Pipeline(hostile.project, "site", "smoke", 1)
        return run.block("toy/pipe", 0, lambda event, **facts: make.reported.append(str(facts)))

    make.reported = []
    return make


@pytest.mark.parametrize("folder", ["../../../../", "/tmp/", "x/../../"])
def test_no_name_that_a_host_chose_leads_outside(hostile, block, tmp_path, folder):
    escape = f"escaped-{secrets.token_hex(8)}"  # what an earlier run left in /tmp has other names
    name = f"{folder}{escape}"
    prefix = f"{deploy.checkout(hostile.project)}-far-"
    with hostile(conclude={"value": {f"{prefix}{name}": KEPT}}):
        with pytest.raises(HostUnreliable) as failed:
            block().measure()
        one_line(failed)
    escaped = [*tmp_path.rglob(f"*{escape}*"), *Path("/tmp").glob(f"*{escape}*")]
    assert not escaped and not (hostile.project.state / "fetched").exists()


def test_what_a_host_kept_of_an_earlier_run_shows_control_characters_as_such(hostile, block):
    prefix = f"{deploy.checkout(hostile.project)}-far-"
    kept = {**KEPT, "output": f"{ESCAPES}more\n", "found": [ESCAPES]}
    with hostile(conclude={"value": {f"{prefix}trial-a-client-0": kept}}):
        block().measure()
    (log,) = (hostile.project.state / "fetched").iterdir()
    assert "pwned" in log.read_text() and not CONTROL.search(log.read_text())
    assert "pwned" in "".join(block.reported) and not CONTROL.search("".join(block.reported))
