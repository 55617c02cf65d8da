"""One job in a standalone cluster of Flink, with a real broker and store: small, and exact."""

from types import SimpleNamespace

import pytest
from busy_machine import tried_again

from benchpaper.design.spec import make_cell
from benchpaper.hosts import HostError
from experiments.streaming import pipelines, topic
from experiments.streaming.proxy import Proxy
from experiments.streaming.scale_out import experiment as scale_out
from experiments.systems import flink


@pytest.mark.slow
@tried_again(3, (HostError, RuntimeError))  # a runtime may be starved; the job may end too soon
def test_a_job_that_is_submitted_again_counts_each_event_once(site, left_behind):
    runtime = (site.client, *pipelines.runtime(site.client, site.programs, "flink"))
    with (
        topic.servers(site) as (broker, store),
        Proxy(site.client, store.endpoint, scale_out.DELAY_MS) as proxy,
        flink.Cluster([runtime] * 3) as cluster,
    ):
        filled = scale_out.filled_topic(site, broker, 800)
        run = scale_out.job(filled, proxy, cluster, steps=0, workers=2)
        result = scale_out.worker_lost(run, cluster, 1)
    assert result["off"] == 0 and result["submissions"] >= 2
    assert 0 < result["kept_share"] < 100  # it began at a checkpoint
    assert "processes" not in left_behind()


class Host:
    """A host that has one of two folders."""

    def __init__(self, address, shared):
        self.address, self._shared = address, shared

    def scratch(self):
        return "/scratch/1"

    def run(self, argv, check):
        return SimpleNamespace(returncode=0 if self._shared else 1)


def test_hosts_without_a_shared_folder_are_refused_before_anything_starts():
    hosts = {role: Host("10.0.0.1", shared=True) for role in scale_out.experiment.roles}
    hosts["client3"] = Host("10.0.0.3", shared=False)
    with pytest.raises(HostError, match=r"10.0.0.1 and 10.0.0.3 share no folder.*set .scratch"):
        next(scale_out.trial(make_cell(dict(engine="flink")), SimpleNamespace(**hosts)))


def test_each_row_is_one_that_the_experiment_declares(monkeypatch):
    """In the order of the seed, each stage with each number of workers, then two lost workers."""
    counts = SimpleNamespace(steps=1, processed=2, waited=2, lost=2)
    monkeypatch.setattr(scale_out, "filled_topic", lambda *_: None)
    monkeypatch.setattr(scale_out, "job", lambda *arguments: arguments)
    monkeypatch.setattr(scale_out, "whole", lambda run: dict(off=0.0))
    monkeypatch.setattr(scale_out, "worker_lost", lambda *_: dict(off=0.0))
    site = SimpleNamespace(counts=counts, seed=3)
    rows = [
        (row["stage"], row["workers"], row["course"])
        for row in scale_out.measured(site, None, None, None)
    ]
    declared = {factor.name: set(factor.levels) for factor in scale_out.experiment.within}
    assert len(rows) == len(set(rows)) == 2 * len(scale_out.WORKERS) + 2
    for place, name in enumerate(("stage", "workers", "course")):
        assert {row[place] for row in rows} == declared[name]
