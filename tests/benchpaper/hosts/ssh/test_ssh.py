"""Target hosts over SSH, in the lab.

Failures there lose no finished trial, leave no process, and give a one-line message.
"""

import contextlib
import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchpaper import results
from benchpaper.core.errors import UserError
from benchpaper.core.processes import PR_SET_CHILD_SUBREAPER
from benchpaper.hosts.agent import standstill
from benchpaper.hosts.fleet import Fleet
from benchpaper.hosts.ssh import connection, deploy, remote
from benchpaper.hosts.ssh.connection import Unreachable
from benchpaper.workflow.pipeline import Pipeline

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the lab needs root")

TWO = 'roles=("server", "client"), '
SERVERS = """
def signal_servers(namespace, address, name):
    \"\"\"Send a signal to all processes of a host's SSH server, the listener included.

    The processes are listed first, and may end meanwhile. After KILL, nothing listens there.
    \"\"\"
    from benchpaper.hosts.lab.namespaces import processes
    servers = []
    for pid in processes(namespace):
        try:
            if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"sshd"):
                servers.append(pid)
        except OSError:
            pass  # it ended meanwhile
    subprocess.run(["kill", "-s", name, *map(str, servers)])
    knock = ["ip", "netns", "exec", namespace, "bash", "-c", f"</dev/tcp/{address}/22"]
    while name == "KILL" and subprocess.run(knock, capture_output=True).returncode == 0:
        time.sleep(0.01)
"""
ONCE = """
flag = Path({flag!r}) / cell.way
first = cell.way == "b" and not flag.exists()
"""


@pytest.fixture
def make(make_toy, lab):
    """Return `make(body, ...)`: a project's pipeline on the lab, with `body` as toy/one's trial."""

    def make(body, hosts=(), levels=("a", "b", "c"), **options):
        project = make_toy(body, levels=levels, more=SERVERS + options.pop("more", ""), **options)
        path = project.root / "experiments/toy/one/experiment.py"
        path.write_text(path.read_text().replace("    attempts=", f"    {TWO}attempts=", 1))
        lab.site(project, *hosts)
        return Pipeline(project, "lab", "smoke", 1)

    return make


def measure(run):
    """Measure the block. Return ({way: entry of the journal}, what was told)."""
    told = []
    block = run.block(
        "toy/one", 0, lambda event, **facts: told.append((event, facts.get("message")))
    )
    try:
        block.measure()
    finally:
        lines = block.journal_path.read_text().splitlines() if block.journal_path.exists() else []
        run.journalled = {entry["way"]: entry for entry in map(json.loads, lines)}
    return run.journalled, told


def all_measured(entries, ways="abc"):
    return {way: entry["state"] for way, entry in entries.items()} == dict.fromkeys(
        ways, results.MEASURED
    )


def gone(lab, seconds=60):
    """Wait until no process is left on the lab's hosts beside their SSH servers."""
    end = time.monotonic() + seconds
    while left := [line for number in (1, 2) for line in lab.processes(number)]:
        assert time.monotonic() < end, left
        time.sleep(0.05)


@pytest.fixture(autouse=True)
def nothing_left_on_the_hosts(request):
    yield
    if "lab" in request.fixturenames:
        lab = request.getfixturevalue("lab")
        if not lab.kept:
            gone(lab)
            left = [path.name for path in (lab.folder / "temporary").rglob("*") if path.is_file()]
            assert not left


@pytest.fixture(autouse=True)
def no_kept_connections(lab):
    for link in lab.kept.values():
        link.close()
    lab.kept.clear()


def signal_servers(lab, name):
    """Return a line of a trial that sends a signal to the SSH server of the first host."""
    return f"signal_servers({lab.lab.namespace(1)!r}, {lab.lab.address(1)!r}, {name!r})"


SERVING = """
line = "echo said before the cut, s3cret-of-the-server; trap '' TERM; setsid sleep 300 & wait"
server = site.server.start(["sh", "-c", line], env=dict(KEY="s3cret-of-the-server"))
server.read_line()
site.client.run(["true"])
"""


# --- what works ------------------------------------------------------------------------------


