"""How long does a checkpoint hold up training, when is it safe, and what does a crash leave?"""

import json

from benchpaper import Experiment, Factor, Metric, Scale
from experiments.systems import packages, rclone, s3, seaweedfs
from experiments.systems.environment import faulty_disk, write_log
from experiments.training_io import backends
from experiments.training_io.clients import checkpoint, checkpoint_power, checkpoint_s3

CRASH_KIB = 32
MULTIPART_CRASH = dict(kib=12 << 10, shards=2)  # two parts per shard
NEEDS = {
    "multipart": [*rclone.NEEDS_S3, s3.BOTO],
    "multipart-seaweedfs": [*seaweedfs.NEEDS, s3.BOTO],
}
# In a guest whose power is cut: no times are taken there.
POWER_CUTS = {
    f"{method}-power-{kind}": dict(method=method, file_system=kind)
    for method in ("overwrite-fsync", "rename", "rename-fsync")
    for kind in ("ext4", "xfs")
}
# The methods that save large states, which takes seconds a time.
LARGE = {256: ("rename-fsync", "async"), 1024: ("rename-fsync",)}
SERVERS = {"multipart": rclone.S3, "multipart-seaweedfs": seaweedfs.SeaweedFS}

experiment = Experiment(
    title="Checkpoints",
    question="How long does a checkpoint hold up training, when is it safe, and what does a crash "
    "leave?",
    factors=[
        Factor(
            "method",
            [
                *checkpoint.METHODS[:-1],
                "multipart-seaweedfs",
                *POWER_CUTS,
                checkpoint.METHODS[-1],
            ],
            meaning="multipart goes to S3 (by rclone, or SeaweedFS), null nowhere, the others to a "
            "file system, async from a copy; power is cut to a guest's ext4 or xfs",
        ),
        Factor("size_mib", [16, 64, 256, 1024], unit="MiB"),
        Factor("shards", [1, 4]),
    ],
    metrics=[
        Metric(
            "blocking_ms",
            unit="ms",
            better="lower",
            optional=True,
            meaning="until training may go on",
        ),
        Metric(
            "durable_ms",
            unit="ms",
            better="lower",
            optional=True,
            meaning="from the beginning until all is synced; over S3 until the server's last "
            "answer, which promises it",
        ),
        Metric(
            "restore_ms",
            unit="ms",
            better="lower",
            optional=True,
            meaning="until the state was read and checked, its pages dropped before",
        ),
        Metric(
            "blocking_mb_s",
            unit="MB/s",
            better="higher",
            optional=True,
            meaning="bytes of the state over the blocking time",
        ),
        Metric(
            "durable_mb_s",
            unit="MB/s",
            better="higher",
            optional=True,
            meaning="bytes of the state over the time until it is durable",
        ),
        Metric(
            "bound_mb_s",
            unit="MB/s",
            better="higher",
            optional=True,
            meaning="the bound of that rate: the same bytes, written in order to one new file in "
            "the same folder and synced once, right after",
        ),
        Metric(
            "of_bound",
            unit="1",
            better="higher",
            optional=True,
            meaning="the rate until it is durable over its bound",
        ),
        Metric(
            "crash_points",
            unit="1",
            better="neither",
            optional=True,
            meaning="operations of a small save, or its requests over S3, before each of which the "
            "process was killed",
        ),
        Metric(
            "crash_lost_share",
            unit="1",
            better="lower",
            optional=True,
            meaning="share of these crashes after which neither the old nor the new state could be "
            "loaded",
        ),
        Metric(
            "uploads_left",
            unit="1",
            better="neither",
            optional=True,
            meaning="unfinished multipart uploads that these crashes left; each was listed and "
            "aborted",
        ),
        Metric(
            "power_cuts",
            unit="1",
            better="neither",
            optional=True,
            meaning="writes and barriers of a small save, after each of which the power was cut",
        ),
        Metric(
            "power_lost_share",
            unit="1",
            better="lower",
            optional=True,
            meaning="share of the bytes written during whose writing a power cut leaves neither "
            "the old nor the new state to load",
        ),
    ],
    packages=(*backends.PACKAGES, "boto3"),
    twin=dict(method="rename-fsync", size_mib=16, shards=4),
    scales=dict(
        smoke=Scale(blocks=2, trial_seconds=1.0, disk_mb=150, size_mib=[16], shards=[4]),
        quick=Scale(
            blocks=5,
            trial_seconds=0.8,
            disk_mb=150,
            size_mib=[16],
            shards=[4],
            method=[
                "overwrite-fsync",
                "rename",
                "rename-fsync",
                "overwrite-fsync-power-xfs",
                "rename-fsync-power-xfs",
                "multipart",
                "null",
            ],
        ),
        # A state of 1 GiB takes 12 s, and most others less than one.
        full=Scale(blocks=8, trial_seconds=1.4, disk_mb=4500),
    ),
)


