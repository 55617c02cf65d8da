"""The lab: several target hosts on this machine, each a network namespace with its OpenSSH server.

Veth pairs and a bridge join the namespaces; this machine reaches them over the bridge. They share
its CPUs, memory and file systems, so the lab shows whether things work between hosts, but not how
fast hosts would be. All names follow from the checkout's path, so that `down` finds every trace,
even of a lab that was killed while it was made. A record (`lab.owners`) names the owner, so that
`sweep` finds abandoned labs.
"""

import contextlib
import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchpaper.core import lock
from benchpaper.core.errors import UserError
from benchpaper.core.project import Project
from benchpaper.hosts.lab import guests as of_guests
from benchpaper.hosts.lab import owners, site_file, subnets
from benchpaper.hosts.lab.commands import (
    call,
    end_processes,
    limit,
    need_root_and_programs,
    processes,
)

__all__ = ["SITE", "Lab", "need_root_and_programs", "processes", "sweep"]

SITE = "lab"
MOST_HOSTS = 50
READY_S = 60.0
# The hosts inherit where temporary files, deployed files, and the lock on measuring go.
PASSED_ON = ("TMPDIR", "XDG_CACHE_HOME", lock.FOLDER)
SERVER = """
Port 22
ListenAddress {address}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/user_key.pub
PidFile {folder}/{name}.pid
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
MaxSessions 100
MaxStartups 100
PrintMotd no
{environment}
"""
CLIENT = """# Of `benchpaper lab`: keys that live as long as the lab.
Host *
    User root
    IdentityFile {folder}/user_key
    IdentitiesOnly yes
    UserKnownHostsFile {folder}/known_hosts
    GlobalKnownHostsFile none
"""


