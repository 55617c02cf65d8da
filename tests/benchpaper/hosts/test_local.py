"""Commands, servers and files on a host: this machine, or one of the lab."""

import os
import signal
import socket
import stat
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from benchpaper.hosts import CommandFailed, HostError
from benchpaper.hosts.local import LocalHost
from benchpaper.hosts.ssh.remote import SshHost


@pytest.fixture(params=["local", pytest.param("ssh", marks=pytest.mark.root)])
def make_host(request, tmp_path):
    """Return `make(name="local", ...)`: this machine, or one of the lab's, as a host."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    made = []

    def make(name="local", on_command=lambda host, argv: lambda status: None, **options):
        if request.param == "local":
            return LocalHost(name, folder=folder, on_command=on_command, **options)
        lab = request.getfixturevalue("lab")
        link = lab.kept_link(1)
        made.append(
            SshHost(
                link,
                name,
                f"{link.prefix}{tmp_path.name}-{len(made)}",
                lab.described(1, **options),
                60,
                on_command,
            )
        )
        return made[-1]

    yield make
    for host in made:
        host.close()
    if made:
        made[0]._link.conclude(tmp_path.name)


@pytest.fixture
def host(make_host):
    return make_host()


@pytest.fixture
def ends(is_running):
    """Return `ask(pid)`: whether a process ends soon."""

    def ask(pid):
        end = time.monotonic() + 30
        while is_running(pid) and time.monotonic() < end:
            time.sleep(0.01)
        return not is_running(pid)

    return ask


def wait_for(path, seconds=60):
    end = time.monotonic() + seconds
    while not (path.exists() and path.read_text().endswith("\n")):
        assert time.monotonic() < end, f"{path} did not appear"
        time.sleep(0.005)
    return int(path.read_text())


# --- run -------------------------------------------------------------------------------------


def test_run_returns_status_and_output(host):
    done = host.run(
        ["sh", "-c", "echo out; echo err >&2; echo $GREETING; cat"], env={"GREETING": "hello"}
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "out\nhello\n", "err\n")
    assert host.run(["false"], check=False).returncode == 1
    assert host.run(["sh", "-c", "kill -9 $$"], check=False).returncode == -9
    assert host.run(["printf", r"\377"]).stdout == "�"


@pytest.mark.parametrize("script, message", [
    ("echo one >&2; echo two >&2; exit 3", "sh on local ended with status 3; it said: one | two"),
    ("echo only on stdout; exit 3", "sh on local ended with status 3; it said: only on stdout"),
    ("exit 3", "sh on local ended with status 3; it said nothing"),
    ("kill -SEGV $$", "sh on local ended with signal SIGSEGV; it said nothing"),
    ("kill -40 $$", "sh on local ended with signal SIGRTMIN+6; it said nothing"),
    ("for i in 1 2 3 4 5; do echo $i >&2; done; exit 1",
        "sh on local ended with status 1; it said: 3 | 4 | 5"),
])  # fmt: skip
def test_a_command_that_fails_says_how_in_its_own_words(host, script, message):
    with pytest.raises(CommandFailed) as failed:
        host.run(["sh", "-c", script])
    assert str(failed.value) == message


@pytest.mark.parametrize("argv, message", [
    (["no-such-program", "x"], 'program "no-such-program" not found on local'),
    (["/etc/passwd"], "passwd on local could not start: Permission denied"),
])  # fmt: skip
@pytest.mark.parametrize("how", ["run", "start"])
def test_a_program_that_cannot_start_is_named(host, argv, message, how):
    with pytest.raises(HostError) as failed:
        getattr(host, how)(argv)
    assert str(failed.value) == message


def test_a_command_that_takes_too_long_is_killed_with_its_whole_group(host, tmp_path, ends):
    begin = time.monotonic()
    with pytest.raises(CommandFailed) as failed:
        host.run(
            [
                "sh",
                "-c",
                f"sleep 60 & echo $! > {tmp_path}/pid; trap '' TERM; echo waiting >&2; wait",
            ],
            timeout=3,
        )
    assert str(failed.value) == "sh on local did not end within 3 s; it said: waiting"
    assert time.monotonic() - begin < 50
    assert ends(wait_for(tmp_path / "pid"))


def test_a_timeout_holds_even_where_a_daemon_keeps_the_output_open(host, tmp_path):
    begin = time.monotonic()
    try:
        with pytest.raises(CommandFailed, match="did not end within 3 s"):
            host.run(
                ["sh", "-c", f"setsid sh -c 'echo $$ > {tmp_path}/pid; exec sleep 60' & sleep 60"],
                timeout=3,
            )
        assert time.monotonic() - begin < 50
    finally:
        os.kill(wait_for(tmp_path / "pid"), signal.SIGKILL)


def test_commands_are_told_as_they_start_and_end(make_host, tmp_path):
    calls = []

    def on_command(name, argv):
        calls.append((name, argv))
        return calls.append

    host = make_host("here", on_command)
    host.run(["true", 5, tmp_path])
    host.run(["false"], check=False)
    with pytest.raises(CommandFailed):
        host.run(["sleep", "60"], timeout=0.1)
    with host.start(["sleep", "60"]):
        pass
    assert host.start(["sh", "-c", "exit 4"]).wait() == 4
    assert calls == [
        ("here", ["true", "5", str(tmp_path)]), 0, ("here", ["false"]), 1,
        ("here", ["sleep", "60"]), -9,
        ("here", ["sleep", "60"]), -15, ("here", ["sh", "-c", "exit 4"]), 4,
    ]  # fmt: skip


def test_a_command_is_told_with_what_was_set_for_it(make_host):
    calls = []
    host = make_host("here", lambda name, argv: calls.append(argv) or calls.append)
    done = host.run(["sh", "-c", "echo $COLOUR"], env={"COLOUR": "blue"})
    assert (
        calls[0] == ["env", "COLOUR=blue", "sh", "-c", "echo $COLOUR"] and done.stdout == "blue\n"
    )
    assert host.run(calls[0]).stdout == "blue\n"  # it can be run again as it stands


# --- start -----------------------------------------------------------------------------------


def test_a_background_process_answers_line_by_line_and_stops(host, ends):
    with host.start(
        [
            "sh",
            "-c",
            "echo ready on 5; sleep 0.1; printf 'half '; sleep 0.1; echo line; exec sleep 60",
        ]
    ) as server:
        assert server.read_line() == "ready on 5"
        assert server.read_line() == "half line"
        assert server.poll() is None
    assert ends(server.pid) and server.poll() == -signal.SIGTERM
    assert server.stdout_text() == "ready on 5\nhalf line\n" and server.stderr_text() == ""


@pytest.mark.parametrize(
    "script, status",
    [
        ("echo in use >&2; exit 98", "status 98"),
        ("echo in use >&2; kill -ABRT $$", "signal SIGABRT"),
    ],
)
def test_a_server_that_ends_before_it_answers_says_why(host, script, status):
    with host.start(["sh", "-c", script]) as server, pytest.raises(HostError) as failed:
        server.read_line()
    assert (
        str(failed.value) == f"sh on local ended with {status} before it answered; it said: in use"
    )


def test_what_a_server_wrote_last_is_still_read_after_its_end(host):
    with host.start(["sh", "-c", "echo one; echo two"]) as server:
        assert server.wait() == 0
        assert [server.read_line(), server.read_line()] == ["one", "two"]
        with pytest.raises(HostError, match="ended with status 0 before it answered"):
            server.read_line()


def test_a_server_that_never_answers_is_given_up(host):
    begin = time.monotonic()
    with host.start(["sh", "-c", "echo starting >&2; echo one line; sleep 60"]) as server:
        assert server.read_line() == "one line"
        with pytest.raises(HostError) as failed:
            server.read_line(timeout=0.3)
    assert str(failed.value) == "sh on local printed nothing for 0.3 s; it said: starting"
    assert time.monotonic() - begin < 50


def test_stopping_ends_the_whole_group_even_when_it_will_not(host, tmp_path, ends, monkeypatch):
    monkeypatch.setattr("benchpaper.hosts.local.STOP_GRACE_S", 0.2)
    script = (
        f"trap '' TERM; sleep 60 & echo $! > {tmp_path}/pid; echo ready; while :; do sleep 1; done"
    )
    with host.start(["sh", "-c", script]) as server:
        server.read_line()
    assert ends(server.pid) and ends(wait_for(tmp_path / "pid"))


def test_waiting_too_long_stops_the_process(host, ends):
    server = host.start(["sleep", "60"])
    with pytest.raises(CommandFailed, match="^sleep on local did not end within 0.1 s$"):
        server.wait(timeout=0.1)
    assert ends(server.pid)


@pytest.mark.parametrize("how", ["run", "start"])
def test_processes_die_with_the_process_that_started_them(make_host, tmp_path, ends, how):
    make_host()  # connects
    child = os.fork()
    if child == 0:
        try:
            getattr(make_host(), how)(["sh", "-c", f"echo $$ > {tmp_path}/pid; exec sleep 60"])
            time.sleep(60)
        finally:
            os._exit(1)
    pid = wait_for(tmp_path / "pid")
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert ends(pid)


# --- files, ports, CPUs ----------------------------------------------------------------------


def test_files_are_copied_and_a_copy_onto_itself_is_left_alone(host, tmp_path):
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_bytes(b"\x00data")
    host.put(source, target)
    host.get(target, tmp_path / "c")
    assert (tmp_path / "c").read_bytes() == b"\x00data"
    host.put(source, source)
    host.get(source, source)
    assert source.read_bytes() == b"\x00data"


def test_a_large_program_put_onto_itself_stays_as_it_is(host, tmp_path):
    """So large that it is still being sent when it is written to."""
    source, content = tmp_path / "program", os.urandom(1 << 23)
    source.write_bytes(content)
    source.chmod(0o755)
    host.put(source, source)
    assert source.read_bytes() == content and stat.S_IMODE(source.stat().st_mode) == 0o755
    assert list(tmp_path.glob("*program*")) == [source]


def test_scratch_folders_are_fresh_and_private(host):
    first, second = host.scratch(), host.scratch()
    assert first != second and not list(first.iterdir())
    assert stat.S_IMODE(first.stat().st_mode) == 0o700


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_free_port_can_be_bound_on_the_hosts_address(make_host, address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family) as tried:
            tried.bind((address, 0))
    except OSError:
        pytest.skip(f"{address} is not available here")
    host = make_host(address=address)
    bind = (
        "import socket, sys; socket.socket(int(sys.argv[1])).bind((sys.argv[2], int(sys.argv[3])))"
    )
    host.run(
        [sys.executable, "-c", bind, int(family), address, host.free_port()]
    )  # on the host: ports are its own


def test_cpus_are_those_given_or_those_allowed(make_host):
    assert make_host().cpus == sorted(os.sched_getaffinity(0))
    assert make_host(cpus=[1]).cpus == [1]


def test_an_undo_runs_when_the_host_is_left(make_host, request, tmp_path):
    if "local" in request.node.name:
        pytest.skip("of this machine the trial's end does that (test_cleanup)")
    host = make_host()
    host.undo("a mark", ["touch", tmp_path / "undone"])
    host.close()
    (kept,) = host._link.conclude(tmp_path.name).values()
    assert kept["found"] == ["a mark"] and (tmp_path / "undone").exists()


def test_threads_use_a_host_at_once(make_host, tmp_path):
    host = make_host()
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with ThreadPoolExecutor(2) as pool:  # each waits for the other
        reading = pool.submit(host.run, ["cat", fifo])
        writing = pool.submit(host.run, ["sh", "-c", f"echo hello > {fifo}"])
        assert reading.result(60).stdout == "hello\n" and writing.result(60).returncode == 0


def test_a_missing_file_is_named(host, tmp_path):
    with pytest.raises((HostError, OSError), match="No such file or directory"):
        host.get(tmp_path / "absent", tmp_path / "here")
    assert not list(tmp_path.glob("*here*"))
