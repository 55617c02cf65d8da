"""Recording what loaders read: the parser, Megatron's order, and the committed recordings."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from checkout import ROOT

from benchpaper.design.spec import make_cell
from experiments.caching import (
    access_traces,
    eviction,
    neighbours,
    recorded_simulation,
    recorded_traces,
)
from experiments.caching.loader_traces import experiment as loader_traces
from experiments.caching.recorders import loaders, megatron, record

RECORDED = ROOT / recorded_traces.FOLDER
LINES = """\
7 1.000001 openat(AT_FDCWD</x>, "/d/a.bin", O_RDONLY) = 3</d/a.bin>
7 1.000002 read(3</d/a.bin>, ""..., 100) = 100
8 1.000003 read(3</d/a.bin>, ""..., 100 <unfinished ...>
7 1.000004 pread64(4</d/b.bin>, ""..., 50, 4096) = 50
8 1.000005 <... read resumed>) = 60
7 1.000006 lseek(3</d/a.bin>, 20, SEEK_SET) = 20
7 1.000007 read(3</d/a.bin>, ""..., 10) = 10
7 1.000008 read(3</d/a.bin>, ""..., 10) = 0
7 1.000009 read(5</etc/passwd>, ""..., 10) = 10
7 1.000010 openat(AT_FDCWD, "/d/none", O_RDONLY) = -1 ENOENT (No such file or directory)
7 1.000011 --- SIGCHLD {si_signo=SIGCHLD} ---
7 1.000012 openat(AT_FDCWD</x>, "/d/c.bin", O_RDONLY) = 3</d/c.bin>
7 1.000013 read(3</d/c.bin>, ""..., 5) = 5
"""


def test_reads_are_what_strace_shows():
    listed = record.reads(LINES.splitlines(), "/d")
    assert [row[1:] for row in listed] == [
        ("a.bin", 0, 100),
        ("b.bin", 4096, 50),
        ("a.bin", 100, 60),
        ("a.bin", 20, 10),
        ("c.bin", 0, 5),
    ]
    assert record.printed_reads(["/d/x y/a 4096 10\n"], "/d") == [(0.0, "x y/a", 4096, 10)]


def sample_begins_step_by_step(lengths, sequence):
    """As published: walk over the documents, one sample after the other."""
    begins, place, token = [(0, 0)], 0, 0
    for _ in range((sum(lengths) - 1) // sequence):
        left = sequence
        while left >= lengths[place] - token:
            left -= lengths[place] - token
            place, token = place + 1, 0
            if place == len(lengths):
                raise AssertionError("past the end")
        token += left
        begins.append((place, token))
    return begins


@pytest.mark.parametrize("seed", range(6))
def test_megatrons_samples_are_those_of_the_published_walk(seed):
    rng = np.random.default_rng(seed)
    lengths = np.maximum(1, rng.lognormal(3, 1, 50)).astype(int)
    for sequence in (1, 7, 64):
        begins = megatron._sample_begins(lengths, sequence)
        assert begins.tolist() == [list(b) for b in sample_begins_step_by_step(lengths, sequence)]


def test_megatrons_epochs():
    lengths = np.full(20, 64)  # 1,280 tokens; 19 whole samples of 64 and one more token
    for samples, epochs, apart in ((10, 1, False), (19, 1, False), (25, 2, True), (38, 2, False)):
        order = megatron.order(lengths, samples, 64, 3)
        assert order.epochs == epochs and len(order.documents) == 20 * epochs
        assert sorted(order.shuffled) == list(range(len(order.begins) - 1))
        first = order.documents[:20]
        assert (len(set(first)) == 20) == (apart or epochs == 1)
        if apart:
            assert max(order.shuffled[:19]) == 18
    again, other = (megatron.order(lengths, 25, 64, seed) for seed in (3, 4))
    assert np.array_equal(again.shuffled, megatron.order(lengths, 25, 64, 3).shuffled)
    assert not np.array_equal(again.shuffled, other.shuffled)
    with pytest.raises(ValueError, match="the corpus has no tokens"):
        megatron.order([0, 0], 1, 64, 1)


def test_a_megatron_sample_reads_each_of_its_documents_once():
    lengths = np.array([100, 30, 5, 200, 64])
    order = megatron.order(lengths, 5, 64, 1)
    ends = np.cumsum(lengths) * 2
    for sample in range(len(order.begins) - 1):
        pieces = megatron.reads(order, lengths, sample)
        assert sum(size for _, size in pieces) == 65 * 2
        for offset, size in pieces:
            document = np.searchsorted(ends, offset, side="right")
            assert (
                ends[document] - lengths[document] * 2 <= offset < offset + size <= ends[document]
            )


def test_a_blend_keeps_to_its_weights_at_every_step():
    weights = [0.6, 0.3, 0.1]
    corpora, indices = megatron.blend(weights, 1_000)
    for corpus, weight in enumerate(weights):
        taken = np.cumsum(corpora == corpus)
        assert np.abs(taken - weight * np.arange(1, 1_001)).max() <= 1.0
        assert indices[corpora == corpus].tolist() == list(range(taken[-1]))


def recording(rows):
    files, offsets, sizes = (np.array(column) for column in zip(*rows, strict=True))
    return recorded_traces.Recording(files, offsets, sizes, np.zeros(len(rows)), {"epochs": 2})


def test_reads_become_requests_for_blocks():
    ids = recorded_traces.blocks(
        recording([(0, 0, 10), (0, 10, 10), (0, 4090, 10), (1, 0, 8192), (0, 0, 1)]), 4096
    )
    assert ids.tolist() == [1, 2, 3, 4, 1]
    seen = recording([(0, 0, 10), (0, 10, 5), (1, 0, 9), (0, 15, 1), (0, 0, 1)])
    assert recorded_traces.sequential_share(seen) == 2 / 5


def test_reuse_distances_by_hand_and_by_counting():
    assert recorded_traces.reuse_distances([1, 2, 3, 1, 1, 2]).tolist() == [2, 0, 2]
    ids = np.random.default_rng(1).integers(0, 40, 400)
    expected = []
    for now, item in enumerate(ids):
        before = np.flatnonzero(ids[:now] == item)
        if len(before):
            expected.append(len(set(ids[before[-1] + 1 : now])))
    assert recorded_traces.reuse_distances(ids).tolist() == expected


@pytest.mark.parametrize("name", recorded_traces.NAMES)
def test_a_committed_recording_is_small_and_says_how_it_was_made(name):
    path = RECORDED / f"{name}.parquet"
    assert path.stat().st_size < record.MAX_BYTES
    description = recorded_traces.load(path).description
    assert description["command"].endswith(f"{name} OUTPUT --seed {description['seed']}")
    assert set(description["versions"]) == {*loaders.LOADERS[name].needs.values(), "numpy"}
    assert description["epochs"] == loaders.LOADERS[name].epochs
    text = json.dumps(description)
    assert "/work" not in text and "/home" not in text and "/tmp" not in text


def reads_of(name):
    made = recorded_traces.load(RECORDED / f"{name}.parquet")
    return list(zip(made.files.tolist(), made.offsets.tolist(), made.sizes.tolist(), strict=True))


def test_the_distributed_sampler_is_our_generator():
    """The very same order: one file per sample, so a file stands for an item."""
    made = recorded_traces.load(RECORDED / "distributed_sampler.parquet")
    items, epochs, seed = (
        loaders.corpora.SAMPLES,
        made.description["epochs"],
        made.description["seed"],
    )
    order = np.concatenate(
        [access_traces.distributed_sampler(items, 4, 0, seed, e) for e in range(epochs)]
    )
    assert set(made.sizes.tolist()) == {2 * loaders.corpora.TOKENS}
    number, renamed = {}, []
    for item in order.tolist():
        renamed.append(number.setdefault(item, len(number)))
    seen = {}
    assert [seen.setdefault(file, len(seen)) for file in made.files.tolist()] == renamed


@pytest.mark.parametrize(
    "name, spread",
    [("grain", 0.408), ("hugging_face", 0.408), ("litdata", 0.408), ("mds_py1e", 0.37),
     ("mds_py1br", 0.37), ("webdataset", 0.0)],
)  # fmt: skip
def test_recordings_shuffle_as_our_generator_does_or_differ_as_told(name, spread):
    """Each epoch reads each sample once. LitData, Grain, and datasets shuffle uniformly, MDS within
    blocks, and WebDataset repeats its order."""
    read = recorded_traces.samples(recorded_traces.load(RECORDED / f"{name}.parquet"))
    read = read[np.bincount(read)[read] > 1]  # without an index that is read once
    whole = len(np.unique(read))
    once = [len(np.unique(part)) for part in np.array_split(read, 4)]
    assert min(once) >= 0.999 * whole  # ArrayRecord's reader takes two places more, now and then
    assert recorded_traces.reuse_spread(read) == pytest.approx(spread, abs=0.01)


def test_our_shuffles_have_the_spread_of_uniform_ones():
    for name, spread in (("uniform", 0.408), ("loop", 0.0)):
        ids = access_traces.make(name, 4_000, 24_000, 1).ids
        assert recorded_traces.reuse_spread(ids) == pytest.approx(spread, abs=0.01)


def test_keeping_what_is_read_most_by_hand_and_never_worse_than_what_came_first():
    hits = neighbours.most_read([1, 2, 3, 2, 3, 1, 3], 1)
    assert hits.tolist() == [False, False, False, False, True, False, True]
    assert neighbours.most_read([1, 2, 1, 2], 1).tolist() == [False, False, True, False]
    ids = np.random.default_rng(1).zipf(1.3, 3_000) % 200
    for size in (1, 10, 100):
        kept = eviction.never_replace(ids.tolist(), size, 0)
        assert neighbours.most_read(ids, size).sum() >= sum(kept)
    shuffled = access_traces.make("uniform", 500, 2_000, 1).ids
    assert neighbours.most_read(shuffled, 50).tolist() == eviction.never_replace(
        shuffled.tolist(), 50, 0
    )


def test_each_neighbour_has_a_policy_or_a_reason():
    known = {*recorded_simulation.BLIND, *neighbours.POLICIES}
    for neighbour in neighbours.NEIGHBOURS:
        assert (neighbour.policy in known) != bool(neighbour.reason), neighbour.name


def test_two_recordings_of_megatron_are_the_same(tmp_path):
    record_of = tmp_path / "again.parquet"
    if (
        shutil.which("strace") is None
        or subprocess.run(["strace", "-o", "/dev/null", "true"]).returncode
    ):
        pytest.skip("needs strace, and the right to trace")
    record.record("megatron", record_of, sys.executable, 1)
    again, kept = (
        recorded_traces.load(path) for path in (record_of, RECORDED / "megatron.parquet")
    )
    for column in ("files", "offsets", "sizes"):
        assert np.array_equal(getattr(again, column), getattr(kept, column))


def test_a_recording_too_large_to_commit_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(record, "MAX_BYTES", 100)
    with pytest.raises(ValueError, match="a recording has at most 100: read fewer epochs"):
        record.write(tmp_path / "t", [(0.0, "a", 0, 1)], {"epochs": 1})
    assert not list(tmp_path.iterdir())
    (tmp_path / "other.parquet").write_bytes((RECORDED / "grain.parquet").read_bytes())
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"x": [1]}), tmp_path / "other.parquet")
    with pytest.raises(ValueError, match="other.parquet is no recording"):
        recorded_traces.load(tmp_path / "other.parquet")


def test_a_missing_package_is_named_with_its_remedy(tmp_path):
    lacking = [name for name in loaders.LOADERS if loaders.missing(name)]
    if not lacking:
        pytest.skip("every loader's package is installed here")
    done = subprocess.run(
        [
            sys.executable, "-m", "experiments.caching.recorders.loaders", "make", lacking[0],
            str(tmp_path), "1",
        ],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1 and "pip install" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("name", ["megatron", "webdataset"])
def test_a_trial_on_a_recording(name, tmp_path):
    path = str(RECORDED / f"{name}.parquet")
    plan = dict(path=path, block_kib=4, share=0.1, seed=1, folder=str(tmp_path))
    result = recorded_simulation.simulate(plan)
    cell = make_cell(dict(loader=name, block_kib=4, share=0.1))
    row = loader_traces.observation(cell, result)
    assert row["knowledge_points"] > -0.5 and row["over_never_points"] > -0.5
    assert row["best_blind"] in recorded_simulation.BLIND
    worse = {n: {**r, "all_hits": 10**9} for n, r in result["policies"].items() if n == "lru"}
    with pytest.raises(ValueError, match="lru hits more than MIN"):
        loader_traces.observation(cell, {**result, "policies": {**result["policies"], **worse}})
