"""UCX as a system under test: its library, its transports, and what it says that it does.

UCX comes from the wheel `libucx-cu12`, which is found by name and never loaded into this process.
"""

import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from benchpaper import capability
from experiments.systems import packages, soft_roce

OPERATIONS = ("put", "get", "message")


class TransportMismatch(RuntimeError):
    """UCX took another transport than the requested one."""


class EvidenceMismatch(RuntimeError):
    """The counts of the two sides, or the arrived contents, contradict the measurement."""


@dataclass(frozen=True)
class Transport:
    """One way to move bytes: what to ask UCX for, and UCX's names for what it then takes."""

    tls: str  # the value of UCX_TLS
    names: tuple[str, ...]
    extra: dict[str, str] = field(default_factory=dict)
    executed_by_authors: bool = True
    patience: int = 1  # how many times longer than usual to wait for its programs
    handles_errors: bool = False  # whether UCX is asked to tell of a failed peer (adapters do)


# UCX hooks the process's memory calls, to forget registrations of unmapped memory. Only adapters
# have registrations, and the hooks cost 0.4 s at each start (50 ms for each of eight hooks).
_NO_HOOKS = {"UCX_MEM_EVENTS": "n"}

SOFT, LOSSY = "rc_soft_roce", "rc_soft_roce_lossy"
SOFT_ROCE = (SOFT, LOSSY)
TRANSPORTS = {
    "posix": Transport("posix", ("posix",), _NO_HOOKS),
    "sysv": Transport("sysv", ("sysv",), _NO_HOOKS),
    # cma copies between address spaces, but cannot set up a connection or carry a short message;
    # sysv does that. Ordinary memory (mmap) keeps UCX from doing puts through sysv's shared memory
    # instead.
    "cma": Transport("cma,sysv", ("cma",), {"UCX_ALLOC_PRIO": "mmap", **_NO_HOOKS}),
    "tcp": Transport("tcp", ("tcp",), _NO_HOOKS),
    # From UCX's documentation. The authors have no RDMA NIC, and their wheel is built without
    # verbs: set BENCHPAPER_UCX to the prefix of a UCX with verbs (`ucx_with_verbs` makes one). UCX
    # brings up rc and dc connections over ud by itself.
    "rc": Transport("rc", ("rc_mlx5", "rc_verbs"), executed_by_authors=False, handles_errors=True),
    "dc": Transport("dc", ("dc_mlx5",), executed_by_authors=False, handles_errors=True),
    # The same code as rc, over the kernel's soft-RoCE device of an emulated guest.
    **dict.fromkeys(
        SOFT_ROCE,
        Transport(
            "rc",
            ("rc_verbs",),
            _NO_HOOKS,
            executed_by_authors=False,
            patience=10,
            handles_errors=True,
        ),
    ),
}
# Where UCX carries out one-sided reads by messages and the other side's CPU. Levels say so in their
# names, and trials compare them with UCX's own words.
EMULATING = ("posix", "sysv", "tcp")
EMULATED = "-emulated"

# Below its own threshold (5 to 6 KiB here) UCX copies messages through sysv; above, the receiver
# reads by cma.
CMA_MESSAGE_BYTES = 32768


def supported(transport, operation, size_bytes, outstanding):
    """True if UCX takes `transport` in this cell, and the cell makes sense."""
    if size_bytes < 8 or size_bytes % 8:
        return False  # the last eight bytes carry a sequence number
    if transport == "cma" and operation == "message":
        return size_bytes >= CMA_MESSAGE_BYTES
    if transport in ("posix", "sysv") and operation == "put":
        # A put to shared memory is a memcpy that is finished when it is posted. There is never a
        # second one in flight, and without a reader, many in a row measure the writer's own cache
        # (80 GB/s and more).
        return outstanding == 1
    return True


def read_level(name, transport):
    """Return the name of a level that reads by `ucp_get` over a transport.

    >>> read_level("get", "posix"), read_level("get", "cma")
    ('get-emulated', 'get')
    """
    return name + EMULATED if transport in EMULATING else name


# ---- the library and the program ----


def version():
    """Return the version of the wheel, or "none"."""
    return packages.version("libucx-cu12")


@capability(
    "ucx",
    "UCX, its library and headers",
    "remove .venv, then run ./reproduce; or set BENCHPAPER_UCX to the prefix of one",
    on_controller=True,
)
def _ucx():
    own = os.environ.get("BENCHPAPER_UCX")
    if not own and version() == packages.NONE:
        return False, "the package libucx-cu12 is not installed"
    return True, "of BENCHPAPER_UCX" if own else version()


