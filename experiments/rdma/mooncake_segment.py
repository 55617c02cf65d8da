"""Member of Mooncake's store that only brings a segment of memory: the far side of GETs.

    python -m experiments.rdma.mooncake_segment ADDRESS MASTER:PORT METADATA BYTES

It prints {"event":"ready","pid":N} and holds the segment until it is stopped.
"""

import json
import os
import signal
import sys

from mooncake.store import MooncakeDistributedStore

BUFFER = 16 << 20


def hold(address, master, metadata, size):
    """Join the store of `master` with a segment of `size` bytes, and stay until stopped."""
    store = MooncakeDistributedStore()
    status = store.setup(address, metadata, int(size), BUFFER, "tcp", "", master)
    if status != 0:
        sys.exit(f"Mooncake's segment could not be set up: status {status}")
    print(json.dumps({"event": "ready", "pid": os.getpid()}), flush=True)
    signal.pause()


if __name__ == "__main__":
    hold(*sys.argv[1:])
