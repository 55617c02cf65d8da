"""What goes wrong when the network is bad, or a gateway is killed?"""

import json

from benchpaper import Evidence, Experiment, Factor, Metric, Scale
from experiments.multiprotocol import running, scales, stacks
from experiments.multiprotocol.anomalies.experiment import of_kinds
from experiments.multiprotocol.anomalies.kinds import KINDS

NO_FAULT, BAD_LINK, KILLED = "none", "delay and loss", "killed"
NETEM = ("delay", "5ms", "2ms", "loss", "1%")  # of what each host sends
LIMIT_S, AT_MOST_S = 20, 200
SYSTEMS = (stacks.LOCKED, *stacks.SYSTEMS)
# Kinds between both sides that take milliseconds; of the others, a fault would measure the wait.
TRIED = (
    "etag_unchanged", "stale_file_read", "stale_s3_read", "save_stale", "listing_misses",
    "half_written", "torn_s3_read", "save_half_done", "rename_half_done", "upload_seen_early",
    "lost_update", "saved_update_lost", "append_lost", "write_in_place_lost", "permissions_lost",
    "exclusive_twice", "deleted_comes_back",
)  # fmt: skip

if unknown := set(TRIED) - set(KINDS):
    raise ValueError(f"no kinds of anomaly: {', '.join(sorted(unknown))}")

experiment = Experiment(
    title="Anomalies under faults",
    question="What goes wrong when the network is bad, or a gateway is killed?",
    factors=[
        Factor("system", list(SYSTEMS), meaning="as in multiprotocol/anomalies"),
        Factor("setting", ["default"], meaning="what its makers ship"),
        Factor(
            "fault",
            [NO_FAULT, BAD_LINK, KILLED],
            meaning=f"{NO_FAULT}; {BAD_LINK}: each host's link does `{' '.join(NETEM)}` of "
            f"tc-netem(8); {KILLED}: the server of the file side is killed at a random moment of "
            "each try, and started again at once",
        ),
    ],
    within=[Factor("kind", list(TRIED), meaning="the kind of anomaly")],
    metrics=[
        Metric(
            "occurred",
            unit="1",
            better="lower",
            optional=True,
            meaning="share of the tries that could be judged in which the kind occurred",
        ),
        Metric("tries", unit="count", better="neither", meaning="tries that could be judged"),
        Metric(
            "told",
            unit="count",
            better="neither",
            meaning="tries that ended because an operation failed, so that its user knew",
        ),
    ],
    evidence=[
        Evidence("witness", "what was done in the first try in which the kind occurred (JSON)"),
        Evidence("trouble", "the first error of a try"),
        Evidence("outcome", "ran, or how the server ended"),
    ],
    roles=scales.ROLES,
    packages=running.PACKAGES,
    twin=dict(system="juicefs", setting="default", fault=NO_FAULT),
    controls=dict(system=[stacks.LOCKED]),
    timeout_s=300,
    scales=dict(
        smoke=Scale(
            blocks=2,
            trial_seconds=4,
            disk_mb=60,
            counts=dict(tries=1, kind_ms=0),
            system=[stacks.LOCKED, "juicefs"],
        ),
        quick=Scale(
            blocks=5,
            trial_seconds=4,
            disk_mb=60,
            counts=dict(tries=1, kind_ms=0),
            system=[stacks.LOCKED, "juicefs"],
        ),
        full=Scale(blocks=5, trial_seconds=5, disk_mb=200, counts=dict(tries=20, kind_ms=150)),
    ),
)


@experiment.needs
def needs(cell):
    return [*stacks.needs(cell.system), *(["own_kernel"] if cell.fault == BAD_LINK else [])]


@experiment.valid
def valid(cell):
    """True unless the store in memory would need a link, or a server."""
    return cell.system != stacks.LOCKED or cell.fault == NO_FAULT


experiment.uses(stacks.versions)


@experiment.trial
def trial(cell, site):
    hosts = {id(host): host for host in (site.server, site.client)}.values()

    def shaped():
        for host in hosts:
            host.netem(*NETEM)

    said, outcome = running.run(
        site,
        cell,
        AT_MOST_S,
        what="anomalies",
        shaped=shaped if cell.fault == BAD_LINK else None,
        kinds=list(TRIED),
        kill=cell.fault == KILLED,
        tries=site.counts.tries,
        kind_s=site.counts.kind_ms / 1e3,
        patience_s=1,
        seed=site.seed % 1000,
        limit_s=LIMIT_S,
    )
    if not said:
        raise RuntimeError(f"the probe found nothing: {outcome}")
    for kind, result in of_kinds(said).items():
        yield {
            "kind": kind,
            **({"occurred": result["seen"] / result["tries"]} if result["tries"] else {}),
            "tries": result["tries"],
            "told": result["told"],
            "witness": json.dumps(result["witness"]),
            "trouble": result["error"] or "",
            "outcome": outcome,
        }
