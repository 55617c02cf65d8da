"""Kill a process between taking a place in a queue of shared memory and filling it.

That takes some tens of nanoseconds, so a kill at random almost never hits it. Here the process is
traced, step by step, until the queue's head has moved.
"""

import ctypes
import os
import signal
import struct
import time

ATTACH, STEP = 16, 9  # of ptrace(2)
MOST_STEPS = 2_000_000
_libc = ctypes.CDLL(None, use_errno=True)


def _ptrace(request, pid):
    _libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    if _libc.ptrace(request, pid, None, None) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _heads(pid):
    """Return {address: head} of the queues in the memory that a process shares: their first words.

    A sender takes a place by moving the head; the receiver moves another word, the tail.
    """
    heads = {}
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            span, rights, *_, name = line.split(maxsplit=5)
            if "rw" in rights and "s" in rights and "ucx" in name:
                begin = int(span.split("-")[0], 16)
                heads[begin] = struct.unpack("<Q", os.pread(memory.fileno(), 8, begin))[0]
    return heads


def growing(pid, seconds=60.0):
    """Return the addresses of heads that move while a process answers messages: to it, and back."""
    before, end, moved = _heads(pid), time.monotonic() + seconds, []
    while len(moved) < 2 and time.monotonic() < end:
        time.sleep(0.05)
        now = _heads(pid)
        moved = [place for place in now if 0 < now[place] - before.get(place, now[place]) < 1 << 32]
    return moved


def kill_midway(sender, server):
    """Kill `sender` (a process id) right after it took a place in a queue of `server`.

    Returns the number of instructions that it was watched for.
    """
    places = growing(server)
    assert len(places) >= 2, "no queue in the server's shared memory moves: who sends to it?"
    _ptrace(ATTACH, sender)
    os.waitpid(sender, 0)
    with open(f"/proc/{server}/mem", "rb", 0) as memory:

        def now():
            return [os.pread(memory.fileno(), 8, place) for place in places]

        time.sleep(0.2)  # the server takes what was sent, and then sends nothing
        before = now()
        for step in range(MOST_STEPS):
            _ptrace(STEP, sender)
            os.waitpid(sender, 0)
            if now() != before:
                os.kill(sender, signal.SIGKILL)
                os.waitpid(sender, 0)
                return step
    raise AssertionError(f"{MOST_STEPS} steps without a message")
