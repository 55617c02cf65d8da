"""How a process ended, in words. Standard library only: target hosts run it too."""

import signal
from pathlib import Path

_killed_before = 0  # processes that the kernel had killed for want of memory


def killed_for_memory() -> int:
    """Return how many processes this machine's kernel has killed for want of memory since boot."""
    try:
        lines = Path("/proc/vmstat").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))


def begin() -> None:
    """Count from now on what the kernel kills for want of memory."""
    global _killed_before
    _killed_before = killed_for_memory()


def status(returncode: int) -> str:
    """Return "status 1", or the signal and what may be behind it."""
    killed = killed_for_memory() - _killed_before if returncode == -signal.SIGKILL else 0
    why = f" (the machine ran out of memory: its kernel killed {killed} in this trial)"
    return f"{plain(returncode)}{why if killed > 0 else ''}"


def plain(returncode: int) -> str:
    """Return "status 1" or "signal SIGKILL"."""
    return f"status {returncode}" if returncode >= 0 else f"signal {signal_name(-returncode)}"


def signal_name(number: int) -> str:
    """Return the name of a signal, real-time signals included."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIGRTMIN+{number - signal.SIGRTMIN}"
