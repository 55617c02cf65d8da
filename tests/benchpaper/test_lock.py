"""Locks: the second holder learns who is first, and no death keeps a lock."""

import json
import os
import re
import signal
import stat
import subprocess
import sys
import time

import pytest

from benchpaper import lock

HOLDER = """
import sys, time
from benchpaper import lock
with lock.held(sys.argv[1], "measuring rdma/fabric"):
    print("held", flush=True)
    time.sleep(60)
"""
WAITER = """
import sys
from benchpaper import lock
with lock.held(sys.argv[1], "waiting", wait=True, waiting=lambda holder: print(holder, flush=True)):
    print("got it", flush=True)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock tmp_path/lock."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER, tmp_path / "lock"], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_the_second_is_told_what_runs_since_when_in_which_process(tmp_path, holder):
    with pytest.raises(lock.Held) as refused:
        with lock.held(tmp_path / "lock", "a second run"):
            pytest.fail("two held one lock")
    found = re.fullmatch(
        r"measuring rdma/fabric has been running since (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) \(process (\d+)\); "
        "wait for it, or stop it", str(refused.value),
    )  # fmt: skip
    assert found and int(found[2]) == holder.pid
    assert abs(time.mktime(time.strptime(found[1], "%Y-%m-%d %H:%M:%S")) - time.time()) < 600


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_death_of_the_holder_frees_the_lock(tmp_path, holder, how):
    holder.send_signal(how)
    holder.wait()
    with lock.held(tmp_path / "lock", "the next run"):
        assert json.loads((tmp_path / "lock").read_text())["pid"] == os.getpid()


def test_who_waits_is_told_once_and_gets_it_when_it_is_free(tmp_path, holder):
    waiter = subprocess.Popen([sys.executable, "-c", WAITER, tmp_path / "lock"], stdout=subprocess.PIPE, text=True)
    try:
        assert waiter.stdout.readline().startswith("measuring rdma/fabric has been running since ")
        assert waiter.poll() is None
        holder.kill()
        assert waiter.communicate(timeout=60)[0] == "got it\n" and waiter.returncode == 0
    finally:
        waiter.kill()
        waiter.wait()


def test_an_exception_inside_frees_the_lock_and_a_long_name_leaves_no_rest(tmp_path):
    path = tmp_path / "folder" / "lock"
    with pytest.raises(ZeroDivisionError):
        with lock.held(path, "x" * 500):
            1 / 0
    with lock.held(path, "short"):
        assert json.loads(path.read_text())["what"] == "short"


def test_a_holder_that_has_not_written_its_name_yet_is_still_a_holder(tmp_path, holder):
    (tmp_path / "lock").write_text("")
    with pytest.raises(lock.Held, match="^another process holds the lock; wait for it$"):
        with lock.held(tmp_path / "lock", "second"):
            pass


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")
def test_a_lock_that_another_user_made_can_be_taken(tmp_path):
    folder = tmp_path / "shared"
    folder.mkdir()
    with lock.held(folder / "lock", "root's run"):
        pass
    assert stat.S_IMODE((folder / "lock").stat().st_mode) == 0o666
    folder.chmod(0o755)
    child = os.fork()
    if child == 0:
        try:
            os.chdir(folder)  # the folders above may be closed to others
            os.setuid(65534)
            with lock.held("lock", "nobody's run"):
                os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    assert json.loads((folder / "lock").read_text())["what"] == "nobody's run"


def test_the_lock_of_the_machine_is_the_same_for_every_checkout(tmp_path, monkeypatch):
    here = lock.host_lock()
    monkeypatch.chdir(tmp_path)
    assert lock.host_lock() == here and here.is_absolute() and here.is_dir() is False
