"""Factors, scales, and needs that the experiments of this family share."""

from typing import Any

from benchpaper import Factor
from experiments.multiprotocol import stacks

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
# What starts within seconds; `multiprotocol/anomalies` alone starts the others at scale smoke too.
FAST = [*stacks.CONTROLS, stacks.LOCAL, *stacks.SYSTEMS]
SMOKE: dict[str, Any] = dict(system=[*FAST, "ganesha libnfs"], **ONLY_DEFAULT)
SMOKE_ALL: dict[str, Any] = dict(system=SECOND_CLIENT, **ONLY_DEFAULT)
# What a full scale measures is chosen so that the family takes less than an hour: no relaxed
# settings, in which nothing is seen for hours, and of the kernel's mounts those that differ most;
# `multiprotocol/close_to_open` compares all of them in one trial.
BOTH_SETTINGS: dict[str, Any] = dict(setting=["strict", "default"])
OF_GUESTS = ("nfsd", "nfsd kernel", "nfsd kernel v3", "nfsd kernel undelegated", "ganesha kernel")
FULL: dict[str, Any] = dict(system=[*SECOND_CLIENT, *OF_GUESTS], **BOTH_SETTINGS)
# RGW takes half a minute to start, and its overwrites show up on the file side after minutes.
WITHOUT_RGW = [system for system in SECOND_CLIENT if system != "rgw"]
# The file side of two gateways is S3, too: it has no rates of its own.
WITH_FILES = [system for system in ONE_CLIENT if system not in ("rgw", *stacks.SIDE_BY_SIDE)]
PATIENCE_MS = 65_000  # longer than the longest delay that a tested system documents, 60 s


def patience_s(site: Any) -> float:
    """Return for how long a trial waits for what is not seen.

    One block waits for `patience_ms`, and the others for `confirm_ms`. What is still not seen then
    has no delay, so that no delay is ever the patience.
    """
    counts = site.counts
    return float(counts.confirm_ms if site.block.number else counts.patience_ms) / 1e3


# SeaweedFS takes three seconds to start; a quick run cannot afford that in each experiment.
QUICK: dict[str, Any] = dict(system=[*stacks.CONTROLS, "rclone", "juicefs"], **ONLY_DEFAULT)
ROLES = ("server", "client")


def declare(experiment):
    """Attach the valid cells, their needs, and the versions of the systems to an experiment."""
    experiment.valid(lambda cell: stacks.valid(cell.system, cell.setting))
    experiment.needs(lambda cell: stacks.needs(cell.system))
    experiment.uses(stacks.versions)
