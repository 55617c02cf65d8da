"""Site files: each mistake gives one line; a good file is completed."""

import pytest

from benchpaper.core.capabilities import Capability
from benchpaper.core.errors import UserError
from benchpaper.hosts import presence
from benchpaper.hosts import site as sites
from benchpaper.hosts.probed import Presence, ProbedHost, ProbedSite

# --- sites -----------------------------------------------------------------------------------

GOOD = """
hosts:
  - name: big
    kind: local
    address: 127.0.0.1
    cpus: [0, 1]
    roles: [server]
  - name: small
    roles: [server, client]
"""


BAD_SITES = {
    "": 'sites/lab.yaml: needs a non-empty list under "hosts"',
    "hosts: []": 'sites/lab.yaml: needs a non-empty list under "hosts"',
    "host: []": 'sites/lab.yaml: needs a non-empty list under "hosts"',
    "- name: x": 'sites/lab.yaml: needs a non-empty list under "hosts"',
    "hosts: [x]": (
        "sites/lab.yaml: host 1: must be a mapping with the keys name, kind, address, cpus, roles"
    ),
    "hosts: [{name: x, adress: 1.2.3.4, roles: [client]}]": "sites/lab.yaml: host 1: unknown key "
    '"adress"; '
    'did you mean "address"? '
    "(there are: name, kind, address, cpus, roles)",
    ("hosts: [{name: x, roles: [client]}, {name: y, user: z, roles: [client]}]"): (
        'sites/lab.yaml: host 2: the key "user" is for hosts of kind ssh'
    ),
    "hosts: [{name: x, kind: ssh, roles: [client]}]": (
        'sites/lab.yaml: host 1: needs "address", what servers on it bind to and clients connect to'
    ),
    (
        "hosts: [{name: x, kind: ssh, address: 10.0.0.1, usr: me, roles: [client]}]"
    ): 'sites/lab.yaml: host 1: unknown key "usr"; did you mean '
    '"user"? (there are: name, kind, address, cpus, roles, '
    "interface, ssh, user, port, "
    "ssh_config, python, scratch)",
    (
        "hosts: [{name: x, kind: ssh, address: 10.0.0.1, port: 0, roles: [client]}]"
    ): "sites/lab.yaml: host 1: port 0 is not in 1 to 65535",
    (
        "hosts: [{name: x, kind: ssh, address: 10.0.0.1, port: '22', roles: [client]}]"
    ): "sites/lab.yaml: host 1: port must be a int, not str",
    (
        "hosts: [{name: x, kind: ssh, address: 10.0.0.1, ssh: -oProxyCommand=x, roles: [client]}]"
    ): "sites/lab.yaml: host 1: ssh must be one name; "
    "keys and passwords belong to ssh, not into a site file",
    (
        "hosts: [{name: x, kind: ssh, address: 10.0.0.1, user: 'me:hunter22@x', roles: [client]}]"
    ): "sites/lab.yaml: host 1: user must be one name; "
    "keys and passwords belong to ssh, not into a site file",
    (
        "hosts: [{name: x, kind: ssh, address: 10.0.0.1, scratch: tmp, roles: [client]}]"
    ): 'sites/lab.yaml: host 1: scratch "tmp" must be an absolute path on the host, without quotes',
    "hosts: [{name: x, tap: bpl-g1, roles: [client]}]": (
        'sites/lab.yaml: host 1: the key "tap" is for hosts of kind uml or qemu'
    ),
    "hosts: [{name: x, kind: uml, roles: [client]}]": (
        'sites/lab.yaml: host 1: needs "address", what servers on it bind to and clients connect to'
    ),
    "hosts: [{name: x, kind: uml, address: 198.18.0.9, memory: 64, roles: [client]}]": (
        "sites/lab.yaml: host 1: memory 64 is below 128 (MiB)"
    ),
    "hosts: [{name: x, kind: uml, address: 198.18.0.9, loopback: 10.0.0.1, roles: [client]}]": (
        "sites/lab.yaml: host 1: loopback must be an address in 127.0.0.0/8, and excludes tap"
    ),
    "hosts: [{name: x, kind: uml, address: 198.18.0.9, loopback: 127.1.1.1, tap: t, roles: [x]}]": (
        "sites/lab.yaml: host 1: loopback must be an address in 127.0.0.0/8, and excludes tap"
    ),
    "hosts: [{name: x, kind: uml, address: 198.18.0.9, tap: -x, roles: [client]}]": (
        "sites/lab.yaml: host 1: tap must be one name; "
        "keys and passwords belong to ssh, not into a site file"
    ),
    "hosts: [{name: x, kind: uml, address: '::1', roles: [client]}]": (
        'sites/lab.yaml: host 1: address "::1" must be IPv4 for a guest'
    ),
    "hosts: [{name: 5, roles: [client]}]": "sites/lab.yaml: host 1: name must be a str, not 5",
    "hosts: [{name: x, roles: client}]": "sites/lab.yaml: host 1: roles must be a list, not str",
    "hosts: [{name: x, roles: [1]}]": "sites/lab.yaml: host 1: roles must be names, not [1]",
    "hosts: [{roles: [client]}]": 'sites/lab.yaml: host 1: needs "name"',
    "hosts: [{name: x}]": 'sites/lab.yaml: host 1: needs "roles"',
    "hosts: [{name: x, roles: []}]": 'sites/lab.yaml: host 1: needs "roles"',
    "hosts: [{name: ../x, roles: [client]}]": (
        'sites/lab.yaml: host 1: name "../x" must be letters, digits and hyphens'
    ),
    "hosts: [{name: x, kind: locl, roles: [client]}]": (
        'sites/lab.yaml: host 1: kind "locl" '
        "not found; did you "
        'mean "local"? (there are: local, '
        "ssh, uml, qemu)"
    ),
    "hosts: [{name: x, address: localhost, roles: [client]}]": (
        'sites/lab.yaml: host 1: address "localhost" is not an IP address'
    ),
    "hosts: [{name: x, cpus: [-1], roles: [client]}]": (
        "sites/lab.yaml: host 1: cpus must be whole numbers of at least 0, not [-1]"
    ),
    "hosts: [{name: x, cpus: [true], roles: [client]}]": (
        "sites/lab.yaml: host 1: cpus must be whole numbers of at least 0, not [True]"
    ),
    (
        "hosts: [{name: x, roles: [client]}, {name: x, roles: [server]}]"
    ): 'sites/lab.yaml: two hosts are named "x"',
    "hosts:\n  - name: x\n bad": "sites/lab.yaml:3 is not YAML: ",
    "hosts: [\0]": "sites/lab.yaml is not YAML: ",
    "a: b: c": "sites/lab.yaml:1 is not YAML: mapping values are not allowed here",
}


