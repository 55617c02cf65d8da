"""The program `fi_reads`: reads through libfabric of objects that another process holds.

`main.c` says how it is called.
"""

import json
import subprocess
from pathlib import Path
from typing import Self

from benchpaper import Host
from experiments.rdma import fabric
from experiments.rdma.samples import fetch
from experiments.systems import libfabric, ucx
from experiments.systems.server import Started, announced

SOURCES = Path(__file__).parent
HEADROOM_S = 60  # that a reader may take to connect, on a busy machine
FLAGS = ("-std=c11", "-O3", "-march=x86-64-v2", "-Wall", "-Wextra", "-Werror")


class WrongContents(RuntimeError):
    """Objects came back different from what is held."""


def build(output, extra_flags=()):
    """Compile the program to `output`, and return it."""
    clocks = Path(fabric.__file__).parent
    sources = [*sorted(SOURCES.glob("*.c")), clocks / "clock.c"]
    flags = [*FLAGS, *extra_flags, "-I", clocks]
    command = ["cc", *flags, *sources, "-lfabric", "-ldl", "-o", output]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"cc could not compile {SOURCES}: {done.stderr.strip()[:2000]}")
    return output


class Holder(Started):
    """Process that holds `objects` objects of `size_bytes` for readers on `host`, or others.

    `ready` is what it reported: name, base, and key for its readers, and its pid.
    """

    def __init__(self, host: Host, binary: Path, fabric_name: str, size_bytes: int, objects: int):
        self._host, self.fabric = host, fabric_name
        self.size_bytes, self.objects = size_bytes, objects
        self._argv = [host.provide(binary), "hold", *self.common(host), host.cpus[0]]

    def common(self, host):
        """Return the arguments that both sides take."""
        provider = libfabric.PROVIDERS[self.fabric]
        address = host.address if provider.at_address else ""
        return [provider.name, address, self.size_bytes, self.objects]

    def __enter__(self) -> Self:
        variables = libfabric.PROVIDERS[self.fabric].environment
        self.process, self.ready = announced(self._host, self._argv, env=variables, timeout=60)
        return self

    def signal(self, name):
        """Send the holder a signal, by name."""
        self._host.run(["kill", f"-{name}", self.ready["pid"]])


def measure(host, holder, binary, reads, into="host", seed=1, max_seconds=5):
    """Read from `holder`, first while it runs and then while it is frozen; return what was seen.

    The result is what `fi_reads` printed, with `samples_us`. Raises `WrongContents` unless every
    object was right, `ucx.EvidenceMismatch` unless libfabric counted as many reads, and
    `ucx.TransportMismatch` if another provider carried them.
    """
    samples = host.scratch() / "samples.f64"
    argv = [
        host.provide(binary),
        "measure",
        *holder.common(host),
        host.cpus[-1],
        *(holder.ready[key] for key in ("name", "base", "key")),
        *(reads, max_seconds, into, seed % 2**32, samples),
    ]
    with host.start(argv, env=libfabric.PROVIDERS[holder.fabric].environment) as process:
        process.read_line(2 * max_seconds + HEADROOM_S)
        holder.signal("STOP")
        try:
            host.run(["kill", "-USR1", process.pid])
            result = json.loads(process.read_line(HEADROOM_S))
        finally:
            holder.signal("CONT")
        if process.wait(HEADROOM_S) != 0:
            raise RuntimeError(f"a reader failed: {process.stderr_text().strip()[-500:]}")
    result["samples_us"] = fetch(host, samples) / 1e3
    check(result, libfabric.PROVIDERS[holder.fabric].name)
    return result


def check(result, provider):
    """Raise unless `provider` carried all reads of a result, and every object was right."""
    reads = result["reads"]
    if provider not in result["provider"].split(";"):
        raise ucx.TransportMismatch(f"asked for {provider}, but {result['provider']} read")
    if result["right"] != reads or not reads:
        raise WrongContents(f"{reads - result['right']} of {reads} objects were wrong")
    if result["counted"] != reads or len(result["samples_us"]) != reads:
        raise ucx.EvidenceMismatch(f"{reads} reads, but libfabric counted {result['counted']}")


def check_emulation(level, result):
    """Raise `ucx.TransportMismatch` unless a level's name says whether the holder had to help."""
    came, tries = result["came_while_frozen"], result["tries_while_frozen"]
    if came != (0 if level.endswith(ucx.EMULATED) else tries):
        raise ucx.TransportMismatch(
            f"the level {level}, but {came} of {tries} reads came while the holder was frozen"
        )
