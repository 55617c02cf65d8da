"""The hosts of a site, connected: requests to the machines, and a host per role for each trial."""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

from benchpaper.core import lock
from benchpaper.core.capabilities import find_capability
from benchpaper.core.project import Project
from benchpaper.hosts import HostLost, Link, OnCommand, facts, probe
from benchpaper.hosts.agent import disturbances, main
from benchpaper.hosts.guests.link import GuestLink
from benchpaper.hosts.guests.network import Network
from benchpaper.hosts.local import LocalHost
from benchpaper.hosts.site import HostEntry, Site
from benchpaper.hosts.ssh import connection
from benchpaper.hosts.ssh.connection import SshLink

LOCK_POLL_S = 0.5
RELOCK_S = connection.SILENCE_S + main.ENDING_S + 5
# Added up over the machines; of the other disturbances the largest counts.
SUMMED = ("steal_s", "swapped_mb", "throttled_s", "overheated")


class LocalLink:
    """This machine as a host of a site."""

    alive = True
    locked_for: str | None = None

    def __init__(self, entry: HostEntry):
        self.name, self._entry = entry.name, entry
        self.machine = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        self.identity = facts.identity()
        self.processes: Sequence[int] = ()
        self.folders: Mapping[str, str] = {}
        self._locks = ExitStack()

    def begin(self) -> None:
        pass

    def complete(self) -> None:
        pass

    def close(self) -> None:
        pass

    def deploy(self, packages: Iterable[str]) -> None:
        """Do nothing: this machine has everything."""

    def clock_offset(self) -> None:
        """Return None: this is our clock."""

    def lock(self, what: str) -> str | None:
        """Take the lock on measuring here. Return None, or who holds it since when."""
        try:
            self._locks.enter_context(lock.held(lock.host_lock(), what))
        except lock.Held as error:
            return str(error)
        return None

    def unlock(self) -> None:
        self._locks.close()

    def ask(self, what: str, *, names: Iterable[str] = ()) -> Any:
        if what == "probe":
            return probe.probe()
        if what == "has":
            return {name: list(find_capability(name).check()) for name in names}
        return disturbances.so_far()

    def host(self, role: str, scratch: Path, seconds: float, on_command: OnCommand) -> LocalHost:
        folder = scratch / role
        folder.mkdir()
        entry = self._entry
        return LocalHost(role, entry.address, entry.cpus, folder, on_command)


class Fleet:
    """The connections to hosts of a site, by name. As a context manager, it ends them on exit."""

    def __init__(self, project: Project, site: Site, names: Collection[str] | None = None):
        hosts = [host for host in site.hosts if names is None or host.name in names]
        joined = [host.name for host in hosts if host.kind == "uml" and not host.tap]
        self._network = Network(joined)
        self.links = {host.name: _link(project, site.name, host, self._network) for host in hosts}

    def __enter__(self) -> Self:
        try:
            self._connect(self.links.values())
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @staticmethod
    def _connect(links: Collection[Link]) -> None:
        for link in links:
            link.begin()
        for link in links:
            link.complete()

    def close(self) -> None:
        for link in self.links.values():
            link.close()
        self._network.close()

    @property
    def spared(self) -> list[int]:
        """The ids of the processes here that hold the connections."""
        return [pid for link in self.links.values() for pid in link.processes]

    def machines(self) -> list[Link]:
        """Return one link per machine: hosts of a lab share one."""
        return list({link.machine: link for link in self.links.values()}.values())

    def probe(self) -> dict[str, dict[str, Any]]:
        """Return {host: {facts, capabilities, identity, clock}}.

        `clock` is (seconds ahead of our clock, half the round trip), or None for this machine.
        """
        return {
            name: {**link.ask("probe"), "identity": link.identity, "clock": link.clock_offset()}
            for name, link in self.links.items()
        }

    def has(self, names: Collection[str]) -> dict[str, Sequence[Any]]:
        """Look again: return {capability: (present on every host, detail)}.

        The detail is that of the first host without the capability.
        """
        answers = [link.ask("has", names=list(names)) for link in self.links.values()]
        return {
            name: min((answer[name] for answer in answers), key=lambda answer: answer[0])
            for name in names
        }

    def disturbances(self) -> dict[str, float | None]:
        """Return what has disturbed the machines so far, by trial column.

        Most values are sums; for load and suspension the largest counts. None means that no
        machine reports a value; a lost machine reports none.
        """
        answers = [_disturbances(link) for link in self.machines()]

        def join(name: str) -> float | None:
            known = [answer[name] for answer in answers if answer[name] is not None]
            return (sum if name in SUMMED else max)(known) if known else None

        return {name: join(name) for name in answers[0]}

    @contextmanager
    def measuring(
        self, what: str, waiting: Callable[[str], object] = lambda holder: None
    ) -> Iterator[None]:
        """Hold every machine's lock on measuring, for the purpose `what`.

        Wait for another holder; call `waiting(text)` once per machine then.
        """
        try:
            # In one order, so that no two controllers wait for each other.
            for link in sorted(self.machines(), key=lambda link: link.machine):
                self._lock(link, what, waiting)
            yield
        finally:
            for link in self.machines():
                link.unlock()

    @staticmethod
    def _lock(
        link: Link, what: str, waiting: Callable[[str], object], seconds: float = float("inf")
    ) -> None:
        reported, end = False, time.monotonic() + seconds
        while holder := link.lock(what):
            if not reported:
                waiting(f'host "{link.name}" is taken: {holder}')
                reported = True
            if time.monotonic() > end:
                raise lock.Held(
                    f'host "{link.name}" was taken while the connection was lost: {holder}'
                )
            time.sleep(LOCK_POLL_S)

    def deploy(self, packages: Sequence[str]) -> None:
        for link in self.links.values():
            link.deploy(packages)

    def restore(self) -> list[str]:
        """Connect again to hosts whose connection is lost, and return their names.

        Raises `Unreachable` when that fails.
        """
        lost = [link for link in self.links.values() if not link.alive]
        for link in lost:
            link.close()
        self._connect(lost)
        for link in lost:
            # The agent of the lost connection holds the lock until it notices the loss.
            if link.locked_for:
                self._lock(link, link.locked_for, lambda holder: None, RELOCK_S)
        return [link.name for link in lost]

    def conclude(self, trial: str = "") -> list[tuple[str, str, dict[str, Any]]]:
        """Return what remote hosts have kept of a trial that ended, and forget it there.

        Each item is (host, trial, {output, shortage, stood_still_s, found}). Without `trial`, all
        earlier trials of this checkout count.
        """
        remote = [link for link in self.links.values() if isinstance(link, SshLink)]
        return [
            (link.name, name, kept)
            for link in remote
            for name, kept in link.conclude(trial).items()
        ]


def _disturbances(link: Link) -> dict[str, Any]:
    try:
        return link.ask("disturbances")
    except HostLost:
        return {**dict.fromkeys(disturbances.so_far()), "load_1m": float("nan")}


def _link(project: Project, site_name: str, entry: HostEntry, network: Network) -> Link:
    if entry.kind == "uml":
        return GuestLink(project, site_name, entry, network)
    return SshLink(project, site_name, entry) if entry.kind == "ssh" else LocalLink(entry)