def test_a_trial_runs_on_two_hosts_with_the_project_and_its_packages(make, lab):
    run = make(
        """
        program = (
            "import numpy, benchpaper, experiments.toy.one.experiment as e; "
            "print(numpy.add(1, 1), e.experiment.title)"
        )
        done = site.client.run([site.client.python, "-c", program])
        assert done.stdout == "2 Toy\\n", done.stdout
        hosts = (site.client, site.server)
        namespaces = {host.run(["ip", "netns", "identify"]).stdout for host in hosts}
        addresses = [site.server.address, site.client.address]
        assert len(namespaces) == 2 and len(set(addresses)) == 2
        yield dict(latency_us=1.0)
        """, levels=("a",), more="experiment.packages = ('numpy',)",
    )  # fmt: skip
    entries, _ = measure(run)
    assert entries["a"]["state"] == results.MEASURED, entries["a"]["attempts"]
    assert {name.split(".")[0] for name in entries["a"]["hosts"]} == {"server", "client"}
    text = json.dumps(entries["a"])
    assert str(lab.folder) not in text and "lab1" not in text
    sent = [path.name for path in (lab.folder / "cache/benchpaper/store").glob("*/*")]
    assert "numpy" in sent and "snakemake" not in sent and "pandas" not in sent


def test_what_is_provided_is_sent_once_and_a_changed_file_again(lab, tmp_path):
    folder = tmp_path / "programs"
    folder.mkdir()
    (folder / "tool").write_text("#!/bin/sh\necho one\n")
    (folder / "tool").chmod(0o755)
    (folder / "also").symlink_to("tool")
    with Fleet(lab.lab.project, {"name": "lab", "hosts": [lab.described(1)]}) as fleet:
        link = fleet.links["lab1"]
        host = link.host("client", tmp_path / "t", 60, lambda name, argv: lambda status: None)
        there = host.provide(folder)
        assert there != folder and there.name == "programs" and host.provide(folder) == there
        assert host.run([there / "also"]).stdout == "one\n"
        (folder / "tool").write_text("#!/bin/sh\necho two\n")
        assert host.run([host.provide(folder / "tool")]).stdout == "two\n"
        assert (
            host.run([host.provide(folder) / "tool"]).stdout == "two\n"
            and host.run([there / "tool"]).stdout == "one\n"
        )
        host.close()
        link.conclude("t")


def test_one_controller_at_a_time_and_the_other_is_told_who_since_when(lab):
    site = {"name": "lab", "hosts": [lab.described(1)]}
    with Fleet(lab.lab.project, site) as first, Fleet(lab.lab.project, site) as second:
        told = []
        with first.measuring("measuring toy/one"):
            held = second.links["lab1"].lock("measuring toy/two")
        assert re.fullmatch(
            r"measuring toy/one, controlled from \S+ has been running since \d{4}-\d\d-\d\d "
            r"\d\d:\d\d:\d\d \(process \d+\); "
            "wait for it, or stop it", held,
        )  # fmt: skip
        with second.measuring("measuring toy/two", told.append):
            assert not told


HOLDER = """
import sys, time, yaml
from pathlib import Path
from benchpaper.hosts.ssh import connection
from benchpaper.hosts.fleet import Fleet
from benchpaper.core.processes import PR_SET_CHILD_SUBREAPER
from benchpaper.core.project import Project
connection.SILENCE_S = 100.0  # the host has to notice by itself
project, site = Project(Path(sys.argv[1])), yaml.safe_load(sys.argv[2])
with Fleet(project, site) as fleet, fleet.measuring("measuring toy/one"):
    print("held", flush=True)
    time.sleep(100)
"""


def test_the_lock_of_a_controller_that_was_killed_is_free_at_once(lab):
    site = {"name": "lab", "hosts": [lab.described(1)]}
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, lab.lab.project.root, json.dumps(site)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout.readline() == "held\n"
        with Fleet(lab.lab.project, site) as fleet:
            told = []
            assert "measuring toy/one, controlled from" in fleet.links["lab1"].lock("x")
            holder.kill()
            holder.wait()
            begin = time.monotonic()
            with fleet.measuring("measuring toy/two", told.append):
                assert time.monotonic() - begin < 60
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()


JUMP = """
Host {jump}
    HostName {jump_address}
Host behind
    HostName {address}
    ProxyJump {jump}
Host *
    User root
    UserKnownHostsFile {known}
    GlobalKnownHostsFile none
"""


@pytest.fixture
def agent(lab, tmp_path, monkeypatch):
    """An ssh-agent of the controller's user; `ssh-add` is still to be done."""
    path = tmp_path / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL)
    while not path.exists():
        assert process.poll() is None, "ssh-agent did not start"
        time.sleep(0.01)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
    yield path
    process.terminate()
    process.wait()


