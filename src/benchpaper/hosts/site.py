"""Sites: named sets of target hosts, each a YAML file in sites/.

A site file lists hosts, and which roles each can play:

    hosts:
      - name: here              # any short name; it appears in no result
        kind: local             # this machine
        address: 127.0.0.1      # what servers bind to and clients connect to
        cpus: [0, 1]            # optional: the CPUs that trials may pin to
        roles: [server, client]
      - name: storage-1
        kind: ssh
        address: 10.1.0.11      # on the network to measure
        interface: ens2f0       # optional: the interface that must have this address
        ssh: storage-1          # optional: what to give ssh, a name or an alias of ~/.ssh/config (default: address)
        user: bench             # optional, as are the next: what the user's ssh configuration does not say
        port: 22
        ssh_config: lab/config  # another configuration file than the user's, below the project
        python: /usr/bin/python3.11
        scratch: /data/tmp  # where trials have their files (default: the host's temporary folder)
        roles: [server]

A host behind others is reached as your ssh configuration says (ProxyJump), with the keys of its files or of your agent.
The keys of the hosts themselves are always checked; that of a jump host is checked as your configuration has it, which
is to say that one unknown is refused unless you allowed it there (StrictHostKeyChecking).
"""

import ipaddress
import re

import yaml

from benchpaper.core.errors import UserError, did_you_mean, one_of
from benchpaper.core.redact import URL_LOGIN

LOCAL = {
    "hosts": [
        {"name": "local", "kind": "local", "address": "127.0.0.1", "roles": ["server", "client"]}
    ]
}
KEYS = {"name": str, "kind": str, "address": str, "cpus": list, "roles": list}
SSH_KEYS = {
    "interface": str,
    "ssh": str,
    "user": str,
    "port": int,
    "ssh_config": str,
    "python": str,
    "scratch": str,
}
KINDS = ("local", "ssh")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")  # it becomes a folder's name
WORD = re.compile(r"[A-Za-z0-9_][\w.%-]*")  # no option of ssh, no login with it
PATH = re.compile(r"/[^\0\n'\"\\$`]*")
NOT_PROBED = {"present": False, "detail": "its probe did not run there"}


def names(project):
    """Return the sites that exist: "local" and every sites/NAME.yaml."""
    return sorted({"local", *(path.stem for path in (project.root / "sites").glob("*.yaml"))})


def load(project, name):
    """Return the site's validated description, {"name": ..., "hosts": [...]}.

    Raises `UserError` for an unknown site, or one that names the file, the key and the rule.
    """
    one_of("site", name, names(project), "a site is a file sites/NAME.yaml")
    path = project.root / "sites" / f"{name}.yaml"
    if not path.exists():
        return {"name": name, **LOCAL}
    try:
        data = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f":{mark.line + 1}" if mark else ""
        problem = str(getattr(error, "problem", error)).splitlines()[0]
        raise UserError(f"sites/{name}.yaml{where} is not YAML: {problem}") from None
    return {"name": name, "hosts": _checked(f"sites/{name}.yaml", data)}


def _checked(where, data):
    if not isinstance(data, dict) or not isinstance(data.get("hosts"), list) or not data["hosts"]:
        raise UserError(f'{where}: needs a non-empty list under "hosts"')
    hosts = [
        _checked_host(f"{where}: host {number}", host)
        for number, host in enumerate(data["hosts"], 1)
    ]
    seen = [host["name"] for host in hosts]
    for name in seen:
        if seen.count(name) > 1:
            raise UserError(f'{where}: two hosts are named "{name}"')
    return hosts


def _checked_host(where, host):
    if not isinstance(host, dict):
        raise UserError(f"{where}: must be a mapping with the keys {', '.join(KEYS)}")
    keys = {**KEYS, **SSH_KEYS} if host.get("kind") == "ssh" else KEYS
    for key, value in host.items():
        if key in SSH_KEYS and key not in keys:
            raise UserError(f'{where}: the key "{key}" is for hosts of kind ssh')
        if key not in keys:
            raise UserError(
                f'{where}: unknown key "{key}"{did_you_mean(key, keys)} (there are: {", ".join(keys)})'
            )
        if not isinstance(value, keys[key]):
            shown = (
                repr(value) if isinstance(value, (int, float)) else type(value).__name__
            )  # it may hold a secret
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
        **({"address": "127.0.0.1"} if host.get("kind") != "ssh" else {}),
        **host,
    }
    one_of(f"{where}: kind", host["kind"], KINDS)
    _check_values(where, host)
    return host


def _check_values(where, host):
    if "address" not in host:
        raise UserError(
            f'{where}: needs "address", what servers on it bind to and clients connect to'
        )
    if not _is_address(host["address"]):
        shown = URL_LOGIN.sub("$SECRET@", host["address"])
        raise UserError(f'{where}: address "{shown}" is not an IP address')
    if any(type(cpu) is not int or cpu < 0 for cpu in host.get("cpus", [])):
        raise UserError(f"{where}: cpus must be whole numbers of at least 0, not {host['cpus']}")
    if not 0 < host.get("port", 22) < 65536:
        raise UserError(f"{where}: port {host['port']} is not in 1 to 65535")
    for key in ("ssh", "user", "interface"):
        # The value is not shown: a password may have slipped in.
        if not WORD.fullmatch(host.get(key, "x")) and not (key == "ssh" and _is_address(host[key])):
            raise UserError(
                f"{where}: {key} must be one name; keys and passwords belong to ssh, not into a site file"
            )
    for key in ("python", "scratch"):
        if not PATH.fullmatch(host.get(key, "/")):
            raise UserError(
                f'{where}: {key} "{host[key]}" must be an absolute path on the host, without quotes'
            )


def _is_address(text):
    try:
        return bool(ipaddress.ip_address(text))
    except ValueError:
        return False


def assign(site, roles):
    """Return {role: host description}: each role goes to the first host that offers it and has none yet, else to
    the first that offers it. Raises `UserError` when no host offers a role."""
    taken, assigned = set(), {}
    for role in roles:
        offering = [host for host in site["hosts"] if role in host["roles"]]
        if not offering:
            raise UserError(
                f'site "{site["name"]}" has no host for the role "{role}"; add it to a host\'s roles'
            )
        host = next((h for h in offering if h["name"] not in taken), offering[0])
        taken.add(host["name"])
        assigned[role] = host
    return assigned


def capabilities(probed, assigned, known):
    """Return {capability: {"present": bool, "detail": str}} for an experiment whose roles are `assigned` to hosts.

    `probed` is what `Pipeline.probed` holds; `known` are the registered capabilities. What the controller needs is
    looked for here, the rest on each host that plays a role; the first host without it decides.
    """
    hosts = {
        host["name"]: probed.get("hosts", {}).get(host["name"], probed)
        for host in assigned.values()
    }
    found = {}
    for name, capability in known.items():
        here = probed["capabilities"].get(name, {"present": False, "detail": "was not probed"})
        if name == "shared_host" and len(hosts) > 1:
            here = {"present": False, "detail": "the roles are on different hosts"}
        if capability.on_controller:
            found[name] = here
            continue
        answers = [
            (host, about["capabilities"].get(name, here if about is probed else NOT_PROBED))
            for host, about in hosts.items()
        ]
        host, answer = min(answers, key=lambda item: item[1]["present"])
        found[name] = (
            {**answer, "detail": f"{host}: {answer['detail']}"}
            if len(hosts) > 1 and not answer["present"]
            else answer
        )
    return found
