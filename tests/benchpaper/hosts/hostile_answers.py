"""What a hostile host sends, and connections to one that gives chosen answers."""

import json
import re
import socket
import struct
import threading
import time
from pathlib import Path

import hostile_agent

from benchpaper.hosts import facts
from benchpaper.hosts.agent import disturbances, main
from benchpaper.hosts.site import HostEntry
from benchpaper.hosts.ssh import remote
from benchpaper.hosts.ssh.conversation import Conversation

HOST = HostEntry(name="far", kind="ssh", address="192.0.2.1", roles=("server", "client"))
KEPT = {"output": "", "shortage": "", "stood_still_s": 0.0, "found": []}
ESCAPES = "\x1b[2J\x1b]0;pwned\x07\r\x9b31m\u202eevil\x00\n"
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]")


def framed(data):
    """A message of any bytes, as text in Latin-1."""
    return (struct.pack("<I", len(data)) + data).decode("latin-1")


def greeting(**changed):
    described = {**main.describe_host(), "socket": "/there", "store": "/s", "trials": "/t"}
    described = {k: v for k, v in {**described, **changed}.items() if v is not ...}
    return f"{main.GREETING}{json.dumps(described)}\n"


def good_answers():
    capabilities = {"cc": {"present": True, "detail": "cc 12"}}
    values = {
        "addresses": {"eth0": HOST.address},
        "clock": time.time(),
        "conclude": {},
        "disturbances": disturbances.so_far(),
        "environments": {"module:gcc/13": None},
        "facts": facts.facts(),
        "free_port": 5000,
        "get": 4,
        "has": {"cc": [True, "cc 12"]},
        "lacks": [],
        "open": None,
        "probe": {"facts": facts.facts(), "capabilities": capabilities},
        "put": None,
        "run": [0, "out\n", ""],
        "scratch": "/t/x",
        "start": [0, 77],
        "store": None,
        "undo": None,
    }
    return {operation: {"value": value} for operation, value in values.items()}


class Far:
    """An agent that gives these answers, and the connection to it."""

    name, python, store = "far", "/usr/bin/python3", Path("/s")
    cpus, answer_s = (0,), None

    def __init__(self, memo, answers):
        self.memo, self._answers = memo, {**good_answers(), **answers}
        self.connections = []  # a host keeps its own open, as a trial's process does to its end

    def connect(self, name):
        here, there = socket.socketpair()
        self.connections.append(here)
        serve = hostile_agent.serve
        threading.Thread(target=serve, args=(there, self._answers), daemon=True).start()
        return here

    def last_words(self):
        return ""

    def ask(self, operation, **options):
        """Make a request, the second one of a conversation."""
        self.talk = Conversation(self.connect("far"), "far")
        try:
            self.talk.call("addresses")
            return self.talk.call(operation, **options)
        finally:
            self.lost = self.talk.closed
            self.talk.close()

    def host(self):
        return remote.SshHost(self, "server", "t", HOST, 60, lambda *_: lambda status: None)


def one_line(error):
    """The text of an error, which is one printable line."""
    text = str(error.value)
    assert text and text.isprintable() and len(text) < 3000, text
    return text
