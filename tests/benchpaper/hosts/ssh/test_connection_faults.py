"""Faults during a trial lose no finished trial and leave no process."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from lab_faults import gone, measure, restart, serve, signal_all

from benchpaper import results
from benchpaper.core.errors import UserError
from benchpaper.hosts.agent import standstill
from benchpaper.hosts.fleet import Fleet
from benchpaper.hosts.site import Site
from benchpaper.hosts.ssh import connection, conversation
from benchpaper.hosts.ssh.connection import Unreachable

pytestmark = [
    pytest.mark.slow,
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="the lab needs root"),
]


ONCE = """
flag = Path({flag!r}) / cell.way
first = cell.way == "b" and not flag.exists()
"""


def all_measured(entries, ways="abc"):
    return {way: entry["state"] for way, entry in entries.items()} == dict.fromkeys(
        ways, results.MEASURED
    )


def signal_servers(lab, name):
    """Return a line of a trial that sends a signal to the SSH server of the first host."""
    return f"signal_servers({lab.lab.namespace(1)!r}, {lab.lab.address(1)!r}, {name!r})"


SERVING = """
line = "echo said before the cut, s3cret-of-the-server; trap '' TERM; setsid sleep 300 & wait"
server = site.server.start(["sh", "-c", line], env=dict(KEY="s3cret-of-the-server"))
server.read_line()
site.client.run(["true"])
"""


# --- faults during a trial -------------------------------------------------------------------


def test_a_connection_cut_in_mid_trial_kills_there_and_the_trial_is_tried_again(
    make, lab, tmp_path
):
    run = make(
        ONCE.format(flag=str(tmp_path)) + SERVING + """
        if first:
            flag.write_text("x")
            os.kill(site.server._link.processes[0], signal.SIGKILL)
            while True:  # until the kernel has ended who held the connection
                site.server.run(["true"])
        yield dict(latency_us=1.0)
        """.replace("\n        ", "\n"), attempts=2,
    )  # fmt: skip
    entries, messages = measure(run)
    assert all_measured(entries)
    first, second = entries["b"]["attempts"]
    assert first["message"] == "the connection to server is lost" and second["outcome"] == "ok"
    assert ("reconnected", 'the connection to host "lab1" was lost and is made again') in messages
    (log,) = (run.folder / "toy/one/failed").iterdir()
    assert "said before the cut" in log.read_text()
    gone(lab)


def test_a_killed_ssh_server_ends_the_block_in_one_line_and_the_next_run_goes_on(
    make, lab, tmp_path
):
    run = make(
        ONCE.format(flag=str(tmp_path)) + SERVING + f"""
        if first:
            flag.write_text("x")
            {signal_servers(lab, "KILL")}
            while True:  # until the kernel has ended who held the connection
                site.server.run(["true"])
        yield dict(latency_us=1.0)
        """.replace("\n        ", "\n"), attempts=2,
    )  # fmt: skip
    try:
        with pytest.raises(Unreachable) as refused:
            measure(run)
    finally:
        gone(lab)
        serve(lab, 1)
    assert re.match(
        r'host "lab1" of site "lab": ssh said: .*Connection refused; see that "ssh .*" works$',
        str(refused.value),
    )
    kept = dict(run.journalled)
    assert "b" not in kept and all(entry["state"] == results.MEASURED for entry in kept.values())
    entries, messages = measure(run)
    assert all_measured(entries)
    assert {way: entries[way] for way in kept} == kept
    fetched = [message for event, message in messages if event == "fetched"]
    assert len(fetched) == 2 and fetched[0].startswith("an earlier trial lost host lab")
    texts = [path.read_text() for path in (run.project.state / "fetched").iterdir()]
    assert any("said before the cut" in text for text in texts) and not any(
        "s3cret-of" in text for text in texts
    )


def test_a_host_that_hangs_is_given_up_in_bounded_time(make, lab, tmp_path, monkeypatch):
    monkeypatch.setitem(connection.OPTIONS, "ServerAliveInterval", 1)
    monkeypatch.setitem(connection.OPTIONS, "ConnectTimeout", 8)
    monkeypatch.setattr(connection, "GREETING_S", 10.0)
    monkeypatch.setattr(conversation, "ANSWER_S", 10.0)
    monkeypatch.setattr(connection, "SILENCE_S", 10.0)
    run = make(
        ONCE.format(flag=str(tmp_path)) + SERVING + f"""
        if first:
            flag.write_text("x")
            {signal_servers(lab, "STOP")}
            site.server.run(["true"], timeout=1)
        yield dict(latency_us=1.0)
        """.replace("\n        ", "\n"), attempts=2,
    )  # fmt: skip
    begin = time.monotonic()
    try:
        with pytest.raises(Unreachable) as refused:
            measure(run)
        assert time.monotonic() - begin < 100
        gone(lab)  # though the SSH server is still stopped: the heartbeat stayed out
    finally:
        signal_all(lab.servers(1), signal.SIGCONT)
    assert re.match(
        (
            'host "lab1" of site "lab": (ssh said: .*timed out.*; see that|it did not answer '
            "within 10 s; see that)"
        ),
        str(refused.value),
    )
    entries, _ = measure(run)
    assert all_measured(entries)


def test_a_full_scratch_folder_ends_the_block_and_says_how_to_go_on(make, lab, tmp_path):
    small = lab.folder / "small"
    small.mkdir()
    pid = lab.servers(1)[0]
    inside = ["nsenter", "-m", "-t", str(pid)]
    subprocess.run([*inside, "mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", small], check=True)
    try:
        run = make(
            ONCE.format(flag=str(tmp_path)) + """
            folder = site.server.scratch()
            size = 10 if first else 1
            flag.write_text("x")
            site.server.run(["dd", "if=/dev/zero", f"of={folder}/data", "bs=1M", f"count={size}"])
            yield dict(latency_us=1.0)
            """.replace("\n            ", "\n"),
            hosts=(lab.described(1, scratch=str(small)), lab.described(2)), attempts=2,
        )  # fmt: skip
        with pytest.raises(
            UserError,
            match=(
                "^No space left on device: .* make room, and run the same command again to go on$"
            ),
        ):
            measure(run)
        assert "b" not in run.journalled
        kept = dict(run.journalled)
        entries, _ = measure(run)
        assert all_measured(entries)
        assert {way: entries[way] for way in kept} == kept
        gone(lab)
    finally:
        subprocess.run([*inside, "umount", "--lazy", small], check=True)
        shutil.rmtree(small)


CLOCK = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/time.h>
#include <time.h>
#define AHEAD 3600
int clock_gettime(clockid_t clock, struct timespec *now) {
    int (*next)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
    int status = next(clock, now);
    if (clock == CLOCK_REALTIME) now->tv_sec += AHEAD;
    return status;
}
int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec found; clock_gettime(CLOCK_REALTIME, &found);
    now->tv_sec = found.tv_sec; now->tv_usec = found.tv_nsec / 1000; return 0;
}
time_t time(time_t *out) {
    struct timespec found; clock_gettime(CLOCK_REALTIME, &found);
    if (out) *out = found.tv_sec;
    return found.tv_sec;
}
"""