@pytest.mark.parametrize("text", BAD_SITES)
def test_a_broken_site_file_gets_one_line_with_file_key_and_rule(make_project, text):
    project = make_project({"sites/lab.yaml": text})
    with pytest.raises(UserError) as refused:
        sites.load(project, "lab")
    message = str(refused.value)
    assert message.startswith(BAD_SITES[text]) and "\n" not in message
    assert "is not YAML" in message or message == BAD_SITES[text]


def test_a_site_file_that_is_no_text_gets_one_line(make_project):
    project = make_project({"sites/lab.yaml": ""})
    (project.root / "sites" / "lab.yaml").write_bytes(b"hosts: \xff\xfe")
    with pytest.raises(UserError, match="^sites/lab.yaml is not YAML: .*$"):
        sites.load(project, "lab")


def test_a_good_site_file_is_completed(make_project):
    site = sites.load(make_project({"sites/lab.yaml": GOOD}), "lab")
    assert site.name == "lab" and site.hosts[0].cpus == (0, 1)
    assert site.hosts[1] == sites.HostEntry(
        name="small", kind="local", address="127.0.0.1", roles=("server", "client")
    )


def test_local_needs_no_file_and_a_file_replaces_it(make_project):
    project = make_project({})
    assert sites.names(project) == ["local"]
    assert sites.load(project, "local").hosts[0].roles == ("server", "client")
    (project.root / "sites" / "local.yaml").write_text("hosts: [{name: mine, roles: [client]}]")
    assert [host.name for host in sites.load(project, "local").hosts] == ["mine"]


def test_an_unknown_site_names_the_nearest_and_where_sites_are(make_project):
    with pytest.raises(UserError) as refused:
        sites.load(make_project({"sites/lab.yaml": GOOD}), "lap")
    assert str(refused.value) == (
        'site "lap" not found; did you mean "lab"? (there are: lab, local); a site is a file '
        "sites/NAME.yaml"
    )


def test_roles_go_to_different_hosts_where_possible(make_project):
    site = sites.load(make_project({"sites/lab.yaml": GOOD}), "lab")
    chosen = {role: host.name for role, host in sites.assign(site, ["server", "client"]).items()}
    assert chosen == {"server": "big", "client": "small"}
    local = sites.assign(sites.Site("local", sites.LOCAL), ["server", "client"])
    assert local["server"] is local["client"]


def test_a_numbered_role_goes_to_any_host_that_plays_it(make_project):
    site = sites.load(make_project({"sites/lab.yaml": GOOD}), "lab")
    roles = ["client", "client2", "server2"]
    chosen = {role: host.name for role, host in sites.assign(site, roles).items()}
    assert chosen == {"client": "small", "client2": "small", "server2": "big"}


def test_a_role_that_no_host_plays_is_named(make_project):
    site = sites.load(make_project({"sites/lab.yaml": GOOD}), "lab")
    with pytest.raises(UserError) as refused:
        sites.assign(site, ["server", "metadata"])
    assert (
        str(refused.value)
        == 'site "lab" has no host for the role "metadata"; add it to a host\'s roles'
    )


# --- capabilities ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "role, roles, expected",
    [
        ("", ("server", "client"), Presence(False, "big: dark")),
        ("server", ("server", "client"), Presence(False, "dark")),
        ("client", ("server", "client"), Presence(True, "light")),
        ("client", ("server",), Presence(False, "dark")),  # no such role: wherever it runs
    ],
)
def test_a_capability_of_a_role_is_looked_for_on_the_host_that_plays_it(role, roles, expected):
    presences = {"big": Presence(False, "dark"), "small": Presence(True, "light")}
    hosts = {name: ProbedHost({}, {"lamp": state}, name) for name, state in presences.items()}
    assigned = {
        role: sites.HostEntry(name=name, roles=(role,))
        for role, name in (("server", "big"), ("client", "small"))
        if role in roles
    }
    lamp = Capability("lamp", "light", "light it", lambda: (False, ""), "m", role=role)
    probed = ProbedSite(ProbedHost({}, {}, "here"), hosts)
    assert presence.capabilities(probed, assigned, {"lamp": lamp})["lamp"] == expected
