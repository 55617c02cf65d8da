"""For how long does a kernel's NFS client show what was before?"""

import json

from benchpaper import Evidence, Experiment, Factor, Metric, Scale
from experiments.multiprotocol import kernel, running, scales, stacks, staleness
from experiments.systems.nfs_mount import NfsMount, options_of

ANOTHER, BY_S3 = "another client", "s3"
FOLDER = "watched"
# nfs(5): for how long the client trusts attributes without asking, unless the mount says otherwise.
DEFAULTS_S = {"acregmin": 3, "acregmax": 60, "acdirmin": 30, "acdirmax": 60}
OF_FOLDERS = staleness.MADE_LATER  # ways of looking that need the folder's attributes
CLIENTS = {name: client for name, client in kernel.CLIENTS.items() if client.mounts == 1}

experiment = Experiment(
    title="Staleness of the kernel's NFS client",
    question="For how long does a kernel's NFS client show what was before?",
    factors=[
        Factor(
            "system",
            list(CLIENTS),
            meaning="the NFS server, and the mount of the kernel that watches",
        ),
        Factor(
            "changed_by",
            [ANOTHER, BY_S3],
            meaning="who changes the files: the kernel's client on the server's host, or a PUT "
            "through the S3 side",
        ),
    ],
    within=[
        Factor(
            "way",
            list(staleness.WAYS),
            meaning="how the client looks: size by stat, content by open and read, content of a "
            "file held open, an absent name by stat, a new name in the listing",
        )
    ],
    metrics=[
        Metric(
            "delay_s",
            unit="s",
            better="lower",
            optional=True,
            meaning="from when the watching client learns of the change until it sees it, "
            "measured on that client; left out if not seen while it watched",
        ),
        Metric(
            "unseen",
            unit="1",
            better="lower",
            meaning="1 if the change was not seen in the time watched, else 0",
        ),
        Metric("watched_s", unit="s", better="neither", meaning="for how long the client watches"),
        Metric(
            "documented_s",
            unit="s",
            better="neither",
            meaning="the bound of nfs(5) that is in force: acregmax, or acdirmax for names",
        ),
    ],
    evidence=[Evidence("mounted", "the options of the mount that the kernel reports (JSON)")],
    roles=scales.ROLES,
    packages=running.PACKAGES,
    twin=dict(system="nfsd kernel noac", changed_by=ANOTHER),
    timeout_s=240,
    scales=dict(
        smoke=Scale(
            blocks=2,
            trial_seconds=12,
            disk_mb=5,
            counts=dict(watched_s=4),
            system=["nfsd kernel", "nfsd kernel noac"],
        ),
        quick=Scale(
            blocks=5,
            trial_seconds=12,
            disk_mb=5,
            counts=dict(watched_s=4),
            system=["nfsd kernel", "nfsd kernel noac"],
            changed_by=[BY_S3],
        ),
        # Longer than every documented delay: nfs(5), Ganesha and SeaweedFS document 60 s.
        full=Scale(blocks=5, trial_seconds=60, disk_mb=5, counts=dict(watched_s=75)),
    ),
)


@experiment.needs
def needs(cell):
    return [*stacks.needs(cell.system), "second_nfs_client"]


experiment.uses(stacks.versions)


@experiment.trial
def trial(cell, site):
    client, watched_s = CLIENTS[cell.system], site.counts.watched_s
    stack = stacks.Stack(site.server, cell.system, "default", client=site.client)
    with (
        stack as views,
        NfsMount(site.server, stack.export, client.version, options=["noac"]) as there,
    ):
        [path] = views["file"]["paths"]
        _run(site.server, "prepare", there.path / FOLDER)
        watch = ["watch", f"{path}/{FOLDER}", watched_s, site.client.address]
        with site.client.start(_program(site.client, *watch)) as process:
            port = json.loads(process.read_line(60))["port"]
            if cell.changed_by == ANOTHER:
                watcher = site.server.address_of(site.client)
                _run(site.server, "change", there.path / FOLDER, watcher, port)
            else:
                endpoint = json.dumps(views["s3"])
                _run(site.client, "put", endpoint, FOLDER, site.client.address, port)
            delays = json.loads(process.read_line(watched_s + 60))
        mounted = options_of(site.client, path)
    yield from rows(delays, mounted, watched_s)


def _program(host, *words):
    return [host.python, "-m", staleness.__name__, *words]


def _run(host, *words):
    host.run(_program(host, *words), timeout=60)


def rows(delays, mounted, watched_s):
    """Yield an observation for each way of looking, from {way: seconds or None}.

    `mounted` are the options in force; the kernel names the bounds that are not its defaults.
    """
    for way, delay in delays.items():
        bound = "acdirmax" if way in OF_FOLDERS else "acregmax"
        yield {
            "way": way,
            **({} if delay is None else {"delay_s": delay}),
            "unseen": int(delay is None),
            "watched_s": watched_s,
            "documented_s": int(mounted.get(bound, DEFAULTS_S[bound])),
            "mounted": json.dumps(mounted),
        }
