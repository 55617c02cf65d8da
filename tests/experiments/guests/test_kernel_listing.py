"""Names listed by the kernel's NFS client, from another kernel: all of them, by either request."""

from types import SimpleNamespace

import pytest

from benchpaper.core.project import Project
from benchpaper.design import catalog
from benchpaper.design.spec import make_cell
from benchpaper.results import check_observation
from experiments.training_io.kernel_listing import experiment as module

pytestmark = pytest.mark.slow


def test_a_trial_lists_all_names_by_every_mount(guests, shell, monkeypatch):
    """The program itself refuses a listing or a batch that is not what was written."""
    monkeypatch.setattr(module, "DISTINCT", 300)
    experiment = catalog.load(Project.find(), "training_io/kernel_listing")
    server, client = guests.host(1), guests.host(2, "client")
    site = SimpleNamespace(server=server, client=client, seed=1)
    rows = list(module.trial(make_cell(dict(samples=2000)), site))
    assert [row["mount"] for row in rows] == list(module.MOUNTS)
    for row in rows:
        check_observation(experiment.describe(), row)
        assert 0 < row["listing_ms"] < row["first_batch_ms"]
    sent = {row["mount"]: (row["readdirplus"], row["readdir"]) for row in rows}
    assert sent["3 rdirplus"][0] > 0 and sent["3 nordirplus"][0] == 0 < sent["3 nordirplus"][1]
    assert sent["4.2 rdirplus"][1] > 0
    for host in (server, client):
        assert "/mounted" not in shell(host, "cut -d ' ' -f 2 /proc/mounts")