def is_base(cell):
    return (cell.size_mib, cell.shards) == (16, 4)


@experiment.valid
def valid(cell):
    if cell.method == "multipart-seaweedfs" or cell.method in POWER_CUTS:
        return is_base(cell)
    if cell.size_mib > 64:
        return cell.shards == 4 and cell.method in LARGE[cell.size_mib]
    return cell.size_mib == 16 or (cell.shards == 4 and not cell.method.startswith("overwrite"))


@experiment.needs
def needs(cell):
    if cell.method in POWER_CUTS:
        return [packages.XXHASH, *faulty_disk.needs(POWER_CUTS[cell.method]["file_system"])]
    return [packages.XXHASH, *(["loopback", *NEEDS[cell.method]] if cell.method in SERVERS else [])]


@experiment.uses
def tools():
    return {"rclone": rclone.version(), "seaweedfs": seaweedfs.version()}


@experiment.trial
def trial(cell, site):
    result = (cut_power if cell.method in POWER_CUTS else save)(cell, site.client)
    megabytes = cell.size_mib * 2**20 / 1e6
    durable_mb_s, bound_mb_s = (
        1e3 * megabytes / result[name] if result.get(name) else None
        for name in ("durable_ms", "bound_ms")
    )
    blocking_ms, points = result.get("blocking_ms"), result.get("crash_points")
    yield {
        "blocking_ms": blocking_ms,
        "durable_ms": result.get("durable_ms"),
        "restore_ms": result.get("restore_ms"),
        "blocking_mb_s": 1e3 * megabytes / blocking_ms if blocking_ms else None,
        "durable_mb_s": durable_mb_s,
        "bound_mb_s": bound_mb_s,
        "of_bound": durable_mb_s / bound_mb_s if durable_mb_s and bound_mb_s else None,
        "crash_points": points,
        "crash_lost_share": result["crash_lost"] / points if points else None,
        "uploads_left": result.get("uploads_left"),
        "power_cuts": result.get("power_cuts"),
        "power_lost_share": result.get("power_lost_share"),
    }


def save(cell, host):
    method = "multipart" if cell.method in SERVERS else cell.method
    plan = dict(method=method, mib=cell.size_mib, shards=cell.shards)
    if cell.method in SERVERS:
        with SERVERS[cell.method](host) as server:
            target = dict(endpoint=server.endpoint.as_dict())
            result = run(host, checkpoint, plan | dict(target=target))
            if is_base(cell):
                result |= run(host, checkpoint_s3, MULTIPART_CRASH | target)
            return result
    # In the background, async does what rename-fsync does.
    crash = dict(crash_kib=CRASH_KIB) if cell.method in checkpoint.FILE_METHODS else {}
    return run(host, checkpoint, plan | crash | dict(target=dict(folder=str(host.scratch()))))


def cut_power(cell, host):
    folder = host.scratch()
    host.undo("a disk whose writes are logged", write_log.undo(folder))
    plan = dict(folder=str(folder), kib=CRASH_KIB, shards=cell.shards)
    return run(host, checkpoint_power, plan | POWER_CUTS[cell.method])


def run(host, program, plan):
    return json.loads(host.run([host.python, "-m", program.__name__, json.dumps(plan)]).stdout)
