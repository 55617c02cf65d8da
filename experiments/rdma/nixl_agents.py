"""NIXL, the transfer library of inference servers: objects in one agent's memory, read by another.

    python -m experiments.rdma.nixl_agents ADDRESS SIZE OBJECTS

holds objects: it prints {"event":"ready","pid":N,"port":N}, and sends its agent's metadata and the
place of its memory to each connection. NIXL comes from the wheel `nixl-cu12`, which is not in the
lock and works without a GPU: `.venv/bin/pip install --no-deps nixl-cu12`.
"""

import ctypes
import json
import os
import socket
import subprocess
import sys
import time

from benchpaper import capability
from experiments.rdma.contents import content
from experiments.systems import packages

PACKAGE = "nixl-cu12"
PATIENCE_S = 10.0
# UCX sets up a connection by tcp, whatever carries the data.
TLS = {"tcp": "tcp", "posix": "posix,tcp", "cma": "cma,posix,tcp"}


@capability(
    "nixl",
    "NIXL, with its plugin for UCX",
    "install it into the environment: .venv/bin/pip install --no-deps nixl-cu12",
    on_controller=True,
)
def _nixl():
    """Load it in a child process, because it starts threads."""
    if not packages.present(PACKAGE):
        return False, f"the package {PACKAGE} is not installed"
    code = "from nixl_cu12._api import nixl_agent"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    said = (done.stderr.strip().splitlines() or [""])[-1]
    return done.returncode == 0, packages.version(PACKAGE) if done.returncode == 0 else said


def _agent(name):
    from nixl_cu12._api import nixl_agent, nixl_agent_config

    return nixl_agent(name, nixl_agent_config(backends=["UCX"]))


def _register(agent, memory):
    place = (ctypes.addressof(memory), len(memory), 0, "")
    agent.register_memory(agent.get_reg_descs([place], "DRAM"))


class Reader:
    """Reads objects that another agent holds (`hold`)."""

    def __init__(self, target):
        with socket.create_connection((target["address"], target["port"]), PATIENCE_S) as peer:
            plan = json.loads(peer.makefile().readline())
        self._size, count = plan["size"], plan["objects"]
        self._buffer = ctypes.create_string_buffer(self._size)
        self._agent = _agent("reader")
        _register(self._agent, self._buffer)
        name = self._agent.add_remote_agent(bytes.fromhex(plan["metadata"]))
        name = name.decode() if isinstance(name, bytes) else name
        here = [(ctypes.addressof(self._buffer), self._size, 0)]
        there = [(plan["at"] + n * self._size, self._size, 0) for n in range(count)]
        self._here = self._agent.prep_xfer_dlist("NIXL_INIT_AGENT", here, "DRAM")
        self._there = self._agent.prep_xfer_dlist(name, there, "DRAM")

    def put(self, key, data):
        """Do nothing: the far side made the objects."""

    def get(self, key):
        number = int(key.rpartition("-")[2])
        request = self._agent.make_prepped_xfer("READ", self._here, [0], self._there, [number])
        state = self._agent.transfer(request)
        end = time.monotonic() + PATIENCE_S
        while state != "DONE":
            if state == "ERR" or time.monotonic() > end:
                raise OSError(f"NIXL could not read {key}: {state}")
            state = self._agent.check_xfer_state(request)
        self._agent.release_xfer_handle(request)
        return self._buffer.raw


def hold(address, size, objects):
    """Hold objects until stopped, and tell whoever connects where they are."""
    agent, contents = _agent("holder"), [content(number, size) for number in range(objects)]
    memory = ctypes.create_string_buffer(b"".join(contents), size * objects)
    _register(agent, memory)
    plan = {
        "metadata": agent.get_agent_metadata().hex(),
        "at": ctypes.addressof(memory),
        "size": size,
        "objects": objects,
    }
    with socket.create_server((address, 0)) as listener:
        port = listener.getsockname()[1]
        print(json.dumps({"event": "ready", "pid": os.getpid(), "port": port}), flush=True)
        while True:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(json.dumps(plan).encode() + b"\n")


if __name__ == "__main__":
    hold(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