def test_a_host_behind_a_jump_host_with_a_key_of_the_agents(lab, tmp_path, agent):
    """The user's configuration names neither key nor port; both hosts use the same agent."""
    addresses = dict(address=lab.lab.address(2), jump_address=lab.lab.address(1))
    (tmp_path / "config").write_text(
        JUMP.format(jump="jump", known=tmp_path / "known", **addresses)
    )
    known = (lab.lab.folder / "known_hosts").read_text()
    (tmp_path / "known").write_text(known)
    site = {
        "name": "lab",
        "hosts": [lab.described(2, ssh="behind", ssh_config=str(tmp_path / "config"))],
    }

    def fleet():
        return Fleet(lab.lab.project, site)

    with (
        pytest.raises(
            Unreachable,
            match='it did not let you in: see that "ssh -F .* behind" works without a password$',
        ),
        fleet(),
    ):
        pass
    subprocess.run(["ssh-add", "-q", lab.lab.folder / "user_key"], check=True)
    with fleet() as connected:
        link = connected.links["lab2"]
        peers = subprocess.run(
            ["ip", "netns", "exec", lab.lab.namespace(2), "ss", "-tnH"],
            capture_output=True,
            text=True,
        ).stdout
        assert (
            lab.lab.address(1) in peers
            and f"{lab.lab.address(2).rpartition('.')[0]}.1:" not in peers
        )
        assert link.ask("clock")
        host = link.host("client", tmp_path / "t", 60, lambda name, argv: lambda status: None)
        assert host.run(["echo", "through"]).stdout == "through\n"
        host.close()
        link.conclude("t")
    (tmp_path / "known").write_text(
        "".join(line for line in known.splitlines(True) if not line.startswith(lab.lab.address(1)))
    )
    with (
        pytest.raises(Unreachable, match="its host key is not known: connect once by hand"),
        fleet(),
    ):
        pass


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
    entries, told = measure(run)
    assert all_measured(entries)
    first, second = entries["b"]["attempts"]
    assert first["message"] == "the connection to server is lost" and second["outcome"] == "ok"
    assert ("reconnected", 'the connection to host "lab1" was lost and is made again') in told
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
    entries, told = measure(run)
    assert all_measured(entries)
    assert {way: entries[way] for way in kept} == kept
    fetched = [message for event, message in told if event == "fetched"]
    assert len(fetched) == 2 and fetched[0].startswith("an earlier trial lost host lab")
    texts = [path.read_text() for path in (run.project.state / "fetched").iterdir()]
    assert any("said before the cut" in text for text in texts) and not any(
        "s3cret-of" in text for text in texts
    )


def test_a_host_that_hangs_is_given_up_in_bounded_time(make, lab, tmp_path, monkeypatch):
    monkeypatch.setitem(connection.OPTIONS, "ServerAliveInterval", 1)
    monkeypatch.setitem(connection.OPTIONS, "ConnectTimeout", 8)
    monkeypatch.setattr(connection, "GREETING_S", 10.0)
    monkeypatch.setattr(remote, "ANSWER_S", 10.0)
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


def signal_all(pids, number):
    """Send a signal to processes; one may end with another."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def serve(lab, number, **environment):
    """Restart a host's SSH server as nobody's child: measuring kills this process's children."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
    lab.lab.serve(number, {**lab.environment, **environment})
    probe = [
        "ip",
        "netns",
        "exec",
        lab.lab.namespace(number),
        "bash",
        "-c",
        f"</dev/tcp/{lab.lab.address(number)}/22",
    ]
    while subprocess.run(probe, capture_output=True).returncode:
        time.sleep(0.01)


def restart(lab, number, **environment):
    """Have the SSH server of a host set these variables in its sessions too."""
    signal_all(lab.servers(number), signal.SIGTERM)
    while lab.servers(number):
        time.sleep(0.01)
    serve(lab, number, **environment)


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
        offset, error = run.probed["hosts"]["lab1"]["clock"]
        assert abs(offset - 3600) <= error + 1e-3 and error < 60
        offset, error = run.probed["hosts"]["lab2"]["clock"]
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
    shutil.rmtree(lab.folder / "temporary")  # the socket of an agent that was killed
    (lab.folder / "temporary").mkdir()


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


# --- hosts that cannot be used ---------------------------------------------------------------


def refused(lab, **changes):
    begin = time.monotonic()
    site = {"name": "lab", "hosts": [lab.described(1, **changes)]}
    with pytest.raises(Unreachable) as error, Fleet(lab.lab.project, site):
        pass
    assert time.monotonic() - begin < 60 and "\n" not in str(error.value)
    return str(error.value)


