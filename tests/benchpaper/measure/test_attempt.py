"""One attempt at a trial: it may crash, hang or leak processes, and the block goes on."""

import os
import signal
import threading
import time
from types import SimpleNamespace

import pytest

from benchpaper.core.processes import adopt_orphans
from benchpaper.design import catalog
from benchpaper.design.spec import Evidence
from benchpaper.hosts import site as sites
from benchpaper.hosts.fleet import LocalLink
from benchpaper.measure.attempt import Alarm, attempt
from benchpaper.measure.worker import Task, interrupts_held_back
from benchpaper.results.records import Command

HERE = LocalLink(sites.LOCAL[0])


@pytest.fixture
def attempt_at(make_toy, tmp_path):
    """Return `run(body, ...)`: one attempt at a trial with that body, or with the last body.

    It checks that the scratch folder is empty afterwards.
    """
    scratch, experiment = tmp_path / "scratch", None
    scratch.mkdir()

    def run(body=None, timeout_s=20.0, roles=("client",), counts=None, seed=5, alarm=None):
        nonlocal experiment
        if body is not None:
            experiment = catalog.load(make_toy(body, timeout_s=timeout_s), "toy/one")
            experiment.evidence = tuple(map(Evidence, ("said_seed", "said_programs")))
        adopt_orphans()
        task = Task(
            experiment, experiment.cells("smoke")[0], seed, SimpleNamespace(counts=counts or {}),
            dict.fromkeys(roles, HERE), tmp_path / "programs",
        )  # fmt: skip
        tried = attempt(task, scratch, alarm=alarm)
        assert list(scratch.iterdir()) == []
        return tried

    return run


def test_observations_commands_and_seconds_come_back(attempt_at):
    begin = time.time()
    tried = attempt_at("""
        site.client.run(["true"])
        site.client.run(["sh", "-c", "exit 3"], check=False)
        yield dict(latency_us=1.5)
        yield dict(said_seed=2)
    """)
    assert (tried.outcome, tried.message) == ("ok", "")
    assert tried.observations == (dict(latency_us=1.5), dict(said_seed=2))
    assert tried.commands == (
        Command("client", ("true",), 0),
        Command("client", ("sh", "-c", "exit 3"), 3),
    )
    assert begin <= tried.started <= time.time() and 0 < tried.seconds < 20


def test_a_trial_gets_its_hosts_counts_seed_and_programs(attempt_at, tmp_path):
    tried = attempt_at(
        """
        assert (site.client.name, site.server.name) == ("client", "server")
        assert site.client.address == "127.0.0.1" and cell.way == "a"
        programs = str(site.programs)
        yield dict(latency_us=site.counts.messages, said_seed=site.seed, said_programs=programs)
        """,
        roles=("client", "server"), counts=dict(messages=7), seed=99,
    )  # fmt: skip
    assert tried.observations == (
        dict(latency_us=7, said_seed=99, said_programs=str(tmp_path / "programs")),
    )


@pytest.mark.parametrize("crash, name", [
    ("os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"),
    ("ctypes.string_at(0)", "SIGSEGV"),
    ("os.abort()", "SIGABRT"),
    ("os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL"),
    ("os.kill(os.getpid(), 40)", "SIGRTMIN+6"),
])  # fmt: skip
def test_a_crash_names_the_signal_and_keeps_commands_observations_and_output(
    attempt_at, crash, name
):
    tried = attempt_at(f"""
        site.client.run(["true", "first"])
        print("printed before the crash")
        os.write(2, b"said before the crash\\n")
        yield dict(latency_us=1.0)
        {crash}
    """)
    assert (tried.outcome, tried.message) == (
        "crashed",
        f"the trial's process was killed by {name}",
    )
    assert tried.commands == (Command("client", ("true", "first"), 0),)
    assert tried.observations == (dict(latency_us=1.0),)
    assert "said before the crash" in tried.output and "printed before the crash" in tried.output


def test_a_process_that_ends_without_a_word_is_a_crash(attempt_at):
    tried = attempt_at("""
        yield dict(latency_us=1.0)
        os._exit(0)
    """)
    assert (tried.outcome, tried.message) == (
        "crashed",
        "the trial's process ended with status 0 without a word",
    )


