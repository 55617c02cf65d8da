"""The shaped store: each setting delays what it should and nothing else, over both faces."""

import time
from contextlib import closing, contextmanager
from threading import Barrier, Thread

import pytest

from benchpaper.core.capabilities import find_capability
from benchpaper.hosts.local import LocalHost
from experiments.systems import shaped_store
from experiments.systems.environment.shape import Shape, Shaper
from experiments.training_io import backends
from experiments.training_io.clients import stores

SIZE = 300_000
NAMES = [f"{number:04d} &.bin" for number in range(3)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    (folder / "below").mkdir()
    for number, name in enumerate(NAMES):
        (folder / "below" / name).write_bytes(bytes([number]) * SIZE)
    for number in range(1203):  # more than a page of a listing
        (folder / f"{number:04d}").write_bytes(b"%d" % number)
    return folder


@contextmanager
def store(face, host, folder, shape):
    """Open the store of the files in the folder's subfolder `below`."""
    if face == "s3":
        with shaped_store.S3(host, folder, shape) as served:
            target = {**backends.s3_store(served.endpoint), "prefix": "below/"}
            with closing(stores.open_store(target)) as opened:
                yield opened
        return
    if not find_capability("fuse").check()[0]:
        pytest.skip("needs FUSE")
    with shaped_store.Mount(host, folder, shape) as mounted:
        yield stores.FileStore(mounted.path / "below")


def took_s(function, *arguments):
    begin = time.monotonic()
    function(*arguments)
    return time.monotonic() - begin


@pytest.mark.parametrize("face", ["s3", "fuse"])
def test_both_faces_hand_out_the_files(face, folder, tmp_path, left_behind):
    with store(face, LocalHost(folder=tmp_path), folder, Shape()) as opened:
        assert opened.list() == NAMES
        for number, name in enumerate(NAMES):
            assert bytes(opened.get(name)) == bytes([number]) * SIZE
        assert bytes(opened.get_range(NAMES[1], SIZE - 5, 5)) == b"\1" * 5
        with pytest.raises((OSError, RuntimeError), match=r"404|No such file"):
            opened.get("missing")
    assert not [kind for kind in left_behind() if kind in ("processes", "mounts")]


def test_a_long_listing_comes_in_pages(folder, tmp_path):
    with (
        shaped_store.S3(LocalHost(folder=tmp_path), folder, Shape()) as served,
        closing(stores.open_store(backends.s3_store(served.endpoint))) as opened,
    ):
        names = opened.list()
    assert len(names) == 1203 + len(NAMES) and "below/0001 &.bin" in names


# (settings, what takes time then, seconds that it takes at least)
SETTINGS = [
    (dict(latency_s=0.3), lambda opened: opened.get_range(NAMES[0], 0, 10), 0.3),
    (dict(open_s=0.3), lambda opened: opened.get_range(NAMES[1], 0, 10), 0.3),
    (dict(bandwidth=SIZE / 0.3), lambda opened: opened.get(NAMES[0]), 0.3),
    (dict(entry_s=0.1), lambda opened: opened.list(), 0.3),
]


@pytest.mark.parametrize("face", ["s3", "fuse"])
@pytest.mark.parametrize("settings, work, least_s", SETTINGS)
def test_a_setting_delays(face, settings, work, least_s, folder, tmp_path):
    with store(face, LocalHost(folder=tmp_path), folder, Shape(**settings)) as opened:
        assert took_s(work, opened) >= 0.99 * least_s


def test_only_another_object_is_opened(folder, tmp_path):
    """Otherwise random reads of one object would take the cost of opening."""
    with store("s3", LocalHost(folder=tmp_path), folder, Shape(open_s=0.5)) as opened:
        assert took_s(opened.get_range, NAMES[0], 0, 10) >= 0.5
        quickest = min(took_s(opened.get_range, NAMES[0], at, 10) for at in range(5))
    assert quickest < 0.5


def at_once(count, work):
    gate = Barrier(count)

    def wait_and_work():
        gate.wait()
        work()

    threads = [Thread(target=wait_and_work) for _ in range(count)]
    begin = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.monotonic() - begin


def hold(shaper, size=0):
    with shaper.request():
        shaper.transfer(size)


def test_requests_beyond_the_places_queue():
    single, four = Shaper(Shape(0.1, slots=1)), Shaper(Shape(0.1, slots=4))
    assert at_once(4, lambda: hold(single)) >= 0.4
    assert min(at_once(4, lambda: hold(four)) for _ in range(5)) < 0.4


def test_requests_share_the_bandwidth():
    shaper = Shaper(Shape(bandwidth=4e6))
    assert at_once(4, lambda: hold(shaper, 400_000)) >= 0.4


def test_jitter_spreads_latency_around_its_median():
    shaper = Shaper(Shape(latency_s=1.0, jitter=0.5), seed=3)
    drawn = sorted(shaper._latency_s() for _ in range(2001))
    assert drawn[1000] == pytest.approx(1.0, rel=0.1)
    assert drawn[1980] == pytest.approx(3.2, rel=0.2)  # e^(0.5 × 2.33), the 99th percentile


@pytest.mark.parametrize(
    "settings", [dict(latency_s=-1.0), dict(slots=0), dict(slots=1.5), dict(bandwidth=0.0)]
)
def test_impossible_settings_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        Shape(**settings)
