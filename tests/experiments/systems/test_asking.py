"""A server is asked on its own host, whatever wraps that host in a trial."""

import pytest

from benchpaper.core.deployment import Software
from benchpaper.hosts.local import LocalHost
from benchpaper.measure.inside import Recorder, enter
from benchpaper.measure.provisions import Provider, Provisions
from experiments.systems import asking

CONTAINER = Software("image 1", engine=("podman",), kind="podman", image="1")


@pytest.mark.parametrize("software", [None, Software("1 package", variables={}), CONTAINER])
def test_a_host_in_an_environment_is_asked_from_outside(software, tmp_path):
    host, seen = LocalHost(folder=tmp_path), []
    if software:
        host = enter(host, software, Recorder(lambda host, argv: lambda status: None), ())
    asking.ask(Provider(host, Provisions(), lambda *_: None), seen.append, 7)
    assert seen == [7]