def test_an_unknown_host_key_is_refused_whatever_the_users_configuration_says(lab, tmp_path):
    text = (lab.lab.folder / "ssh_config").read_text()
    (tmp_path / "empty").write_text("")
    text = re.sub(
        "UserKnownHostsFile .*",
        f"UserKnownHostsFile {tmp_path / 'empty'}\n    StrictHostKeyChecking no",
        text,
    )
    (tmp_path / "config").write_text(text)
    assert re.fullmatch(
        r'host "lab1" of site "lab": its host key is not known: connect once by hand \("ssh '
        r'-F \S+ 198.\S+"\), compare the '
        "fingerprint, and accept it", refused(lab, ssh_config=str(tmp_path / "config")),
    )  # fmt: skip
    assert (tmp_path / "empty").read_text() == ""


def test_a_host_key_that_changed_is_refused(lab, tmp_path):
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other"], check=True
    )
    (tmp_path / "known").write_text(f"{lab.lab.address(1)} {(tmp_path / 'other.pub').read_text()}")
    text = (lab.lab.folder / "ssh_config").read_text()
    (tmp_path / "config").write_text(
        re.sub("UserKnownHostsFile .*", f"UserKnownHostsFile {tmp_path / 'known'}", text)
    )
    assert ": its host key is not the known one: find out why," in refused(
        lab, ssh_config=str(tmp_path / "config")
    )


def test_a_wrong_user_is_named(lab):
    message = refused(lab, user="nobody-here")
    assert message.startswith(
        'host "lab1" of site "lab": it did not let user "nobody-here" in: see that "ssh -F '
    )


def test_a_port_where_nobody_listens_and_an_address_that_is_not_there(lab):
    assert "Connection refused; see that" in refused(lab, port=9)
    assert re.search(
        (
            r"its interface lo does not have the address 198\.\S+ of the site file \(there are: "
            ".*eth0 198"
        ),
        refused(lab, interface="lo"),
    )


