"""For how long does a kernel's NFS client show what was before?"""

import json
from contextlib import ExitStack

from benchpaper import Evidence, Experiment, Factor, Metric, Scale
from experiments.multiprotocol import kernel, running, scales, stacks, staleness
from experiments.systems.nfs_mount import NfsMount, options_of

ANOTHER, BY_S3 = "another client", "s3"
CHANGED_BY = (ANOTHER, BY_S3)
# nfs(5): for how long the client trusts attributes without asking, unless the mount says otherwise.
DEFAULTS_S = {"acregmin": 3, "acregmax": 60, "acdirmin": 30, "acdirmax": 60}
OF_FOLDERS = staleness.MADE_LATER  # ways of looking that need the folder's attributes
SYSTEMS = [f"{server} kernel" for server in kernel.LATEST] + ["nfsd kernel undelegated"]
ORDINARY = "ordinary"
SLACK_S = 1.0  # for a round of looks through all mounts


def mounts_of(system):
    """Return {mount: its client} of a system: with each option, and each version of NFS."""
    plain = f"{kernel.CLIENTS[system].server} kernel"
    return {
        name.removeprefix(plain).strip() or ORDINARY: client
        for name, client in kernel.CLIENTS.items()
        if name.startswith(plain) and client.mounts == 1 and client.delegations
    }


experiment = Experiment(
    title="Staleness of the kernel's NFS client",
    question="For how long does a kernel's NFS client show what was before?",
    factors=[Factor("system", SYSTEMS, meaning="the NFS server that the kernel has mounted")],
    within=[
        Factor(
            "mount",
            list(dict.fromkeys(mount for system in SYSTEMS for mount in mounts_of(system))),
            meaning="an option of nfs(5), or a version of NFS; all mounts watch at the same time, "
            "and share no cache (nosharecache)",
        ),
        Factor(
            "changed_by",
            list(CHANGED_BY),
            meaning="who changes the files: the kernel's client on the server's host, or a PUT "
            "through the S3 side",
        ),
        Factor(
            "way",
            list(staleness.WAYS),
            meaning="how the client looks: size by stat, content by open and read, content of a "
            "file held open, an absent name by stat, a new name in the listing",
        ),
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
        Metric(
            "overdue",
            unit="1",
            better="lower",
            optional=True,
            meaning=f"1 if what was before showed for more than {SLACK_S:g} s longer than "
            "documented_s, else 0; left out if the client did not watch for as long as that",
        ),
    ],
    evidence=[Evidence("mounted", "the options of the mount that the kernel reports (JSON)")],
    roles=scales.ROLES,
    packages=running.PACKAGES,
    timeout_s=240,
    scales=dict(
        smoke=Scale(
            blocks=2,
            trial_seconds=15,
            disk_mb=5,
            counts=dict(watched_s=4),
            system=["nfsd kernel"],
        ),
        quick=Scale(
            blocks=5,
            trial_seconds=15,
            disk_mb=5,
            counts=dict(watched_s=4),
            system=["nfsd kernel"],
        ),
        # Longer than every documented delay: nfs(5), Ganesha and SeaweedFS document 60 s. Each
        # server takes ten minutes, as one way of looking never sees a file that was replaced.
        full=Scale(
            blocks=8,
            trial_seconds=75,
            disk_mb=5,
            counts=dict(watched_s=65),
            system=["nfsd kernel"],
        ),
    ),
)


@experiment.needs
def needs(cell):
    return [*stacks.needs(cell.system), "second_nfs_client"]


experiment.uses(stacks.versions)


@experiment.trial
def trial(cell, site):
    watched_s, plain = site.counts.watched_s, kernel.CLIENTS[cell.system]
    stack = stacks.Stack(site.server, cell.system, "default", client=site.client)
    with stack as views, ExitStack() as mounts:
        there = mounts.enter_context(
            NfsMount(site.server, stack.export, plain.version, options=["noac"])
        )
        paths = {
            mount: mounts.enter_context(
                NfsMount(
                    site.client,
                    stack.export,
                    client.version,
                    options=[*client.options, "nosharecache"],
                )
            ).path
            for mount, client in mounts_of(cell.system).items()
        }
        delays = _watched(site, views, there.path, paths, watched_s)
        mounted = {mount: options_of(site.client, path) for mount, path in paths.items()}
    yield from rows(delays, mounted, watched_s)


def _watched(site, views, there, paths, watched_s):
    """Return what the watcher prints, with both changes made at the same time."""
    folders = {by: by.replace(" ", "-") for by in CHANGED_BY}
    for folder in folders.values():
        _run(site.server, "prepare", there / folder)
    watched = {
        by: {mount: f"{path}/{folder}" for mount, path in paths.items()}
        for by, folder in folders.items()
    }
    watch = ["watch", json.dumps(watched), watched_s, site.client.address]
    with site.client.start(_program(site.client, *watch)) as process:
        port = json.loads(process.read_line(60))["port"]
        watcher = site.server.address_of(site.client)
        _run(site.server, "change", there / folders[ANOTHER], ANOTHER, watcher, port)
        endpoint = json.dumps(views["s3"])
        _run(site.client, "put", endpoint, folders[BY_S3], BY_S3, site.client.address, port)
        return json.loads(process.read_line(watched_s + 90))


def _program(host, *words):
    return [host.python, "-m", staleness.__name__, *words]


def _run(host, *words):
    host.run(_program(host, *words), timeout=60)


def rows(delays, mounted, watched_s):
    """Yield an observation for each (who changes, mount, way of looking, seconds or None).

    `mounted` are the options in force of each mount; the kernel names the bounds that are not its
    defaults.
    """
    for by, mount, way, delay in delays:
        bound = "acdirmax" if way in OF_FOLDERS else "acregmax"
        documented_s = int(mounted[mount].get(bound, DEFAULTS_S[bound]))
        shown_s = watched_s if delay is None else delay
        late = shown_s > documented_s + SLACK_S
        yield {
            "mount": mount,
            "changed_by": by,
            "way": way,
            **({} if delay is None else {"delay_s": delay}),
            "unseen": int(delay is None),
            "watched_s": watched_s,
            "documented_s": documented_s,
            **({"overdue": int(late)} if late or delay is not None else {}),
            "mounted": json.dumps(mounted[mount]),
        }
