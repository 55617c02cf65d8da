"""What `doctor` says of the hosts of a site."""

from types import SimpleNamespace

import pytest

from benchpaper.cli import views
from benchpaper.cli.diagnosis_text import show_diagnosis
from benchpaper.core.capabilities import CAPABILITIES, capability
from benchpaper.core.project import Project
from benchpaper.hosts.probed import Presence, ProbedHost, ProbedSite
from benchpaper.hosts.site import HostEntry, Site


@pytest.fixture
def registered():
    """A lamp that each host needs, and a package that this machine sends to them."""
    before = dict(CAPABILITIES)
    CAPABILITIES.clear()
    for name, on_controller in (("lamp", False), ("package", True)):
        capability(name, f"the {name}", f"get a {name}", on_controller)(lambda: (True, "here"))
    yield
    CAPABILITIES.clear()
    CAPABILITIES.update(before)


def test_remote_hosts_are_not_blamed_for_what_they_need_not_have(registered, tmp_path, capsys):
    here = {name: Presence(True, "it is here") for name in ("lamp", "package")}
    far = {name: Presence(False, "it is not") for name in ("lamp", "package")}
    run = SimpleNamespace(
        site_name="far",
        site=Site("far", (HostEntry(name="far-1", kind="ssh", roles=("client",)),)),
        probed=ProbedSite(ProbedHost({}, here, "a"), {"far-1": ProbedHost({}, far, "b")}),
        available=[],
        project=Project(tmp_path),
    )
    diagnosis, mistakes = views.diagnosis(run)
    assert mistakes == [] and diagnosis["hosts"][0]["has"] == {"lamp": False}
    show_diagnosis(diagnosis)
    rows = {line.split()[0]: line.split() for line in capsys.readouterr().out.splitlines() if line}
    assert rows["lamp"][1:3] == ["yes", "no"] and "get" in rows["lamp"]
    assert rows["package"][1:3] == ["yes", "-"] and "get" not in rows["package"]
