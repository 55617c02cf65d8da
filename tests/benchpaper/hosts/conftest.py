"""Hosts that speak the agent's protocol as a test says."""

import json
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from hostile_answers import HOST, Far, good_answers, greeting

from benchpaper.hosts.agent import main
from benchpaper.hosts.fleet import Fleet
from benchpaper.hosts.site import Site


@pytest.fixture
def far(tmp_path):
    """Return `make(**answers)`: an agent that gives good answers, except for these operations."""
    made = []

    def make(**answers):
        made.append(Far(tmp_path / "memo", answers))
        return made[-1]

    yield make
    for far in made:
        for connection in far.connections:
            connection.close()


@pytest.fixture
def hostile(pipe_project, tmp_path, monkeypatch):
    """Return `connect(said, orders, **answers)`: the site's links, behind a fake `ssh`."""
    programs, behaviour = tmp_path / "bin", tmp_path / "behaviour.json"
    programs.mkdir()
    script = Path(__file__).with_name("hostile_agent.py")
    (programs / "ssh").write_text(
        '#!/bin/sh\nfor word; do [ "$word" = forward ] && exit 0; done\n'
        f"exec {sys.executable} -IS {script} {behaviour}\n"
    )
    (programs / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=":")

    @contextmanager
    def connect(said=None, orders=None, complaints=0, **answers):
        replies = {
            "complaints": complaints,
            "greeting": greeting() if said is None else said,
            "orders": {name: f"{main.GREETING}{text}\n" for name, text in (orders or {}).items()},
            "answers": {**good_answers(), **answers},
        }
        behaviour.write_text(json.dumps(replies))
        with Fleet(pipe_project, Site("site", (HOST,))) as fleet:
            yield fleet

    connect.project = pipe_project
    return connect
