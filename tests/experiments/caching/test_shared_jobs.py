"""Jobs that share a data set: what is proved, and what the simulation gives."""

import itertools
from types import SimpleNamespace

import pytest

from benchpaper.design.spec import make_cell
from experiments.caching import access_traces, plain_caches, theory
from experiments.caching.shared_jobs import experiment as shared_jobs
from experiments.caching.shared_jobs_simulation import simulate


def plan(jobs, lag, share, seed=1, items=1_024):
    return dict(items=items, jobs=jobs, lag=lag, share=share, epochs=4, warm_epochs=2, seed=seed)


def ratios(*levels, **more):
    result = simulate(plan(*levels, **more))
    return {name: hits / result["requests"] for name, hits in result["hits"].items()}


def test_jobs_read_whole_epochs_and_in_turn():
    for jobs, lag in ((1, 1 / 8), (2, 1 / 3), (4, 1 / 8), (8, 1 / 16)):
        trace = access_traces.make("jobs", 96, 96 * jobs * 3, 5, count=jobs, lag=lag)
        reads = trace.ids.reshape(-1, jobs)
        assert len(reads) == 3 * 96 and trace.warm == 96 * jobs
        behind = round(lag * 96)
        for job in range(jobs - 1):
            assert (reads[behind:, job + 1] == reads[: len(reads) - behind, job]).all()
        last = reads[:, -1].reshape(-1, 96)
        assert all(len(set(epoch)) == 96 for epoch in last)


LEVELS = list(itertools.product([2, 4], [1 / 64, 1 / 16, 1 / 8], [0.1, 0.25, 0.5, 0.75]))


@pytest.mark.parametrize("jobs, lag, share", LEVELS)
def test_what_is_proved_holds(jobs, lag, share):
    hits = ratios(jobs, lag, share)
    # All but the last job begin within an epoch, so that their share differs by chance.
    assert hits["never_replace"] == pytest.approx(share, abs=0.01)
    assert hits["fifo"] >= theory.fifo_shared_least(share, jobs, lag, 4)
    if jobs * lag < share:
        assert hits["lru"] == pytest.approx(theory.lru_shared(share, jobs, lag), abs=0.02)
    expected = theory.keep_and_pass(share, jobs, lag, 1_024)
    assert expected - 0.05 < hits["keep_and_pass"] <= hits["min"] + 1e-3


def test_fifo_beats_what_never_replaces_until_the_jobs_are_too_far_apart():
    near, far = ratios(4, 1 / 8, 0.5), ratios(4, 1 / 8, 0.25)
    assert near["fifo"] > 1.3 * near["never_replace"]
    assert far["fifo"] < 0.5 * far["never_replace"]


def test_only_the_leader_fills_the_passing_part():
    ids = [1, 5, 2, 6, 3, 7]  # two jobs in turn; the second reads 5, 6, and 7
    assert plain_caches.keep_and_pass([*ids, 5, 0, 1, 0, 2, 0, 3, 0], 3, 1, 2)[6::2] == [
        False,  # 5: a follower's miss does not enter
        True,  # 1 is kept for good
        False,  # 2: 5 pushed it out
        False,  # 3: 2 pushed it out
    ]


def test_one_trial_and_what_it_refuses(tmp_path):
    from benchpaper.hosts.local import LocalHost

    cell = make_cell(dict(jobs=4, lag=1 / 16, share=0.25))
    counts = SimpleNamespace(items=1_000, epochs=2, warm_epochs=2)
    site = SimpleNamespace(
        client=LocalHost(folder=tmp_path), counts=counts, block=SimpleNamespace(seed=3)
    )
    [row] = shared_jobs.experiment._trial(cell, site)
    assert row["simulated"] == str(2 * 4 * 1_000)
    assert row["hits_never_replace"] == pytest.approx(0.25, abs=0.01)
    assert row["kept_over_min"] > 0.85 and "lru_off_points" not in row
    worse = dict.fromkeys(shared_jobs.POLICIES, 1)
    near = make_cell(dict(jobs=4, lag=1 / 32, share=0.25))
    with pytest.raises(ValueError, match="FIFO hits 0.0100, at least 0.7383 proved"):
        shared_jobs.observation(near, {"requests": 100, "hits": worse}, counts)
