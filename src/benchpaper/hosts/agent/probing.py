"""Probes capabilities on a target host, in a process of its own.

The project's own probes are in modules of experiments/. The process imports them one by one from
the copy of the project that the controller sent, so that a module that does not import there costs
only its own capabilities.
"""

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping

from benchpaper.core.capabilities import CAPABILITIES
from benchpaper.core.emulation import EMULATED, SLOWER
from benchpaper.core.printable import printable_line
from benchpaper.hosts import HostError, facts

TIMEOUT_S = 50.0  # less than the controller's patience

Answers = dict[str, tuple[bool, str]]  # {capability: (present, detail)}


def ask(python: str, modules: Mapping[str, str]) -> Answers:
    """Return the answers of a new process, which runs `python` with the project on its path.

    `modules` is {capability: module that registers it}. Raises `HostError` if the process fails.
    """
    command = [python, "-P", "-m", "benchpaper.hosts.agent.probing"]
    seconds = TIMEOUT_S * (SLOWER if facts.virtualised().startswith(EMULATED) else 1)
    try:
        done = subprocess.run(
            command, input=json.dumps(modules), capture_output=True, text=True, timeout=seconds
        )
    except subprocess.TimeoutExpired:
        raise HostError(f"its capabilities took more than {seconds:g} s to probe") from None
    if done.returncode:
        last = printable_line(done.stderr.rstrip().rpartition("\n")[2])
        raise HostError(f"its capabilities could not be probed: {last}")
    answers: Answers = json.loads(done.stdout)
    return answers


def answers(modules: Mapping[str, str]) -> Answers:
    """Return the answers of this host; a capability that nothing registers here is absent."""
    reasons = {module: _import(module) for module in sorted(set(modules.values()))}
    return {
        name: CAPABILITIES[name].check()
        if name in CAPABILITIES
        else (False, f"its probe did not run there: {reasons[module]}")
        for name, module in modules.items()
    }


def _import(module: str) -> str:
    """Import a module; return why its capabilities may be missing."""
    try:
        importlib.import_module(module)
    except (Exception, SystemExit) as error:
        return f"{module} does not import: {type(error).__name__}: {' '.join(str(error).split())}"
    return f"{module} alone does not register it"


def _main() -> None:
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a probe prints must not mix with the answer
    json.dump(answers(json.load(sys.stdin)), answer)


if __name__ == "__main__":
    _main()
