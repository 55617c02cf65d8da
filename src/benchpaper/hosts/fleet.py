"""The hosts of a site, connected: what a run asks of them as machines, and a host per role for each trial."""

import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchpaper.core import lock
from benchpaper.core.capabilities import find_capability
from benchpaper.hosts import HostLost, probe
from benchpaper.hosts.agent import disturbances, main
from benchpaper.hosts.local import LocalHost
from benchpaper.hosts.ssh import connection
from benchpaper.hosts.ssh.connection import SshLink

LOCK_POLL_S = 0.5
RELOCK_S = connection.SILENCE_S + main.ENDING_S + 5
SUMMED = (
    "steal_s",
    "swapped_mb",
    "throttled_s",
    "overheated",
)  # over the machines; of the rest the largest counts


class LocalLink:
    """This machine as a host of a site."""

    processes, folders, alive = (), {}, True

    def __init__(self, described):
        self.name, self._described = described["name"], described
        self.machine = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        self.identity = probe.identity()
        self._locks = ExitStack()

    def begin(self):
        pass

    complete = close = begin

    def deploy(self, packages):
        """All of it is here."""

    def clock_offset(self):
        """None: it is our clock."""

    def lock(self, what):
        """Take the lock on measuring here. Return None, or who holds it since when."""
        try:
            self._locks.enter_context(lock.held(lock.host_lock(), what))
        except lock.Held as held:
            return str(held)

    def unlock(self):
        self._locks.close()

    def ask(self, what, names=()):
        if what == "probe":
            return probe.probe()
        if what == "has":
            return {name: list(find_capability(name).check()) for name in names}
        return disturbances.so_far()

    def host(self, role, scratch, seconds, on_command):
        (scratch / role).mkdir()
        return LocalHost(
            role,
            self._described["address"],
            self._described.get("cpus"),
            scratch / role,
            on_command,
        )


class Fleet:
    """The connections to some hosts of a site, by name. A context manager: leaving it ends them."""

    def __init__(self, project, site, names=None):
        hosts = [host for host in site["hosts"] if names is None or host["name"] in names]
        self.links = {host["name"]: _link(project, site["name"], host) for host in hosts}

    def __enter__(self):
        try:
            self._connect(self.links.values())
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    @staticmethod
    def _connect(links):
        for link in links:
            link.begin()
        for link in links:
            link.complete()

    def close(self):
        for link in self.links.values():
            link.close()

    @property
    def spared(self):
        """The ids of the processes here that hold the connections."""
        return [pid for link in self.links.values() for pid in link.processes]

    def machines(self):
        """Return one link per machine: hosts of a lab share one."""
        return list({link.machine: link for link in self.links.values()}.values())

    def probe(self):
        """Return {host: {facts, capabilities, identity, clock: (seconds ahead of ours, half the round trip) or
        None}}."""
        return {
            name: {**link.ask("probe"), "identity": link.identity, "clock": link.clock_offset()}
            for name, link in self.links.items()
        }

    def has(self, names):
        """Look again: return {capability: (present on every host, detail of the first without it)}."""
        answers = [link.ask("has", names=list(names)) for link in self.links.values()]
        return {
            name: min((answer[name] for answer in answers), key=lambda one: one[0])
            for name in names
        }

    def disturbances(self):
        """Return what has disturbed the machines so far: sums, and the largest of load and suspension; what no machine
        tells is None, and so is what a lost one would have told."""
        found = [_disturbances(link) for link in self.machines()]

        def joined(name):
            known = [one[name] for one in found if one[name] is not None]
            return (sum if name in SUMMED else max)(known) if known else None

        return {name: joined(name) for name in found[0]}

    @contextmanager
    def measuring(self, what, waiting=lambda holder: None):
        """Hold the lock on measuring of every machine for `what`; while somebody else has one, tell `waiting(text)`
        once and wait."""
        try:
            # In one order, so that no two controllers wait for each other.
            for link in sorted(self.machines(), key=lambda one: one.machine):
                self._lock(link, what, waiting)
            yield
        finally:
            for link in self.machines():
                link.unlock()

    @staticmethod
    def _lock(link, what, waiting, seconds=float("inf")):
        told, end = False, time.monotonic() + seconds
        while holder := link.lock(what):
            if not told:
                waiting(f'host "{link.name}" is taken: {holder}')
            if time.monotonic() > end:
                raise lock.Held(
                    f'host "{link.name}" was taken while the connection was lost: {holder}'
                )
            told = True
            time.sleep(LOCK_POLL_S)

    def deploy(self, packages):
        for link in self.links.values():
            link.deploy(packages)

    def restore(self):
        """Connect again where a connection is lost. Raises `Unreachable` when that fails. Return the hosts' names."""
        lost = [link for link in self.links.values() if not link.alive]
        for link in lost:
            link.close()
        self._connect(lost)
        for link in lost:
            if (
                link.locked_for
            ):  # the agent of the lost connection holds the lock until it has noticed
                self._lock(link, link.locked_for, lambda holder: None, RELOCK_S)
        return [link.name for link in lost]

    def conclude(self, trial=""):
        """Return [(host, trial, {output, shortage, found})] of what remote hosts have kept of a trial that ended
        (without one, of all earlier trials of this checkout)."""
        remote = [link for link in self.links.values() if isinstance(link, SshLink)]
        return [
            (link.name, name, kept)
            for link in remote
            for name, kept in link.conclude(trial).items()
        ]


def _disturbances(link):
    try:
        return link.ask("disturbances")
    except HostLost:
        return {**dict.fromkeys(disturbances.so_far()), "load_1m": float("nan")}


def _link(project, site_name, host):
    return SshLink(project, site_name, host) if host["kind"] == "ssh" else LocalLink(host)