def test_a_hosts_own_environment_and_a_process_that_stood_still_there(make, lab):
    """Session settings of a host reach no command; a stopped process marks its trial."""
    hostile = {
        "http_proxy": "http://127.0.0.1:9",
        "UCX_TLS": "self",
        "AWS_PROFILE": "nobody",
        "LC_ALL": "tr_TR",
    }
    restart(lab, 1, **hostile)
    try:
        run = make(
            f"""
            lines = site.server.run(["env"]).stdout.splitlines()
            names = {{line.partition("=")[0] for line in lines}}
            assert not names & {set(hostile)} and names > {{"PATH", "HOME", "LANG", "TZ"}}, names
            server = site.server.start(["sleep", "60"])
            stop = f"kill -STOP {{server.pid}}; sleep 3; kill -CONT {{server.pid}}"
            site.server.run(["sh", "-c", stop])
            yield dict(latency_us=1.0)
        """,
            levels=("a",),
        )
        entries, _ = measure(run)
    finally:
        restart(lab, 1)
    assert all_measured(entries, "a"), entries["a"]["reason"]
    assert entries["a"]["suspended_s"] > standstill.LEAST_S
    assert entries["a"]["hosts"]["server.environment"].startswith("LANG=C.UTF-8")


@pytest.mark.skipif(not shutil.which("cc"), reason="the shim that shifts the clock is compiled")
def test_a_clock_that_is_off_by_an_hour_is_told_and_changes_nothing(make, lab, tmp_path):
    """All programs of the host's sessions, the agent among them, see an hour later than it is."""
    shim = tmp_path / "clock.so"
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", shim, "-ldl"],
        input=CLOCK,
        text=True,
        check=True,
    )
    restart(lab, 1, LD_PRELOAD=str(shim))
    try:
        run = make(
            """
            ahead = {"LD_PRELOAD": SHIM}  # commands do not inherit it
            now = float(site.server.run(["date", "+%s"], env=ahead).stdout)
            segment = Path("/dev/shm", f"benchpaper-test-clock-{cell.way}")
            site.server.run(["touch", segment], env=ahead)
            yield dict(latency_us=now - time.time())
        """.replace("SHIM", repr(str(shim)))
        )
        offset, error = run.probed.host("lab1").clock
        assert abs(offset - 3600) <= error + 1e-3 and error < 60
        offset, error = run.probed.host("lab2").clock
        assert abs(offset) <= error + 1e-3 and error < 60
        entries, _ = measure(run)
        assert all_measured(entries)
        assert all(
            abs(entry["observations"][0]["latency_us"] - 3600) < 600 for entry in entries.values()
        )
        assert all(
            abs(entry["started"] - time.time()) < 600 and 0 <= entry["seconds"] < 30
            for entry in entries.values()
        )
        assert all(entry["paused_s"] == 0 for entry in entries.values())
    finally:
        restart(lab, 1)
        for path in Path("/dev/shm").glob("benchpaper-test-clock-*"):
            path.unlink()


