"""Sites: named sets of target hosts, each a YAML file in sites/.

A site file lists hosts, and which roles each can play:

    hosts:
      - name: here              # any short name; it appears in no result
        kind: local             # this machine
        address: 127.0.0.1      # what servers bind to and clients connect to
        cpus: [0, 1]            # optional: the CPUs that trials may pin to
        roles: [server, client]
      - name: far-1
        kind: ssh
        address: 10.1.0.11      # on the network to measure
        interface: ens2f0       # optional: the interface that must have this address
        ssh: far-1              # optional: a name for ssh, or an alias of ~/.ssh/config
                                # (default: the address)
        user: bench             # this and all below: optional, and otherwise as ssh is configured
        port: 22
        ssh_config: lab/config  # instead of the user's configuration file; below the project
        python: /usr/bin/python3.11
        scratch: /data/tmp      # the folder for trials' files (default: the temporary folder)
        roles: [server]
      - name: guest-1
        kind: uml               # a guest on this machine, with a kernel of its own
        address: 198.18.0.11    # on the guests' network, of which the last number is its own
        tap: bpl-g1             # optional: the network interface here that leads to it, which needs
                                # root (default: guests reach each other only)
        loopback: 127.18.0.11   # optional, without tap: programs here reach the guest's ports 40000
                                # to 40999 at this address, and it reaches theirs at 192.0.2.1
        memory: 512             # optional: MiB (default: 256)
        disk: 400               # optional: MiB of an empty disk, /dev/ubda (default: no disk)
        roles: [client]

A guest of `kind: qemu` takes the same keys, except loopback (512 MiB, /dev/vda). Its machine is
emulated, so what it counts is a result, and its times are not.

`benchpaper lab up --guests N` makes a network for guests, and writes their site file.

To reach a host behind another one, configure ssh (ProxyJump); the keys in files and in your SSH
agent work. The keys of the hosts themselves are always checked. Your configuration decides about
the key of a jump host: ssh refuses an unknown one unless you allow it (StrictHostKeyChecking).
"""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchpaper.core.errors import UserError, did_you_mean, one_of
from benchpaper.core.project import REFERENCE, Project
from benchpaper.core.redact import Redactor


@dataclass(frozen=True, kw_only=True)
class HostEntry:
    """A host in a site file, validated; None and () stand for what the file leaves open."""

    name: str
    kind: str = "local"
    address: str = "127.0.0.1"
    roles: tuple[str, ...]
    cpus: tuple[int, ...] = ()
    interface: str | None = None
    ssh: str | None = None
    user: str | None = None
    port: int | None = None
    ssh_config: str | None = None
    python: str | None = None
    scratch: str | None = None
    tap: str | None = None
    loopback: str | None = None
    memory: int | None = None  # MiB
    disk: int | None = None  # MiB


@dataclass(frozen=True)
class Site:
    """A validated site."""

    name: str
    hosts: tuple[HostEntry, ...]


LOCAL = (HostEntry(name="local", roles=("server", "client")),)
KEYS: dict[str, type] = {"name": str, "kind": str, "address": str, "cpus": list, "roles": list}
SSH_KEYS: dict[str, type] = {
    "interface": str,
    "ssh": str,
    "user": str,
    "port": int,
    "ssh_config": str,
    "python": str,
    "scratch": str,
}
GUEST_KEYS: dict[str, type] = {"tap": str, "memory": int, "disk": int}
GUESTS = ("uml", "qemu")
KEYS_OF: dict[str, dict[str, type]] = {
    "local": {},
    "ssh": SSH_KEYS,
    "uml": {**GUEST_KEYS, "loopback": str},
    "qemu": GUEST_KEYS,
}
KINDS = tuple(KEYS_OF)
LEAST_MEMORY_MIB = 128  # with less, a guest's kernel kills the agent
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")  # it becomes a folder's name
WORD = re.compile(r"[A-Za-z0-9_][\w.%-]*")  # neither an option of ssh nor USER@HOST
PATH = re.compile(r"/[^\0\n'\"\\$`]*")


def names(project: Project) -> list[str]:
    """Return the sites that exist: "local" and every sites/NAME.yaml."""
    return sorted({"local", *(path.stem for path in (project.root / "sites").glob("*.yaml"))})


def load(project: Project, name: str) -> Site:
    """Return the validated site.

    Raises `UserError` for an unknown site, and for a mistake in its file.
    """
    if name not in names(project) and project.results(name, REFERENCE).is_dir():
        raise UserError(
            f'site "{name}" has stored results, but no file sites/{name}.yaml with its hosts; '
            f"read them by --from {REFERENCE}, or write the file to measure there"
        )
    one_of("site", name, names(project), "a site is a file sites/NAME.yaml")
    path = project.root / "sites" / f"{name}.yaml"
    if not path.exists():
        return Site(name, LOCAL)
    try:
        data = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f":{mark.line + 1}" if mark else ""
        problem = str(getattr(error, "problem", error)).splitlines()[0]
        raise UserError(f"sites/{name}.yaml{where} is not YAML: {problem}") from None
    return Site(name, _checked(f"sites/{name}.yaml", data))