class Lab:
    """The lab of one checkout."""

    def __init__(self, project: Project):
        self.project = project
        mark = hashlib.sha256(str(project.root).encode()).digest()
        self.mark = mark.hex()[:6]
        self.folder = project.state / "lab"
        self.bridge = f"bpl{self.mark}"
        self._first_subnet = mark[0] << 1 | mark[1] & 1
        self.site_file = project.root / "sites" / f"{SITE}.yaml"

    def namespace(self, number: int) -> str:
        return f"benchpaper-{self.mark}-{number}"

    def _link(self, number: int) -> str:
        return f"{self.bridge}-{number}"

    def address(self, number: int) -> str:
        return f"{self.subnet}.{10 + number}"

    @property
    def subnet(self) -> str:
        return (self.folder / "subnet").read_text()

    # ---- up ----

    def up(
        self,
        hosts: int,
        rate: str | None = None,
        environment: Mapping[str, str] | None = None,
        kept: bool = True,
        guests: int = 0,
        kind: str = "uml",
    ) -> None:
        """Make that many hosts and guests; when this fails, leave nothing.

        `rate` ("1gbit") limits each direction of each link. `environment` is set in all sessions.
        Unless it is `kept`, the lab counts as abandoned once this process has ended. An ordinary
        user may have guests only, of a `kind`: their network needs nothing of this machine.
        """
        of_root = os.geteuid() == 0
        if hosts or of_root:
            need_root_and_programs()
            sweep()
        if guests:
            of_guests.check(kind)
        for name, count in (("hosts", hosts), ("guests", guests)):
            if not 0 <= count <= MOST_HOSTS or hosts + guests == 0:
                raise UserError(f"--{name} {count} is not in 1 to {MOST_HOSTS}")
        if self.exists():
            raise UserError(
                'there is a lab of this checkout already; "benchpaper lab down" removes it'
            )
        if rate and not of_root:
            raise UserError("--rate limits interfaces of this machine, which needs root")
        if of_root:
            owners.note(self.mark, self.project.root, of_process=True)
        try:
            self._make_folder()
            if not of_root:
                self._write_site(0, guests, kind, None)
                return
            self._make_keys()
            self._make_bridge()
            for number in range(1, hosts + 1):
                self._make_host(number, rate, environment or {})
            for number in range(1, guests + 1):
                of_guests.make_tap(self.bridge, number, rate)
            self._wait_until_ready(hosts)
            self._write_site(hosts, guests, kind, self.bridge)
            if kept:
                owners.note(self.mark, self.project.root, of_process=False)
        except UserError as error:
            self._down_after(error)
            raise
        except BaseException:
            self.down()
            raise

    def _down_after(self, error: UserError) -> None:
        """Remove the parts of a lab that could not be made; if this fails too, tell both."""
        try:
            self.down()
        except UserError as another:
            raise UserError(f"{error}; {another}") from error

    def _make_folder(self) -> None:
        """Make the lab's folder, and take a subnet that this machine does not reach yet."""
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        self.folder.mkdir(mode=0o700)  # so nobody else reads a file in it, whatever its mode
        (self.folder / "subnet").write_text(subnets.free(self._first_subnet))

    def _make_keys(self) -> None:
        for name in ("host_key", "user_key"):
            options = ["-q", "-t", "ed25519", "-N", "", "-C", "benchpaper-lab"]
            call(["ssh-keygen", *options, "-f", self.folder / name])
        (self.folder / "known_hosts").write_text("")
        (self.folder / "ssh_config").write_text(CLIENT.format(folder=self.folder))

    def _make_bridge(self) -> None:
        call(["ip", "link", "add", self.bridge, "type", "bridge"])
        call(["ip", "addr", "add", f"{self.subnet}.1/24", "dev", self.bridge])
        call(["ip", "link", "set", self.bridge, "up"])

    def _make_host(self, number: int, rate: str | None, environment: Mapping[str, str]) -> None:
        namespace, link = self.namespace(number), self._link(number)
        call(["ip", "netns", "add", namespace])
        call(
            ["ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", namespace]
        )
        call(["ip", "link", "set", link, "master", self.bridge, "up"])
        inside = ["ip", "-n", namespace]
        call([*inside, "addr", "add", f"{self.address(number)}/24", "dev", "eth0"])
        for device in ("lo", "eth0"):
            call([*inside, "link", "set", device, "up"])
        if rate:
            call(["tc", "qdisc", "add", "dev", link, *limit(rate)])
            call(["tc", "-n", namespace, "qdisc", "add", "dev", "eth0", *limit(rate)])
        self.serve(number, environment)
        with open(self.folder / "known_hosts", "a") as known:
            known.write(f"{self.address(number)} {(self.folder / 'host_key.pub').read_text()}")

    def serve(self, number: int, environment: Mapping[str, str] | None = None) -> None:
        """Start the SSH server of a host."""
        inherited = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        settings = [f'"{k}={v}"' for k, v in (inherited | dict(environment or {})).items()]
        name, config = self.namespace(number), self.folder / f"sshd_{number}"
        text = SERVER.format(
            folder=self.folder,
            name=name,
            address=self.address(number),
            environment=" ".join(["SetEnv", *settings]) if settings else "",
        )
        config.write_text(text)
        Path("/run/sshd").mkdir(exist_ok=True)  # sshd confines itself there before a login
        call(["ip", "netns", "exec", name, "/usr/sbin/sshd", "-f", config])

    def _wait_until_ready(self, hosts: int) -> None:
        for number in range(1, hosts + 1):
            end = time.monotonic() + READY_S
            config, options = self.folder / "ssh_config", ("-oBatchMode=yes", "-oConnectTimeout=10")
            command: list[str | Path] = [
                "ssh",
                "-F",
                config,
                *options,
                self.address(number),
                "true",
            ]
            while subprocess.run(command, capture_output=True).returncode:
                if time.monotonic() > end:
                    raise UserError(f"the SSH server of lab host {number} does not answer")
                time.sleep(0.05)

    def _write_site(self, hosts: int, guests: int, kind: str, bridge: str | None) -> None:
        config = str((self.folder / "ssh_config").relative_to(self.project.root))
        addresses = [self.address(number) for number in range(1, hosts + 1)]
        entries = site_file.hosts(addresses, config)
        entries += of_guests.entries(self.subnet, bridge, guests, kind)
        site_file.write(self.site_file, entries)

    # ---- down ----

    def down(self) -> list[str]:
        """Remove every trace of the lab, and return it in words."""
        removed = []
        for namespace in self.namespaces():
            end_processes(namespace)
            # Another process that sweeps may be faster.
            call(["ip", "netns", "delete", namespace], check=False)
            removed.append(f"the namespace {namespace}")
        for link in self._links():
            call(["ip", "link", "delete", link], check=False)  # a veth may have gone with its peer
            removed.append(f"the link {link}")
        with contextlib.suppress(FileNotFoundError):
            self.site_file.unlink()
            removed.append(f"sites/{SITE}.yaml")
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self.folder)
            removed.append("the lab's folder")
        if remaining := self.namespaces() + self._links():
            raise UserError(
                f"{', '.join(remaining)} of the lab could not be removed; "
                "see what uses it (ip netns pids NAME)"
            )
        if os.geteuid() == 0:
            owners.forget(self.mark)
        return removed

    def namespaces(self) -> list[str]:
        folder = Path("/run/netns")
        names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
        return sorted(name for name in names if name.startswith(f"benchpaper-{self.mark}-"))

    def _links(self) -> list[str]:
        """Return the network interfaces of the lab; the bridge comes last."""
        paths = Path("/sys/class/net").glob(f"{self.bridge}*")
        return sorted((path.name for path in paths), reverse=True)

    def exists(self) -> bool:
        return self.needs_root() or self.folder.exists()

    def needs_root(self) -> bool:
        """True if there is something of the lab that only root can remove."""
        return bool(self.namespaces() or self._links())

    def guests(self) -> dict[str, str]:
        """Return {guest: its address}."""
        return of_guests.addresses(self.site_file) if self.exists() else {}

    def status(self) -> list[dict[str, Any]]:
        """Return [{host, address, namespace, processes}], with the number of processes.

        Guests are not among them: they run only while a command uses them.
        """
        hosts = []
        for namespace in self.namespaces():
            number = int(namespace.rpartition("-")[2])
            count = len(processes(namespace))
            hosts.append(
                {
                    "host": f"lab{number}",
                    "address": self.address(number),
                    "namespace": namespace,
                    "processes": count,
                }
            )
        return hosts


def sweep() -> list[str]:
    """Remove abandoned labs, and return their parts in words."""
    return [what for root in owners.abandoned() for what in Lab(Project(root)).down()]