@pytest.mark.parametrize(
    "hang",
    [
        "time.sleep(60)",
        "while True: pass",
        "signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)",
    ],
)
def test_a_hang_ends_when_its_time_is_over(attempt_at, hang):
    begin = time.monotonic()
    tried = attempt_at(f"""
        yield dict(latency_us=1.0)
        print("still here")
        {hang}
    """, timeout_s=3.0)  # fmt: skip
    assert 3 <= time.monotonic() - begin < 50
    assert (tried.outcome, tried.message) == ("timed out", "did not end within 3 s")
    assert "still here" in tried.output


def test_a_trial_that_ended_while_nobody_could_look_ended_in_time(attempt_at, monkeypatch):
    watch = os.pidfd_open

    def held_up(pid):
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        time.sleep(0.3)
        return watch(pid)

    monkeypatch.setattr(os, "pidfd_open", held_up)
    tried = attempt_at("yield dict(latency_us=1.0)", timeout_s=0.3)
    assert (tried.outcome, tried.observations) == ("ok", (dict(latency_us=1.0),))


AT = "experiments/toy/one/experiment.py:19: "  # the first line of the trial


@pytest.mark.parametrize("body, message", [
    ("raise ValueError('too small')\nyield", AT + "ValueError: too small"),
    ("raise RuntimeError('no evidence of bytes moved')\nyield", "no evidence of bytes moved"),
    ("assert 1 > 2, 'counted less than asked'\nyield", "counted less than asked"),
    ("assert 1 > 2\nyield", AT + "AssertionError: "),
    ("sys.exit(0)\nyield", AT + "SystemExit: 0"),
    ("site.client.run(['sh', '-c', 'echo no room >&2; exit 4'])\nyield",
     "sh on client ended with status 4; it said: no room"),
    ("return\nyield", "the trial yielded no observation"),
    ("cell.size\nyield", AT + 'AttributeError: a cell has no factor "size"'),
    ("site.server.run(['true'])\nyield",
     AT + 'AttributeError: site has no "server"; did you mean "seed"? '
     "(there are: client, counts, seed, block, programs, inputs)"),
])  # fmt: skip
def test_a_trial_that_does_not_end_well_says_why(attempt_at, body, message):
    tried = attempt_at(body)
    assert (tried.outcome, tried.message) == ("failed", message)


def test_a_trial_that_raises_keeps_its_traceback_its_output_and_that_of_its_servers(attempt_at):
    tried = attempt_at("""
        server = site.client.start(["sh", "-c", "echo ready; echo cannot bind >&2; exec sleep 60"])
        server.read_line()
        print("from the trial")
        raise ValueError("too small")
        yield
    """)
    assert all(
        text in tried.output
        for text in ("cannot bind", "from the trial", "Traceback", "ValueError: too small")
    )


def test_output_has_a_bound(attempt_at):
    tried = attempt_at("""
        os.write(1, b"x" * 1_000_000 + b"the end")
        raise ValueError
        yield
    """)
    assert "the end" in tried.output and "ValueError" in tried.output
    assert len(tried.output) < 25_000


@pytest.mark.parametrize(
    "end",
    ["pass", "raise ValueError('x')", "os.kill(os.getpid(), signal.SIGSEGV)", "time.sleep(60)"],
)
@pytest.mark.parametrize("daemon", ["exec", "fork"])
def test_a_daemon_left_behind_is_killed_however_the_trial_ends(
    attempt_at, tmp_path, is_running, daemon, end
):
    begin = time.monotonic()
    tried = attempt_at(f"""
        if os.fork() == 0:
            os.setsid()
            if os.fork():
                os._exit(0)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            Path({str(tmp_path / "part")!r}).write_text(str(os.getpid()))
            os.rename({str(tmp_path / "part")!r}, {str(tmp_path / "pid")!r})
            if {daemon == "exec"}:
                os.execvp("sleep", ["sleep", "60"])
            time.sleep(60)
        os.wait()
        while not os.path.exists({str(tmp_path / "pid")!r}):
            time.sleep(0.001)
        yield dict(latency_us=1.0)
        {end}
    """, timeout_s=3.0 if "sleep" in end else 20.0)  # fmt: skip
    assert not is_running(int((tmp_path / "pid").read_text()))
    assert time.monotonic() - begin < 50
    expected = {"pass": "ok", "raise": "failed", "os.ki": "crashed", "time.": "timed out"}[
        end[:5].split(" ")[0]
    ]
    assert tried.outcome == expected