def _checked(where: str, data: Any) -> tuple[HostEntry, ...]:
    if not isinstance(data, dict) or not isinstance(data.get("hosts"), list) or not data["hosts"]:
        raise UserError(f'{where}: needs a non-empty list under "hosts"')
    hosts = tuple(
        _checked_host(f"{where}: host {number}", host)
        for number, host in enumerate(data["hosts"], 1)
    )
    seen = [host.name for host in hosts]
    for name in seen:
        if seen.count(name) > 1:
            raise UserError(f'{where}: two hosts are named "{name}"')
    return hosts


def _checked_host(where: str, host: Any) -> HostEntry:
    if not isinstance(host, dict):
        raise UserError(f"{where}: must be a mapping with the keys {', '.join(KEYS)}")
    keys = {**KEYS, **KEYS_OF.get(str(host.get("kind")), {})}
    for key, value in host.items():
        kinds = [kind for kind, own in KEYS_OF.items() if key in own]
        if kinds and key not in keys:
            raise UserError(f'{where}: the key "{key}" is for hosts of kind {" or ".join(kinds)}')
        if key not in keys:
            hint = f"{did_you_mean(key, keys)} (there are: {', '.join(keys)})"
            raise UserError(f'{where}: unknown key "{key}"{hint}')
        if not isinstance(value, keys[key]):
            # Show numbers only: a text may hold a secret.
            shown = repr(value) if isinstance(value, (int, float)) else type(value).__name__
            raise UserError(f"{where}: {key} must be a {keys[key].__name__}, not {shown}")
    for key in ("name", "roles"):
        if not host.get(key):
            raise UserError(f'{where}: needs "{key}"')
    if not NAME.fullmatch(host["name"]):
        raise UserError(f'{where}: name "{host["name"]}" must be letters, digits and hyphens')
    if not all(isinstance(role, str) for role in host["roles"]):
        raise UserError(f"{where}: roles must be names, not {host['roles']}")
    host = {
        "kind": "local",
        **({"address": "127.0.0.1"} if host.get("kind", "local") == "local" else {}),
        **host,
    }
    one_of(f"{where}: kind", host["kind"], KINDS)
    _check_values(where, host)
    lists: dict[str, Any] = {key: tuple(host[key]) for key in ("roles", "cpus") if key in host}
    return HostEntry(**{**host, **lists})


def _check_values(where: str, host: Any) -> None:
    if "address" not in host:
        raise UserError(
            f'{where}: needs "address", what servers on it bind to and clients connect to'
        )
    if not _is_address(host["address"]):
        shown = Redactor(Path.cwd()).without_secrets(host["address"])
        raise UserError(f'{where}: address "{shown}" is not an IP address')
    if host["kind"] in GUESTS and ":" in host["address"]:
        raise UserError(f'{where}: address "{host["address"]}" must be IPv4 for a guest')
    loopback = host.get("loopback", "127.0.0.2")
    if not (_is_address(loopback) and loopback[:4] == "127.") or {"tap", "loopback"} <= {*host}:
        raise UserError(f"{where}: loopback must be an address in 127.0.0.0/8, and excludes tap")
    if any(type(cpu) is not int or cpu < 0 for cpu in host.get("cpus", [])):
        raise UserError(f"{where}: cpus must be whole numbers of at least 0, not {host['cpus']}")
    if not 0 < host.get("port", 22) < 65536:
        raise UserError(f"{where}: port {host['port']} is not in 1 to 65535")
    if host.get("memory", LEAST_MEMORY_MIB) < LEAST_MEMORY_MIB:
        raise UserError(f"{where}: memory {host['memory']} is below {LEAST_MEMORY_MIB} (MiB)")
    if host.get("disk", 1) < 1:
        raise UserError(f"{where}: disk {host['disk']} is below 1 (MiB)")
    for key in ("ssh", "user", "interface", "tap"):
        # Do not show the value: a password may have slipped in.
        if not WORD.fullmatch(host.get(key, "x")) and not (key == "ssh" and _is_address(host[key])):
            advice = "keys and passwords belong to ssh, not into a site file"
            raise UserError(f"{where}: {key} must be one name; {advice}")
    for key in ("python", "scratch"):
        if not PATH.fullmatch(host.get(key, "/")):
            rule = "must be an absolute path on the host, without quotes"
            raise UserError(f'{where}: {key} "{host[key]}" {rule}')


def _is_address(text: str) -> bool:
    try:
        return bool(ipaddress.ip_address(text))
    except ValueError:
        return False


def assign(site: Site, roles: Iterable[str]) -> dict[str, HostEntry]:
    """Return {role: host}.

    Each role goes to the first host that offers it and has no role yet, or else to the first host
    that offers it; hosts that offer "client" also offer "client2", "client3", and so on. Raises
    `UserError` when no host offers a role.
    """
    taken: set[str] = set()
    assigned = {}
    for role in roles:
        offering = [
            host for host in site.hosts if {role, role.rstrip("0123456789")} & {*host.roles}
        ]
        if not offering:
            advice = "add it to a host's roles"
            raise UserError(f'site "{site.name}" has no host for the role "{role}"; {advice}')
        host = next((h for h in offering if h.name not in taken), offering[0])
        taken.add(host.name)
        assigned[role] = host
    return assigned
