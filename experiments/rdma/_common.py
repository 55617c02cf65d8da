"""What the experiments over UCX declare alike."""

from benchpaper import Experiment, probe
from experiments.rdma import store
from experiments.systems import ucx

BUILD_NEEDS = ["cc", "ucx"]
NEEDS = {
    "null": [],
    "posix": ["shm", "shared_host"],
    "sysv": ["shm", "shared_host"],
    "cma": ["cma", "shared_host"],
    "tcp": ["loopback"],
    "rc": ["rdma", "verbs"],
    "dc": ["rdma", "verbs"],
    **{name: ["soft_roce", "verbs"] for name in ucx.SOFT_ROCE},
}


def needs(transport: str) -> list[str]:
    """Return the capabilities that a program over a UCX transport needs."""
    return [*BUILD_NEEDS, *NEEDS[transport]]


def tools() -> dict[str, str]:
    """Return the versions of what every such program is built with."""
    return {"ucx": ucx.version(), "cc": probe.compiler_version()}


def declare(experiment: Experiment) -> None:
    """Attach needs, tools, and build to an experiment on the store, with a factor `fabric`."""
    experiment.needs(lambda cell: needs(cell.fabric))
    experiment.uses(tools)
    experiment.build(needs=BUILD_NEEDS)(lambda folder: store.build(folder / "store"))