def test_a_host_that_accepts_and_never_answers_is_given_up(lab, tmp_path, monkeypatch):
    monkeypatch.setitem(connection.OPTIONS, "ConnectTimeout", 2)
    silent = subprocess.Popen(
        ["ip", "netns", "exec", lab.lab.namespace(1), sys.executable, "-c",
         (f"import socket, time; s = socket.create_server(('{lab.lab.address(1)}', 2222)); "
         "print('x', flush=True); time.sleep(60)")],
        stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        silent.stdout.readline()
        text = (lab.lab.folder / "known_hosts").read_text()
        assert text and "timed out" in refused(lab, port=2222)
    finally:
        silent.kill()
        silent.wait()
        silent.stdout.close()


NO_PYTHON = (
    'host "lab1" of site "lab": it has no Python: (run '
    '".*python.*" there|install Python '
    "3.11 or newer), "
    r"or name one in the site file \(python: /its/path\)"
)


@pytest.mark.parametrize("programs", [("sh", "bash"), ()])
def test_a_host_without_python_is_told_what_to_install(lab, tmp_path, programs):
    """Its PATH holds two shells, or nothing, plus what the user's login shell adds."""
    for program in programs:
        (tmp_path / program).symlink_to(shutil.which(program))
    restart(lab, 1, PATH=str(tmp_path))
    try:
        assert re.fullmatch(NO_PYTHON, refused(lab))
        with Fleet(
            lab.lab.project, {"name": "lab", "hosts": [lab.described(1, python=sys.executable)]}
        ) as fleet:
            assert fleet.links["lab1"].ask("clock")
    finally:
        restart(lab, 1)


def test_an_interpreter_of_the_site_file_that_is_not_there_is_told(lab):
    assert re.fullmatch(NO_PYTHON, refused(lab, python="/no/such/python"))


def test_packages_that_do_not_run_on_the_hosts_python_are_named():
    (numpy,) = [one for one in deploy.closure(["numpy"]) if one.name == "numpy"]
    about = {"version": list(sys.version_info[:2]), "machine": "x86_64", "libc": "2.36"}
    deploy.check_fits(numpy, about, "big")
    for changed in ({"version": [3, 9]}, {"machine": "aarch64"}, {"libc": "2.5"}, {"libc": ""}):
        with pytest.raises(
            UserError,
            match=(
                r'^host "big" has Python .* does not run: install Python 3\.\d+ there \(or name '
                "one in"
            ),
        ):
            deploy.check_fits(numpy, {**about, **changed}, "big")
    (pure,) = deploy.closure(["click"])
    deploy.check_fits(pure, {**about, "version": [3, 99], "libc": ""}, "big")


def test_a_package_that_is_not_the_locked_one_is_refused(tmp_path):
    (tmp_path / "lock").write_text("click==0.1 \\\n    --hash=sha256:00\n")
    with pytest.raises(
        UserError,
        match=r"^the package click is \S+ here, but 0.1 in requirements.lock; run ./reproduce",
    ):
        deploy.closure(["click"], tmp_path / "lock")
    with pytest.raises(
        UserError,
        match=(
            '^the package "no-such-package" is to be sent to the hosts, but is not installed here'
        ),
    ):
        deploy.closure(["no-such-package"])


# --- secrets ---------------------------------------------------------------------------------

SECRETS = {
    "BENCHPAPER_TEST_TOKEN": "t0ken-which-nobody-sees",
    "AWS_SECRET_ACCESS_KEY": "s3cret+which/nobody=sees",
}
OF_COMMANDS = [
    "hunter2hunter2",
    "pass-in-url",
    "k3y-in-the-environment",
    "t0ken-for-a-command",
    "c3rtainly-a-key",
    "p4ss-phrase-of-a-key",
]
LEAKY = """
environment = site.server.run(["env"]).stdout
assert "nobody" not in environment
# First under harmless names, in a list of arguments and in a shell's line; their real names follow.
site.server.run(
    ["true", "hunter2hunter2", "--mode=k3y-in-the-environment"], env={"SETTING": "c3rtainly-a-key"}
)
site.client.run(
    ["sh", "-c", "true p4ss-phrase-of-a-key"],
    env={"SETTING": "t0ken-for-a-command", "KEY": "c3rtainly-a-key"},
)
site.server.run([
    "true", "--password", "hunter2hunter2", "postgres://me:pass-in-url@127.0.0.1/x", "pass-in-url"
])
site.server.start(
    ["sh", "-c", "echo hunter2hunter2 $SECRET_KEY; cat KEY_FILE; exec sleep 60"],
    env={"SECRET_KEY": "k3y-in-the-environment"},
).read_line()
site.client.run(["true"], env={"API_TOKEN": "t0ken-for-a-command"})
site.client.run(["sh", "-c", "true; PASSPHRASE='p4ss-phrase-of-a-key' true"])
print("c3rtainly-a-key and t0ken-for-a-command")
if cell.way == "b":
    line = (
        "cat KEY_FILE; echo $DB_PASS cannot log in with p4ss-phrase-of-a-key "
        "at http://me:pass-in-url@host/ >&2; exit 3"
    )
    site.server.run(["sh", "-c", line], env={"DB_PASS": "hunter2hunter2"})
if cell.way == "c":
    raise RuntimeError(
        "no login: hunter2hunter2, k3y-in-the-environment, pass-in-url, c3rtainly-a-key"
        + Path("KEY_FILE").read_text()
    )
yield dict(latency_us=1.0)
"""


def texts_below(*roots):
    """Return {path: text} of all files, with Parquet decoded, except the leaking code itself."""
    texts = {}
    for path in (
        path
        for root in roots
        for path in root.rglob("*")
        if path.is_file() and not path.is_symlink()
    ):
        if "experiments" not in path.parts:
            texts[path] = path.read_bytes().decode(errors="replace")
        if path.suffix == ".parquet":
            texts[f"{path} (read)"] = str(results.read(path)[0].to_pylist())
    return texts


def test_secrets_are_nowhere(make, lab, run_benchpaper):
    key_file = lab.lab.folder / "user_key"
    run = make(LEAKY.replace("KEY_FILE", str(key_file)))
    done = run_benchpaper(
        run.project, "run", "results", "--site", "lab", "--scale", "smoke", **SECRETS
    )
    doctor = run_benchpaper(run.project, "doctor", "--site", "lab", **SECRETS)
    assert re.search("toy/one: .*2 trials failed", done.stdout), done.stdout + done.stderr
    texts = texts_below(run.project.root, lab.folder / "temporary", lab.folder / "cache")
    logs = [text for path, text in texts.items() if "/failed/" in str(path)]
    assert len(logs) == 2 and all(
        "PRIVATE KEY" in text and "$SECRET" in text for text in logs
    )  # the places were looked at
    assert any("(read)" in str(path) and "$SECRET" in text for path, text in texts.items())
    texts |= {
        "printed by run": done.stdout + done.stderr,
        "printed by doctor": doctor.stdout + doctor.stderr,
    }
    wanted = [*SECRETS.values(), *OF_COMMANDS, *key_file.read_text().splitlines()[1:-1]]
    assert not {
        (secret, str(path)) for secret in wanted for path, text in texts.items() if secret in text
    }
