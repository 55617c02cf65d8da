"""The lab: several target hosts on this machine, each a network namespace with an OpenSSH server of its own.

The namespaces are joined by veth pairs and a bridge; this machine reaches them over the bridge. They share its CPUs,
memory and file systems, so that the lab shows whether things work between hosts, not what hosts would reach. All names
follow from the checkout's path, so that `down` finds every trace, also of a lab whose making was killed; and whose it
is stands in a record (`lab_owners`), so that `sweep` finds those that nobody will take down.
"""

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import yaml

from benchpaper.core import lock
from benchpaper.core.errors import UserError
from benchpaper.core.project import Project
from benchpaper.hosts import probe
from benchpaper.hosts.lab import owners

SITE = "lab"
MOST_HOSTS = 50
READY_S = 60.0
# Of a lab with a limit: as much as passes at once beyond the rate, and how long a packet waits before it is dropped.
BURST, LATENCY = "256kb", "50ms"
# Of this environment, to the hosts': where temporary and deployed files and the lock on measuring go.
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

    def __init__(self, project):
        self.project = project
        mark = hashlib.sha256(str(project.root).encode()).digest()
        self.mark = mark.hex()[:6]
        self.folder = project.state / "lab"
        self.bridge = f"bpl{self.mark}"
        self._first_subnet = mark[0] << 1 | mark[1] & 1
        self.site_file = project.root / "sites" / f"{SITE}.yaml"

    def namespace(self, number):
        return f"benchpaper-{self.mark}-{number}"

    def _link(self, number):
        return f"{self.bridge}-{number}"

    def address(self, number):
        return f"{(self.folder / 'subnet').read_text()}.{10 + number}"

    def _choose_subnet(self):
        """Take a subnet out of 198.18.0.0/15, which is set aside for benchmarks of networks (RFC 2544), that no
        interface of this machine has."""
        taken = {address.rpartition(".")[0] for address in probe.addresses().values()}
        order = [(self._first_subnet + step) % 512 for step in range(512)]
        free = [subnet for n in order if (subnet := f"198.{18 + n // 256}.{n % 256}") not in taken]
        if not free:
            raise UserError("198.18.0.0/15 is in use on this machine; remove other labs")
        (self.folder / "subnet").write_text(free[0])
        return free[0]

    # ---- up ----

    def up(self, hosts, rate=None, environment=None, kept=True):
        """Make `hosts` hosts, with at most `rate` ("1gbit") in each direction of each link; `environment` is set in all
        sessions. Whatever fails, nothing is left. A lab that is not `kept` is swept up once this process has ended."""
        need_root_and_programs()
        sweep()
        if not 1 <= hosts <= MOST_HOSTS:
            raise UserError(f"--hosts {hosts} is not in 1 to {MOST_HOSTS}")
        if self.exists():
            raise UserError(
                'there is a lab of this checkout already; "benchpaper lab down" removes it'
            )
        owners.note(self.mark, self.project.root, of_process=True)
        try:
            self._make_keys()
            self._make_bridge()
            for number in range(1, hosts + 1):
                self._make_host(number, rate, environment or {})
            self._wait_until_ready(hosts)
            self._write_site(hosts)
            if kept:
                owners.note(self.mark, self.project.root, of_process=False)
        except UserError as error:
            self._down_after(error)
            raise
        except BaseException:
            self.down()
            raise

    def _down_after(self, error):
        """Remove what there is of a lab that could not be made; what then stays does not hide why."""
        try:
            self.down()
        except UserError as left:
            raise UserError(f"{error}; {left}") from error

    def _make_keys(self):
        self.folder.mkdir(parents=True, mode=0o700)
        for name in ("host_key", "user_key"):
            _do(
                [
                    "ssh-keygen",
                    "-q",
                    "-t",
                    "ed25519",
                    "-N",
                    "",
                    "-C",
                    "benchpaper-lab",
                    "-f",
                    self.folder / name,
                ]
            )
        (self.folder / "known_hosts").write_text("")
        (self.folder / "ssh_config").write_text(CLIENT.format(folder=self.folder))

    def _make_bridge(self):
        _do(["ip", "link", "add", self.bridge, "type", "bridge"])
        _do(["ip", "addr", "add", f"{self._choose_subnet()}.1/24", "dev", self.bridge])
        _do(["ip", "link", "set", self.bridge, "up"])

    def _make_host(self, number, rate, environment):
        namespace, link = self.namespace(number), self._link(number)
        _do(["ip", "netns", "add", namespace])
        _do(["ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", namespace])
        _do(["ip", "link", "set", link, "master", self.bridge, "up"])
        inside = ["ip", "-n", namespace]
        _do([*inside, "addr", "add", f"{self.address(number)}/24", "dev", "eth0"])
        for device in ("lo", "eth0"):
            _do([*inside, "link", "set", device, "up"])
        if rate:
            shape = ["root", "tbf", "rate", rate, "burst", BURST, "latency", LATENCY]
            _do(["tc", "qdisc", "add", "dev", link, *shape])
            _do(["tc", "-n", namespace, "qdisc", "add", "dev", "eth0", *shape])
        self.serve(number, environment)
        with open(self.folder / "known_hosts", "a") as known:
            known.write(f"{self.address(number)} {(self.folder / 'host_key.pub').read_text()}")

    def serve(self, number, environment=None):
        """Start the SSH server of a host."""
        passed_on = {name: os.environ[name] for name in PASSED_ON if name in os.environ} | (
            environment or {}
        )
        line = (
            "SetEnv " + " ".join(f'"{name}={value}"' for name, value in passed_on.items())
            if passed_on
            else ""
        )
        name, config = self.namespace(number), self.folder / f"sshd_{number}"
        config.write_text(
            SERVER.format(
                folder=self.folder, name=name, address=self.address(number), environment=line
            )
        )
        Path("/run/sshd").mkdir(exist_ok=True)  # where sshd confines itself before a login
        _do(["ip", "netns", "exec", name, "/usr/sbin/sshd", "-f", config])

    def _wait_until_ready(self, hosts):
        for number in range(1, hosts + 1):
            end = time.monotonic() + READY_S
            config, options = self.folder / "ssh_config", ("-oBatchMode=yes", "-oConnectTimeout=10")
            command = ["ssh", "-F", config, *options, self.address(number), "true"]
            while subprocess.run(command, capture_output=True).returncode:
                if time.monotonic() > end:
                    raise UserError(f"the SSH server of lab host {number} does not answer")
                time.sleep(0.05)

    def _write_site(self, hosts):
        config = (self.folder / "ssh_config").relative_to(self.project.root)
        described = [
            {
                "name": f"lab{number}",
                "kind": "ssh",
                "address": self.address(number),
                "interface": "eth0",
                "ssh_config": str(config),
                "roles": ["server", "client"],
            }
            for number in range(1, hosts + 1)
        ]
        text = yaml.safe_dump({"hosts": described}, sort_keys=False)
        self.site_file.parent.mkdir(exist_ok=True)
        self.site_file.write_text(
            '# Written by "benchpaper lab up", removed by "benchpaper lab down".\n' + text
        )

    # ---- down ----

    def down(self):
        """Remove every trace. Return what was found, in words."""
        found = []
        for namespace in self.namespaces():
            _end_processes(namespace)
            _do(
                ["ip", "netns", "delete", namespace], check=False
            )  # or another did, who sweeps as well
            found.append(f"the namespace {namespace}")
        for link in self._links():
            _do(["ip", "link", "delete", link], check=False)  # a veth may have gone with its peer
            found.append(f"the link {link}")
        with contextlib.suppress(FileNotFoundError):
            self.site_file.unlink()
            found.append(f"sites/{SITE}.yaml")
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self.folder)
            found.append("the keys")
        if left := self.namespaces() + self._links():
            raise UserError(
                f"{', '.join(left)} of the lab could not be removed; see what uses it (ip netns pids NAME)"
            )
        owners.forget(self.mark)
        return found

    def namespaces(self):
        folder = Path("/run/netns")
        names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
        return sorted(name for name in names if name.startswith(f"benchpaper-{self.mark}-"))

    def _links(self):
        return sorted(
            (path.name for path in Path("/sys/class/net").glob(f"{self.bridge}*")), reverse=True
        )

    def exists(self):
        return bool(self.namespaces() or self._links() or self.folder.exists())

    def status(self):
        """Return [{host, address, namespace, processes}]."""
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


