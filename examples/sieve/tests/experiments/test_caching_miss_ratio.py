"""caching/miss_ratio: the simulator against plain implementations, and its trial for real."""

import random
import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchpaper.core.project import Project
from benchpaper.design import catalog
from benchpaper.hosts.local import LocalHost
from benchpaper.results import check_observation

PROJECT = Project(Path(__file__).resolve().parents[2])
SIMULATOR = runpy.run_path(str(PROJECT.experiments / "caching/miss_ratio/simulate.py"))
POLICIES = SIMULATOR["POLICIES"]


def plain_sieve(trace, size):
    """Algorithm 1 of the SIEVE paper on a list, the newest object first."""
    queue, visited, hand, misses = [], {}, None, 0
    for key in trace:
        if key in visited:
            visited[key] = True
            continue
        misses += 1
        if len(queue) == size:
            place = queue.index(hand) if hand is not None else size - 1
            while visited[queue[place]]:
                visited[queue[place]] = False
                place = place - 1 if place else size - 1
            hand = queue[place - 1] if place else None
            del visited[queue.pop(place)]
        queue.insert(0, key)
        visited[key] = False
    return misses


@pytest.mark.parametrize("size", [1, 2, 3, 7, 20])
def test_sieve_follows_the_published_algorithm(size):
    for seed in range(20):
        trace = random.Random(seed).choices(range(20), range(20, 0, -1), k=500)
        assert POLICIES["sieve"](trace, size) == plain_sieve(trace, size)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_cache_for_all_objects_misses_each_once_and_one_for_one_each_change(policy):
    trace = list(SIMULATOR["zipf"](50, 2000, 1))
    assert POLICIES[policy](trace, 50) == len(set(trace))
    changes = sum(a != b for a, b in zip([None, *trace], trace, strict=False))
    assert POLICIES[policy](trace, 1) == changes


def test_policies_differ_where_they_should():
    trace = ["A", "B", "A", "C", "A", "D", "A"]
    assert {name: policy(trace, 2) for name, policy in POLICIES.items()} == {
        "fifo": 5, "lru": 4, "clock": 4, "sieve": 4,
    }  # fmt: skip


def test_each_cell_gives_an_observation_of_the_declared_schema(tmp_path):
    experiment = catalog.load(PROJECT, "caching/miss_ratio")
    site = SimpleNamespace(
        client=LocalHost(folder=tmp_path),
        counts=SimpleNamespace(requests=100),
        block=SimpleNamespace(seed=7),
    )
    for cell in experiment.cells("smoke"):
        [observation] = experiment._trial(cell, site)
        check_observation(experiment.describe(), observation)
        assert 0 < observation["miss_ratio"] <= 1
