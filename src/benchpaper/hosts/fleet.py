"""The hosts of a site, connected: requests to the machines, and a host per role for each trial."""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

from benchpaper.core import deployment, lock
from benchpaper.core.capabilities import find_capability
from benchpaper.core.deployment import Software
from benchpaper.core.project import Project
from benchpaper.hosts import Connecting, HostError, HostLost, Link, OnCommand, facts, probe
from benchpaper.hosts.agent import disturbances, main
from benchpaper.hosts.guests.connection import GuestConnecting
from benchpaper.hosts.guests.link import GuestLink
from benchpaper.hosts.guests.network import Network
from benchpaper.hosts.local import LocalHost
from benchpaper.hosts.probed import ProbedHost
from benchpaper.hosts.site import GUESTS, HostEntry, Site
from benchpaper.hosts.ssh import connection
from benchpaper.hosts.ssh.connection import SshConnecting
from benchpaper.hosts.ssh.link import SshLink, Unreachable

LOCK_POLL_S = 0.5
RELOCK_S = connection.SILENCE_S + main.ENDING_S + 5
# Added up over the machines; of the other disturbances the largest counts.
SUMMED = ("steal_s", "swapped_mb", "throttled_s", "overheated")


class LocalLink:
    """This machine as a host of a site. It is connected from the start."""

    alive = True
    locked_for: str | None = None

    def __init__(self, entry: HostEntry):
        self.name, self._entry = entry.name, entry
        self.machine = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        self.identity = facts.identity()
        self.processes: Sequence[int] = ()
        self.folders: Mapping[str, str] = {}
        self._locks = ExitStack()

    def complete(self) -> Self:
        return self

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
        if what == "environments":
            software = deployment.look(names)
            return {name: item.to_json() if item else None for name, item in software.items()}
        return disturbances.so_far()

    def host(self, role: str, scratch: Path, seconds: float, on_command: OnCommand) -> LocalHost:
        folder = scratch / role
        folder.mkdir()
        entry = self._entry
        return LocalHost(role, entry.address, entry.cpus, folder, on_command)


class Fleet:
    """The connections to hosts of a site, by name: a context manager that makes and ends them."""

    def __init__(self, project: Project, site: Site, names: Collection[str] | None = None):
        self._project, self._site = project, site.name
        self._hosts = [host for host in site.hosts if names is None or host.name in names]
        self._packages: Sequence[str] = ()
        joined = [host.name for host in self._hosts if host.kind in GUESTS and not host.tap]
        self._network = Network(joined)
        self.links: dict[str, Link] = {}

    def __enter__(self) -> Self:
        try:
            self.links = self._connect(self._hosts)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _connect(self, hosts: Iterable[HostEntry]) -> dict[str, Link]:
        """Connect to hosts, all at the same time. On failure, keep no connection."""
        with ExitStack() as begun:
            connecting: dict[str, Connecting] = {}
            for host in hosts:
                connecting[host.name] = self._begin(host)
                begun.callback(connecting[host.name].close)
            links: dict[str, Link] = {}
            for name, begun_link in connecting.items():
                links[name] = begun_link.complete()
                begun.callback(links[name].close)
            begun.pop_all()
        return links

    def _begin(self, host: HostEntry) -> Connecting:
        """Begin to connect to a host."""
        if host.kind in GUESTS:
            return GuestConnecting(self._project, self._site, host, self._network)
        if host.kind == "ssh":
            return SshConnecting(self._project, self._site, host)
        return LocalLink(host)

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

    def probe(self) -> dict[str, ProbedHost]:
        """Return {name: host}, with what probing shows now."""
        return {
            name: ProbedHost.of(link.ask("probe"), link.identity, link.clock_offset())
            for name, link in self.links.items()
        }

    def has(
        self, names: Collection[str], hosts: Collection[str] | None = None
    ) -> dict[str, Sequence[Any]]:
        """Look again: return {capability: (present on every host, detail)}, or on these `hosts`.

        The detail is that of the first host without the capability.
        """
        chosen = [link for name, link in self.links.items() if hosts is None or name in hosts]
        answers = [link.ask("has", names=list(names)) for link in chosen]
        return {
            name: min((answer[name] for answer in answers), key=lambda answer: answer[0])
            for name in names
        }

    def environments(self, names: Mapping[str, Collection[str]]) -> dict[str, dict[str, Software]]:
        """Return {host: {environment: what it has}} of the environments `names`, by host."""
        answers = {
            host: self.links[host].ask("environments", names=sorted(wanted))
            for host, wanted in names.items()
        }
        return {
            host: {name: Software.from_json(plain) for name, plain in answer.items() if plain}
            for host, answer in answers.items()
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
        """Send the project and `packages` to the hosts that lack them."""
        self._packages = packages
        for link in self.links.values():
            link.deploy(packages)

    def restore(self) -> list[str]:
        """Connect again to hosts whose connection is lost, and return their names.

        Raises `Unreachable` when that fails.
        """
        return self._connect_again([link for link in self.links.values() if not link.alive])

    def renew(self) -> list[str]:
        """Boot guests again that have served a trial, and return their names.

        Raises `Unreachable` when that fails.
        """
        guests = [link for link in self.links.values() if isinstance(link, GuestLink)]
        return self._connect_again([link for link in guests if link.used])

    def _connect_again(self, old: Sequence[Link]) -> list[str]:
        locked = {link.name: link.locked_for for link in old}
        with ExitStack() as kept:  # this machine's lock, which is the guests'
            locks = {link.name: link.give_lock() for link in old if isinstance(link, GuestLink)}
            for held in locks.values():
                kept.push(held)
            for link in old:
                link.close()
            made = self._connect(host for host in self._hosts if host.name in locked)
            self.links |= made
            kept.pop_all()
        for name, link in made.items():
            if isinstance(link, GuestLink):
                link.take_lock(locks[name], locked[name])
            # The agent of the lost connection holds the lock until it notices the loss.
            elif what := locked[name]:
                self._lock(link, what, lambda holder: None, RELOCK_S)
            self._deploy_again(link)
        return list(made)

    def _deploy_again(self, link: Link) -> None:
        try:
            link.deploy(self._packages)
        except HostError as error:
            raise Unreachable(f'host "{link.name}" of site "{self._site}": {error}') from None

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