def sweep():
    """Remove the labs that have lost their owner. Return what was found, in words."""
    return [what for root in owners.abandoned() for what in Lab(Project(root)).down()]


def processes(namespace):
    """Return the ids of the processes in a network namespace; none when it is gone. Raises `UserError` when they cannot
    be found out: then nobody may take it for empty."""
    try:
        return [int(pid) for pid in _do(["ip", "netns", "pids", namespace]).split()]
    except UserError:
        if Path("/run/netns", namespace).exists():
            raise
        return []


def _end_processes(namespace):
    for number, seconds in ((signal.SIGTERM, 2.0), (signal.SIGKILL, 5.0)):
        end = time.monotonic() + seconds
        for pid in processes(namespace):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        while processes(namespace) and time.monotonic() < end:
            time.sleep(0.02)


def need_root_and_programs():
    if os.geteuid() != 0:
        raise UserError("the lab makes network namespaces, which needs root; run it as root")
    needed = {
        "ip": "iproute2",
        "tc": "iproute2",
        "ssh": "openssh-client",
        "ssh-keygen": "openssh-client",
    }
    missing = {package for program, package in needed.items() if not shutil.which(program)}
    if not Path("/usr/sbin/sshd").exists():
        missing.add("openssh-server")
    if missing:
        raise UserError(
            f"the lab needs the packages {', '.join(sorted(missing))}; packages.apt lists them"
        )


def _do(argv, check=True):
    done = subprocess.run(
        [str(part) for part in argv], stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if check and done.returncode:
        raise UserError(
            f"{argv[0]} {argv[1]} {argv[2] if len(argv) > 2 else ''} failed: {done.stderr.strip()}"
        )
    return done.stdout
