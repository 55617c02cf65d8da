"""libfabric, a second library of one-sided reads: where it is, and which provider carries what.

It comes from the Debian package libfabric-dev, which brings its library and headers.
"""

import re
from ctypes.util import find_library
from dataclasses import dataclass, field
from pathlib import Path

from benchpaper import capability

HEADER = Path("/usr/include/rdma/fabric.h")
LIBRARY = "fabric"


@dataclass(frozen=True)
class Provider:
    """A provider, how it is set up, and whether it binds to an address of its host."""

    name: str
    at_address: bool = False
    environment: dict[str, str] = field(default_factory=dict)


# By our names of fabrics. Over shared memory, the kernel copies between the processes (cma) where
# it may; else the far side's library answers (posix).
PROVIDERS = {
    "cma": Provider("shm"),
    "posix": Provider("shm", environment={"FI_SHM_DISABLE_CMA": "1"}),
    "tcp": Provider("tcp", at_address=True),
    # From libfabric's documentation: the authors have no adapter.
    "rc": Provider("verbs", at_address=True),
}


@capability("libfabric", "libfabric, its library and headers", "install libfabric-dev")
def _libfabric() -> tuple[bool, str]:
    if not find_library(LIBRARY):
        return False, "the linker finds no libfabric"
    if not HEADER.exists():
        return False, f"no {HEADER}"
    return True, version()


def version() -> str:
    """Return the version of the interface in the headers, or "none"."""
    if not HEADER.exists():
        return "none"
    text = HEADER.read_text()
    parts = [re.search(rf"#define FI_{name}_VERSION\s+(\d+)", text) for name in ("MAJOR", "MINOR")]
    return ".".join(part[1] if part else "?" for part in parts)
