"""Makes an anomaly happen again on a fresh server, and prints what was done:

    python -m experiments.multiprotocol.replay seaweedfs default lost_update

exit status: 0 it occurred, 1 it did not in so many tries, 2 a mistake in the arguments
"""

import argparse
import shutil
import sys
import tempfile
from types import SimpleNamespace

from benchpaper.hosts.local import LocalHost
from experiments.multiprotocol import running, stacks
from experiments.multiprotocol.anomalies.kinds import KINDS


def main(arguments=None):
    made = argparse.ArgumentParser(
        prog="python -m experiments.multiprotocol.replay", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    made.add_argument("system", choices=[*stacks.SYSTEMS, *stacks.CONTROLS])
    made.add_argument("setting", choices=stacks.SETTINGS)
    made.add_argument("kind", choices=list(KINDS))
    made.add_argument("--tries", type=int, default=10)
    asked = made.parse_args(arguments)
    folder = tempfile.mkdtemp(prefix="replay-")
    try:
        found = replay(LocalHost(folder=folder), asked.system, asked.setting, asked.kind, asked.tries)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for begin, end, side, operation, given, result in found["witness"] or []:
        print(f"{begin:>8} to {end:>8} µs  {side:>4}  {operation}({', '.join(map(str, given))}) -> {result}")
    print(f"{asked.kind}: {found['seen']} of {found['tries']} tries" + (f"; {found['error']}" if found["error"] else ""))
    return 0 if found["seen"] else 1


def replay(host, system, setting, kind, tries):
    """Start the system afresh, try one kind, and return what the probe said of it."""
    site, cell = SimpleNamespace(server=host, client=host), SimpleNamespace(system=system, setting=setting)
    said, outcome = running.run(site, cell, 60, what="anomalies", kinds=[kind], tries=tries, slow_tries=tries, seed=1, limit_s=50)
    return said[0] if said else dict(kind=kind, tries=0, seen=0, witness=None, error=outcome)


if __name__ == "__main__":
    sys.exit(main())
