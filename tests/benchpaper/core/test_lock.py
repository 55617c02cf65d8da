"""Locks: the second holder learns who is first, and no death keeps a lock."""

import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from benchpaper.core import lock


def root(test):
    """Mark a test that becomes another user."""
    reason = "becoming another user needs root"
    return pytest.mark.root(pytest.mark.skipif(os.geteuid() != 0, reason=reason)(test))


HOLDER = """
import sys, time
from benchpaper.core import lock
with lock.held(sys.argv[1], "measuring rdma/fabric"):
    print("held", flush=True)
    time.sleep(60)
"""
WAITER = """
import sys
from benchpaper.core import lock
with lock.held(sys.argv[1], "waiting", wait=True, waiting=lambda holder: print(holder, flush=True)):
    print("got it", flush=True)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock tmp_path/lock."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, tmp_path / "lock"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_the_second_is_told_what_runs_since_when_in_which_process(tmp_path, holder):
    with pytest.raises(lock.Held) as refused, lock.held(tmp_path / "lock", "a second run"):
        pytest.fail("two held one lock")
    holding = re.fullmatch(
        r"measuring rdma/fabric has been running since (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) "
        r"\(process (\d+)\); "
        "wait for it, or stop it", str(refused.value),
    )  # fmt: skip
    assert holding and int(holding[2]) == holder.pid
    assert abs(time.mktime(time.strptime(holding[1], "%Y-%m-%d %H:%M:%S")) - time.time()) < 600


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_death_of_the_holder_frees_the_lock(tmp_path, holder, how):
    holder.send_signal(how)
    holder.wait()
    with lock.held(tmp_path / "lock", "the next run"):
        assert json.loads((tmp_path / "lock").read_text())["pid"] == os.getpid()


def test_who_waits_is_told_once_and_gets_it_when_it_is_free(tmp_path, holder):
    waiter = subprocess.Popen(
        [sys.executable, "-c", WAITER, tmp_path / "lock"], stdout=subprocess.PIPE, text=True
    )
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
    with pytest.raises(ZeroDivisionError), lock.held(path, "x" * 500):
        raise ZeroDivisionError
    with lock.held(path, "short"):
        assert json.loads(path.read_text())["what"] == "short"


def test_a_holder_that_has_not_written_its_name_yet_is_still_a_holder(tmp_path, holder):
    (tmp_path / "lock").write_text("")
    wanted = "^another process holds the lock; wait for it$"
    with pytest.raises(lock.Held, match=wanted), lock.held(tmp_path / "lock", "second"):
        pass


@pytest.fixture
def everybodys(monkeypatch):
    """A folder like /tmp, which holds the lock of the machine."""
    folder = Path(tempfile.mkdtemp(prefix="benchpaper-test-", dir="/tmp"))
    folder.chmod(0o1777)
    monkeypatch.setenv(lock.FOLDER, str(folder))
    yield folder
    shutil.rmtree(folder)


def as_another_user(function):
    """Run `function` in a child as another user; return whether it returned."""
    child = os.fork()
    if child == 0:
        try:
            os.setuid(65534)
            function()
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitpid(child, 0)[1] == 0


@root
def test_a_lock_of_the_machine_that_another_user_made_can_be_taken(everybodys):
    with lock.held(lock.host_lock(), "root's run"):
        pass
    assert stat.S_IMODE(lock.host_lock().stat().st_mode) == 0o666

    def hold():
        with lock.held(lock.host_lock(), "a stranger's run"):
            pass

    assert as_another_user(hold)
    assert json.loads(lock.host_lock().read_text())["what"] == "a stranger's run"


@root
def test_the_lock_of_another_users_checkout_is_refused(tmp_path, everybodys, monkeypatch):
    """The other user has made it before, in a folder that both can write to."""
    path = everybodys / "state" / "lock"
    path.parent.mkdir(mode=0o777)
    path.parent.chmod(0o777)
    path.touch(0o666)
    path.chmod(0o666)

    def hold():
        with pytest.raises((lock.Unusable, PermissionError)), lock.held(path, "a stranger's run"):
            pytest.fail("it was taken")

    assert as_another_user(hold)


@root
def test_a_lock_of_the_machine_that_others_cannot_use_is_refused(everybodys):
    lock.host_lock().touch(0o600)

    def hold():
        with (
            pytest.raises(
                lock.Unusable, match=r"cannot be opened \(Permission denied\); remove it"
            ),
            lock.held(lock.host_lock(), "a stranger's run"),
        ):
            pytest.fail("it was taken")

    assert as_another_user(hold)


LEASING = """
import fcntl, os, signal, sys, time
signal.signal(signal.SIGIO, signal.SIG_IGN)
file = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o600)
fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print("leased", flush=True)
time.sleep(60)
"""


def test_a_leased_file_is_not_waited_for(tmp_path):
    """An open of such a file waits for 45 s, unless it asks not to."""
    holder = subprocess.Popen(
        [sys.executable, "-c", LEASING, tmp_path / "lock"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline() == "leased\n"
        begin = time.monotonic()
        with (
            pytest.raises(lock.Unusable, match=r"\(another process leases it\); remove it$"),
            lock.held(tmp_path / "lock", "a run"),
        ):
            pytest.fail("it was taken")
        assert time.monotonic() - begin < 30
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()


FORGED = {
    "nothing": b"",
    "no text": b"\xff\xfe",
    "no JSON": b"{",
    "a list": b"[]",
    "a number": b"1",
    "deeply nested": b"[" * 4000,
    "no name": b'{"pid": 1, "since": 1}',
    "a process that is a text": b'{"pid": "x", "since": 1, "what": "x"}',
    "an endless process": b'{"pid": Infinity, "since": 1, "what": "x"}',
    "a time out of range": b'{"pid": 1, "since": 1e300, "what": "x"}',
    "no time": b'{"pid": 1, "since": NaN, "what": "x"}',
    "escape codes": json.dumps({"pid": 1, "since": 1, "what": "\x1b[2J\n\u202e\r"}).encode(),
    "a long name": json.dumps({"pid": 1, "since": 1, "what": "x" * 3000}).encode(),
    "a long file": b" " * 100_000,
}


@pytest.mark.parametrize("kind", FORGED)
def test_what_another_user_wrote_into_a_lock_is_shown_as_one_line(tmp_path, holder, kind):
    (tmp_path / "lock").write_bytes(FORGED[kind])
    with pytest.raises(lock.Held) as refused, lock.held(tmp_path / "lock", "second"):
        pytest.fail("two held one lock")
    text = str(refused.value)
    assert text.isprintable() and len(text) < 400 and "wait for it" in text


@pytest.mark.parametrize("mode", [0o4666, 0o2666, 0o777])
def test_a_program_is_no_lock(tmp_path, mode):
    (tmp_path / "lock").touch()
    (tmp_path / "lock").chmod(mode)
    wanted = rf"\(a file with mode {mode:04o}\); remove it$"
    with pytest.raises(lock.Unusable, match=wanted), lock.held(tmp_path / "lock", "a run"):
        pytest.fail("it was taken")


def test_a_lock_of_a_checkout_and_its_folder_are_private(tmp_path):
    path = tmp_path / "state" / "lock"
    path.parent.mkdir(mode=0o755)
    path.touch(0o666)
    before = os.umask(0)
    try:
        with lock.held(path, "a run"), lock.held(tmp_path / "other" / "lock", "a run"):
            pass
    finally:
        os.umask(before)
    for made in (path, tmp_path / "other" / "lock"):
        modes = [stat.S_IMODE(other.stat().st_mode) for other in (made, made.parent)]
        assert modes == [0o600, 0o700]


def test_the_lock_of_the_machine_is_the_same_for_every_checkout_and_every_shell(
    tmp_path, monkeypatch
):
    monkeypatch.delenv(lock.FOLDER)
    here = lock.host_lock()
    monkeypatch.chdir(tmp_path)
    for name in ("TMPDIR", "TMP", "TEMP", "HOME", "XDG_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path))
    shown = "from benchpaper.core import lock; print(lock.host_lock())"
    elsewhere = subprocess.run(
        [sys.executable, "-c", shown], capture_output=True, text=True, check=True
    ).stdout
    assert Path(elsewhere.strip()) == here and here.parent in (Path("/run/lock"), Path("/tmp"))


@pytest.mark.parametrize(
    "mode, used", [(0o1777, True), (0o755, False), (0o777, False), (None, False)]
)
def test_a_folder_that_is_not_everybodys_holds_no_lock_of_the_machine(
    tmp_path, monkeypatch, mode, used
):
    monkeypatch.delenv(lock.FOLDER)
    first = tmp_path / "first"
    if mode is not None:
        first.mkdir()
        first.chmod(mode)
    monkeypatch.setattr(lock, "FOLDERS", (str(first), str(tmp_path)))
    of_roots = os.geteuid() == 0
    assert lock.host_lock().parent == (first if used and of_roots else tmp_path)


def test_tests_have_a_lock_of_their_own():
    assert lock.host_lock().parent == Path(os.environ[lock.FOLDER])


def bound(path):
    """Make a socket in the file system."""
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


IN_THE_WAY = {
    "a symbolic link": lambda path: path.symlink_to(path.with_name("victim")),
    "a folder": lambda path: path.mkdir(),
    "a pipe": lambda path: os.mkfifo(path),
    "a socket": bound,
    "a file with two names": lambda path: os.link(path.with_name("victim"), path),
}


@pytest.mark.parametrize("kind", IN_THE_WAY)
def test_what_is_no_lock_is_neither_followed_nor_written_nor_waited_for(
    tmp_path, monkeypatch, kind
):
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    Path("victim").write_text("precious")
    IN_THE_WAY[kind](Path("lock"))
    with pytest.raises(lock.Unusable) as refused, lock.held("lock", "a run"):
        pytest.fail("that was no lock")
    assert re.fullmatch(rf"the lock lock .*\({kind}\); remove it", str(refused.value))
    assert Path("victim").read_text() == "precious"


def test_a_lock_whose_file_was_removed_while_somebody_waited_is_still_one_lock(tmp_path, holder):
    waiter = subprocess.Popen(
        [sys.executable, "-c", WAITER, tmp_path / "lock"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert waiter.stdout.readline().startswith("measuring rdma/fabric has been running since ")
        (tmp_path / "lock").unlink()
        with lock.held(tmp_path / "lock", "a third"):
            holder.kill()
            assert "a third" in waiter.stdout.readline() and waiter.poll() is None
        assert waiter.communicate(timeout=60)[0] == "got it\n" and waiter.returncode == 0
    finally:
        waiter.kill()
        waiter.wait()