def folder():
    """Return the folder with UCX's `include`, `lib`, `bin`: $BENCHPAPER_UCX, else the wheel's."""
    chosen = os.environ.get("BENCHPAPER_UCX")
    if chosen:
        return Path(chosen)
    return packages.folder("libucx")


def compile_flags():
    """Return the compiler's flags; the binary holds no library path (see `environment`)."""
    ucx = folder()
    return [
        "-std=c11",
        "-O3",
        "-march=x86-64-v2",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-isystem",
        str(ucx / "include"),
        f"-L{ucx / 'lib'}",
        "-Wl,--allow-shlib-undefined",
    ]


def build(sources, output, extra_flags=()):
    """Compile the C files of the folder `sources` to one program with `cc`; return `output`."""
    files = sorted(map(str, Path(sources).glob("*.c")))
    command = ["cc", *compile_flags(), *extra_flags, *files, "-o", str(output), "-lucp", "-lucs"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"cc could not compile {sources}: {done.stderr.strip()[:2000]}")
    return Path(output)


def environment(host, transport, device=None):
    """Return the environment in which UCX uses `transport` on `host`.

    With `device`, UCX uses only that network device.
    """
    chosen = TRANSPORTS[transport]
    variables = {
        "LD_LIBRARY_PATH": str(host.provide(folder() / "lib")),
        "UCX_TLS": chosen.tls,
        "UCX_LOG_FILE": "stderr",  # UCX's default is standard output, where our JSON goes
        "UCX_LOG_LEVEL": "fatal",
        "UCX_HANDLE_ERRORS": "none",
        "UCX_WARN_UNUSED_ENV_VARS": "n",
        **chosen.extra,
    }
    if device:
        variables["UCX_NET_DEVICES"] = device
    return variables


def host_environment(host, transport):
    """Return `environment` for `host`; tcp and soft-RoCE use the device with the host's address.

    By default, UCX spreads large tcp transfers over all devices of the host. In one case, 48 % of a
    loopback transfer went over eth0.
    """
    device = None
    if transport == "tcp":
        lines = host.run(["ip", "-o", "addr", "show", "to", host.address]).stdout.split()
        device = lines[1].split("@")[0] if len(lines) > 1 else None
    if transport in SOFT_ROCE:
        device = soft_roce.device(host)
    return environment(host, transport, device)


@capability(
    "verbs",
    "a UCX that is built with verbs",
    "set BENCHPAPER_UCX to the prefix of one; the wheel has none "
    "(experiments/systems/ucx_with_verbs.py makes one)",
    on_controller=True,  # the hosts get the UCX of this machine
)
def _verbs():
    """Check whether this UCX knows a verbs transport at all, NIC or not."""
    present, detail = _ucx()
    if not present:
        return False, detail
    libraries = list((folder() / "lib" / "ucx").glob("libuct_ib*.so*"))
    return bool(libraries), "UCX has verbs" if libraries else "UCX is built without verbs"


# ---- what UCX did ----


def parse_protocol(text):
    """Return the transports and the protocol that UCX names in its description of an operation.

    >>> parse_protocol("{proto} am_send from host memory length 8 short posix/memory 74.3 MB/s")
    ('posix', 'short')
    """
    described = re.search(r"length \d+ (?P<how>.*?)(?=(?:\d+% on )?[a-z]\w*/)(?P<where>.*)", text)
    if not described:
        raise TransportMismatch(
            f'UCX describes the operation as "{text}", which names no transport'
        )
    names = sorted(set(re.findall(r"\b([a-z]\w*)/\S", described["where"])))
    return "+".join(names), described["how"].strip()


def check_transport(result):
    """Raise `TransportMismatch` unless UCX took the requested transport."""
    allowed = TRANSPORTS[result["transport"]].names
    if any(name not in allowed for name in result["transport_used"].split("+")):
        raise TransportMismatch(
            f"asked for {result['transport']}, but UCX does a {result['operation']} "
            f"of {result['size_bytes']} B over "
            f'{result["transport_used"]} ("{result["protocol_used"]}"); '
            "declare such cells in ucx.supported"
        )


def check_emulation(level, protocol_used):
    """Raise `TransportMismatch` unless a level's name says whether UCX emulates its reads."""
    if level.endswith(EMULATED) != ("emulation" in protocol_used):
        raise TransportMismatch(
            f'the level {level}, but UCX says "{protocol_used}"; correct ucx.EMULATING'
        )


def bracketed(address):
    """Return an address as it stands before a port: IPv6 in brackets."""
    return f"[{address}]" if ":" in address else address
