"""requirements.extras and packages.apt fit what they are made from."""

import re

import pytest
from checkout import ROOT
from locked_extras import holds, pins, text

from benchpaper.core.capabilities import CAPABILITIES
from benchpaper.core.project import Project
from benchpaper.design import catalog

APT = (ROOT / "packages.apt").read_text()
GROUPS = {
    name: set(re.findall(r"^[a-z0-9][\w.+-]*", body, re.M))
    for name, body in re.findall(r"^\[(\w+)\][^\n]*\n((?:[^\[\n][^\n]*\n|\n)*)", APT, re.M)
}
PACKAGES = set().union(*GROUPS.values())
# An experiment runs without these; those who want the cells that need them name the site.
OF_SITES = ("guests", "kernel", "nfs_client", "nfsd", "soft_roce", "disk_faults")


def test_the_extras_of_each_locked_package_are_those_of_its_metadata():
    """After a change of the lock: .venv/bin/python tests/locked_extras.py > requirements.extras."""
    assert (ROOT / "requirements.extras").read_text() == text()


def test_each_package_that_is_locked_for_linux_has_an_extra():
    here = {pin.name for pin in pins() if holds(pin, {""})}
    listed = re.findall(r"^([a-z0-9][\w.-]*) ", (ROOT / "requirements.extras").read_text(), re.M)
    assert sorted(here) == listed


def families():
    named = catalog.names(Project(ROOT))
    return sorted({name.split("/")[0] for name in named})


@pytest.mark.parametrize("family", families())
def test_the_group_of_a_family_brings_the_packages_that_its_remedies_name(family):
    """A family's group and `measure` suffice, but for what only guests can do."""
    project, lacking = Project(ROOT), {}
    for name in catalog.names(project):
        if not name.startswith(f"{family}/"):
            continue
        experiment = catalog.load(project, name)
        cells = experiment.cells("full")
        needs = {need for cell in cells for need in experiment.capabilities(cell)}
        for need in sorted({*needs, *experiment.build_needs}):
            if any(word in need for word in OF_SITES):
                continue
            named = set(re.findall(r"[a-z0-9][\w.+-]+", CAPABILITIES[need].remedy)) & PACKAGES
            lacking[need] = named - GROUPS[family] - GROUPS["measure"]
    assert {need: names for need, names in lacking.items() if names} == {}


def test_every_group_of_packages_says_its_size_and_what_it_is_for():
    headers = re.findall(r"^\[.*$", APT, re.M)
    assert len(headers) == len(GROUPS) > 10
    assert [line for line in headers if not re.match(r"\[[a-z_]+\] +# \d+ MB: .", line)] == []
    families_without_a_group = [family for family in families() if family not in GROUPS]
    assert families_without_a_group == []
