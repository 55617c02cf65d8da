"""Programs of the object store, run for its tests."""

import json

from experiments.rdma import store
from experiments.systems import ucx

SIZE, OBJECTS = 4096, 256
PATIENT_S = 30.0  # a lease that a server outlives which does not get its turn for a while


def measure(*arguments, **more):
    return store.measure(*arguments, lease_s=PATIENT_S, **more)


def shell(host, binary, server, *words, path="cached", lease=PATIENT_S, check=True):
    """Run commands of the store's shell; return the answer to each."""
    argv = [
        binary,
        "shell",
        "--connect",
        server.address,
        "--path",
        path,
        "--cpu",
        host.cpus[-1],
        "--lease",
        lease,
        *words,
    ]
    done = host.run(argv, env=ucx.host_environment(host, server.transport), check=check)
    return [json.loads(line) for line in done.stdout.splitlines()] if check else done
