"""Factors, scales, and needs that the experiments of this family share."""

from typing import Any

from benchpaper import Factor
from experiments.multiprotocol import kernel, stacks

FACTORS = [
    Factor(
        "system",
        list(stacks.LEVELS),
        meaning="what gives a file view and an S3 view of the same data; "
        "NFS through nfs-rs, or where it says so libnfs or the kernel with an option of nfs(5); "
        "of two gateways side by side, one gives the file view",
    ),
    Factor(
        "setting", list(stacks.SETTINGS), meaning="how long its caches trust what they remember"
    ),
]
CONTROLS = dict(system=list(stacks.CONTROLS))
TWIN = dict(system="juicefs", setting="default")  # the noisiest system that every scale measures
ONLY_DEFAULT: dict[str, Any] = dict(setting=["default"])
ONE_CLIENT = [*stacks.CONTROLS, stacks.LOCAL, *stacks.ALL]
SECOND_CLIENT = [*ONE_CLIENT, "ganesha libnfs"]
KERNEL_CLIENT = [*SECOND_CLIENT, *stacks.IN_GUESTS, *kernel.CLIENTS]
# What starts within seconds; `multiprotocol/anomalies` alone starts the others at scale smoke too.
FAST = [*stacks.CONTROLS, stacks.LOCAL, *stacks.SYSTEMS]
SMOKE: dict[str, Any] = dict(system=[*FAST, "ganesha libnfs"], **ONLY_DEFAULT)
SMOKE_ALL: dict[str, Any] = dict(system=SECOND_CLIENT, **ONLY_DEFAULT)
# SeaweedFS takes three seconds to start; a quick run cannot afford that in each experiment.
QUICK: dict[str, Any] = dict(system=[*stacks.CONTROLS, "rclone", "juicefs"], **ONLY_DEFAULT)
ROLES = ("server", "client")


def declare(experiment):
    """Attach the valid cells, their needs, and the versions of the systems to an experiment."""
    experiment.valid(lambda cell: stacks.valid(cell.system, cell.setting))
    experiment.needs(lambda cell: stacks.needs(cell.system))
    experiment.uses(stacks.versions)