@pytest.mark.parametrize("end", ["", "os.kill(os.getpid(), signal.SIGKILL)", "time.sleep(60)"])
def test_a_background_server_dies_with_its_trial(attempt_at, is_running, end):
    tried = attempt_at(f"""
        line = "trap '' TERM; echo ready; while :; do sleep 1; done"
        server = site.client.start(["sh", "-c", line])
        server.read_line()
        yield dict(latency_us=float(server.pid))
        {end}
    """, timeout_s=3.0 if "sleep" in end else 20.0)  # fmt: skip
    assert not is_running(int(tried.observations[0]["latency_us"]))


@pytest.fixture
def heard():
    """Let interrupts through: a shell's background jobs, like this suite, may ignore them."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(params=["alone", "next to another thread"])
def threads(request):
    """The kernel hands a signal to any thread that does not block it."""
    done = threading.Event()
    other = threading.Thread(target=done.wait)
    if request.param != "alone":
        other.start()
    yield
    done.set()
    if other.is_alive():
        other.join()


def test_an_interrupt_waits_for_the_end_of_the_block(heard, threads):
    reached = []

    def block():
        with interrupts_held_back():
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.1)  # here Python would run the handler
            reached.append("the end")

    with pytest.raises(KeyboardInterrupt):
        block()
    assert reached == ["the end"]


# An interrupt may come between opening a file and entering its `with`; then Python closes it.
@pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <_io:pytest.PytestUnraisableExceptionWarning"
)
def test_an_interrupt_ends_the_trial_and_passes_through(
    attempt_at, tmp_path, is_running, heard, threads
):
    body = f"""
        Path({str(tmp_path / "pid")!r}).write_text(str(os.getpid()))
        os.kill(os.getppid(), signal.SIGINT)
        time.sleep(60)
        yield
    """
    for number in range(50):  # each as early as can be, also before the parent knows its worker
        begin = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            attempt_at(None if number else body)
        assert time.monotonic() - begin < 50
        assert not is_running(int((tmp_path / "pid").read_text()))
        assert list((tmp_path / "scratch").iterdir()) == []


def test_an_observation_that_cannot_be_sent_fails_the_attempt(attempt_at):
    tried = attempt_at("yield dict(latency_us=lambda: 1)")
    assert tried.outcome == "failed" and "pickle" in tried.message


def test_a_large_observation_arrives_whole(attempt_at):
    tried = attempt_at("yield dict(latency_us=list(range(1_000_000)))")
    assert tried.outcome == "ok" and tried.observations[0]["latency_us"] == list(range(1_000_000))


def test_a_trial_has_its_own_session_and_default_signals(attempt_at):
    before = signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        tried = attempt_at(
            "yield dict(latency_us=os.getsid(0) == os.getpid(), "
            "said_seed=signal.getsignal(signal.SIGTERM) == "
            "signal.SIG_DFL)"
        )
    finally:
        signal.signal(signal.SIGTERM, before)
    assert tried.observations == (dict(latency_us=True, said_seed=True),)


def test_no_file_descriptor_is_left_open(attempt_at):
    before = len(os.listdir("/proc/self/fd"))
    attempt_at("yield dict(latency_us=1.0)")
    assert len(os.listdir("/proc/self/fd")) == before


def test_an_attempt_that_runs_for_too_long_is_said_while_it_runs(attempt_at, tmp_path):
    """The trial waits for what the alarm writes."""
    said, seconds_said = tmp_path / "said", []

    def ring(seconds):
        seconds_said.append(seconds)
        said.touch()

    tried = attempt_at(
        f"""
        while not os.path.exists({str(said)!r}):
            time.sleep(0.01)
        time.sleep(0.5)
        yield dict(latency_us=1.0)
        """,
        alarm=Alarm(0.2, ring),
    )
    assert tried.outcome == "ok" and len(seconds_said) == 1 and seconds_said[0] >= 0.2
    assert attempt_at(alarm=Alarm(15.0, ring)).outcome == "ok" and len(seconds_said) == 1