@pytest.mark.parametrize("whom", ["main", "session"])
def test_a_killed_agent_leaves_no_process(make, lab, tmp_path, whom):
    run = make(
        ONCE.format(flag=str(tmp_path)) + SERVING + f"""
        if first:
            flag.write_text("x")
            parent = int(site.server.run(["sh", "-c", "echo $PPID"]).stdout)
            if {whom == "main"}:
                parent = int(Path(f"/proc/{{parent}}/stat").read_text().split()[3])
            os.kill(parent, signal.SIGKILL)
            while True:
                site.server.run(["true"])
        yield dict(latency_us=1.0)
        """.replace("\n        ", "\n"), attempts=2,
    )  # fmt: skip
    entries, _ = measure(run)
    assert all_measured(entries)
    assert [attempt["outcome"] for attempt in entries["b"]["attempts"]] == ["failed", "ok"]
    gone(lab)
    with Fleet(lab.lab.project, Site("lab", (lab.described(1),))):
        pass  # its agent removes the socket of the killed agent


def test_a_controller_killed_in_mid_trial_leaves_nothing_and_the_next_run_goes_on(
    make, lab, run_benchpaper, tmp_path
):
    begun = tmp_path / "begun"
    run = make(
        f"""
        site.server.undo("a mark", ["touch", {str(tmp_path / "undone")!r}])
        """.replace("\n        ", "\n") + SERVING + f"""
        with open({str(begun)!r}, "a") as file:
            file.write("x")
            third = file.tell() == 3
        if third:
            time.sleep(60)
        yield dict(latency_us=1.0)
        """.replace("\n        ", "\n"), levels=[f"w{n}" for n in range(4)], timeout_s=100.0,
    )  # fmt: skip
    command = [
        str(Path(sys.executable).with_name("benchpaper")),
        "run",
        "results",
        "--site",
        "lab",
        "--scale",
        "smoke",
    ]
    process = subprocess.Popen(
        command,
        cwd=run.project.root,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:

        def journals():
            paths = run.folder.rglob("*.jsonl")
            return [line for path in paths for line in path.read_text().splitlines()]

        end = time.monotonic() + 120
        while not begun.exists() or len(begun.read_text()) < 3:
            assert time.monotonic() < end and process.poll() is None, process.stdout.read().decode()
            time.sleep(0.02)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    gone(lab)
    assert (tmp_path / "undone").exists()
    assert list((run.project.state / "connections").iterdir())
    kept = journals()
    assert len(kept) == 2
    done = run_benchpaper(run.project, "run", "results", "--site", "lab", "--scale", "smoke")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "toy/one: 4 trials measured" in done.stdout and journals()[: len(kept)] == kept
    assert re.search(
        "^an earlier run was killed; swept up: .*a connection's folder", done.stdout, re.M
    )
    assert not list((run.project.state / "connections").iterdir())


def test_a_host_that_is_lost_to_all_blocks_is_told_once(make, lab, run_benchpaper):
    run = make(
        f"""
        {signal_servers(lab, "KILL")}
        while True:
            site.server.run(["true"])
        yield
    """,
        levels=("a",),
        blocks=3,
    )
    try:
        done = run_benchpaper(run.project, "run", "results", "--site", "lab", "--scale", "smoke")
    finally:
        gone(lab)
        if not lab.servers(1):
            serve(lab, 1)
    assert done.returncode == 1 and (done.stdout + done.stderr).count("Connection refused") == 1, (
        done.stdout + done.stderr
    )
