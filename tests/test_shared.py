"""A worker of a suite makes a folder once for all workers, and each has its own."""

import threading
from types import SimpleNamespace

import pytest
import shared

WORKER = SimpleNamespace(config=SimpleNamespace(workerinput={}))


class Factory:
    """The temporary folders of one worker."""

    def __init__(self, base):
        self._base = base
        base.mkdir()

    def getbasetemp(self):
        return self._base

    def mktemp(self, name):
        (self._base / name).mkdir()
        return self._base / name


def test_workers_make_it_once_and_own_what_they_get(tmp_path):
    made, got = [], []

    def make(folder):
        made.append(folder)
        folder.mkdir()
        (folder / "file").write_text("as made")
        (folder / "link").symlink_to("file")

    def work(number):
        factory = Factory(tmp_path / f"worker-{number}")
        got.append(shared.folder(WORKER, factory, "small", make))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1 and len(set(got)) == 4
    times = {(folder / "file").stat().st_mtime_ns for folder in got}
    assert len(times) == 1 and all((folder / "link").is_symlink() for folder in got)
    (got[0] / "file").write_text("changed")
    assert [(folder / "file").read_text() for folder in got[1:]] == ["as made"] * 3


def test_a_worker_that_fails_leaves_it_to_the_next(tmp_path):
    def fail(folder):
        folder.mkdir()
        raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        shared.folder(WORKER, Factory(tmp_path / "first"), "small", fail)
    (tmp_path / "small.part").mkdir()  # of one that was killed as it copied
    again = shared.folder(WORKER, Factory(tmp_path / "second"), "small", lambda path: path.mkdir())
    assert again.is_dir()


def test_a_suite_without_workers_makes_its_own(tmp_path):
    request = SimpleNamespace(config=SimpleNamespace())
    made = shared.folder(request, Factory(tmp_path / "base"), "small", lambda path: path.mkdir())
    assert made.is_dir() and [path.name for path in tmp_path.iterdir()] == ["base"]
