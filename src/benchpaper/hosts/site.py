"""Sites: named sets of target hosts, each a YAML file in sites/.

A site file lists hosts, and which roles each can play:

    hosts:
      - name: here            # any short name; it appears in no result
        kind: local
        address: 127.0.0.1    # what servers bind to and clients connect to
        cpus: [0, 1]          # optional: the CPUs that trials may pin to
        roles: [server, client]
"""

import ipaddress
import re

import yaml

from benchpaper.errors import UserError, did_you_mean, one_of
from benchpaper.redact import URL_LOGIN

LOCAL = {"hosts": [{"name": "local", "kind": "local", "address": "127.0.0.1", "roles": ["server", "client"]}]}
KEYS = {"name": str, "kind": str, "address": str, "cpus": list, "roles": list}
KINDS = ("local",)
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")  # it becomes a folder's name


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
    hosts = [_checked_host(f"{where}: host {number}", host) for number, host in enumerate(data["hosts"], 1)]
    seen = [host["name"] for host in hosts]
    for name in seen:
        if seen.count(name) > 1:
            raise UserError(f'{where}: two hosts are named "{name}"')
    return hosts


def _checked_host(where, host):
    if not isinstance(host, dict):
        raise UserError(f"{where}: must be a mapping with the keys {', '.join(KEYS)}")
    for key, value in host.items():
        if key not in KEYS:
            raise UserError(f'{where}: unknown key "{key}"{did_you_mean(key, KEYS)} (there are: {", ".join(KEYS)})')
        if not isinstance(value, KEYS[key]):
            shown = repr(value) if isinstance(value, (int, float)) else type(value).__name__  # it may hold a secret
            raise UserError(f"{where}: {key} must be a {KEYS[key].__name__}, not {shown}")
    for key in ("name", "roles"):
        if not host.get(key):
            raise UserError(f'{where}: needs "{key}"')
    if not NAME.fullmatch(host["name"]):
        raise UserError(f'{where}: name "{host["name"]}" must be letters, digits and hyphens')
    if not all(isinstance(role, str) for role in host["roles"]):
        raise UserError(f"{where}: roles must be names, not {host['roles']}")
    host = {"kind": "local", "address": "127.0.0.1", **host}
    one_of(f"{where}: kind", host["kind"], KINDS)
    try:
        ipaddress.ip_address(host["address"])
    except ValueError:
        shown = URL_LOGIN.sub("$SECRET@", host["address"])
        raise UserError(f'{where}: address "{shown}" is not an IP address') from None
    if any(type(cpu) is not int or cpu < 0 for cpu in host.get("cpus", [])):
        raise UserError(f"{where}: cpus must be whole numbers of at least 0, not {host['cpus']}")
    return host


def assign(site, roles):
    """Return {role: host description}: each role goes to the first host that offers it and has none yet, else to
    the first that offers it. Raises `UserError` when no host offers a role."""
    taken, assigned = set(), {}
    for role in roles:
        offering = [host for host in site["hosts"] if role in host["roles"]]
        if not offering:
            raise UserError(f'site "{site["name"]}" has no host for the role "{role}"; add it to a host\'s roles')
        host = next((h for h in offering if h["name"] not in taken), offering[0])
        taken.add(host["name"])
        assigned[role] = host
    return assigned
