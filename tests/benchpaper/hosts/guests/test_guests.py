"""Guests behave as every host does, see only what they need, and end with what booted them."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from checkout import ROOT

from benchpaper.core.errors import UserError
from benchpaper.core.processes import descendants
from benchpaper.hosts import CommandFailed, HostError, HostLost, guest_kernel
from benchpaper.hosts import site as sites
from benchpaper.hosts.fleet import Fleet
from benchpaper.hosts.guests import init

pytestmark = pytest.mark.slow

SERVER = """
import socket, sys
with socket.create_server((sys.argv[1], int(sys.argv[2]))) as listener:
    print("ready", flush=True)
    while True:
        connection = listener.accept()[0]
        while data := connection.recv(1 << 20):
            connection.sendall(data)
"""
CLIENT = """
import socket, sys, time
connection = socket.create_connection((sys.argv[1], int(sys.argv[2])), 20)
begin = time.monotonic()
connection.sendall(b"x")
assert connection.recv(1) == b"x"
print(time.monotonic() - begin)
"""


def test_a_command_runs_with_its_environment_status_and_output(guests):
    host = guests.host()
    done = host.run(
        ["sh", "-c", "echo $WORD; echo bad >&2; exit 3"], env={"WORD": "a"}, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (3, "a\n", "bad\n")
    with pytest.raises(CommandFailed, match="false on server ended with status 1"):
        host.run(["false"])
    with pytest.raises(CommandFailed, match="did not end within"):
        host.run(["sleep", "100"], timeout=0.2)
    with pytest.raises(HostError, match='program "no-such" not found on server'):
        host.run(["no-such"])


def test_the_kernel_is_its_own_and_every_fact_is_there(guests):
    host = guests.host()
    kernel = host.run(["uname", "-r"]).stdout.strip()
    assert kernel != os.uname().release and host.facts()["kernel"] == kernel
    assert host.facts()["virtualised"] == "User-Mode Linux"
    assert init.__name__ == guest_kernel.FIRST_PROGRAM and not guest_kernel.is_guest()
    assert guests.fleet.has(["own_kernel"])["own_kernel"][0]


@pytest.mark.parametrize("size", [0, 1, 5000, 3 << 20])  # the line's own buffer holds 4,096 bytes
def test_files_and_long_messages_arrive_whole_both_ways(guests, tmp_path, size):
    host = guests.host()
    data = os.urandom(size)
    here, there = tmp_path / "here", host.scratch() / "there"
    here.write_bytes(data)
    host.put(here, there)
    host.get(there, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == data
    text = data.hex()[:100_000]
    assert host.run(["sh", "-c", 'printf %s "$TEXT"'], env={"TEXT": text}).stdout == text


def test_a_process_dies_with_its_trial(guests):
    host, other = guests.host(), guests.host()
    process = host.start(["sh", "-c", "echo up; exec sleep 4321"])
    assert process.read_line() == "up" and process.poll() is None
    folder = host.scratch()
    host.close()
    end = time.monotonic() + 30
    while other.run(["ls", f"/proc/{process.pid}"], check=False).returncode == 0:
        assert time.monotonic() < end
    while other.run(["ls", folder], check=False).returncode == 0:
        assert time.monotonic() < end


def test_the_environment_of_the_project_is_there_without_deployment(guests):
    host = guests.host()
    code = "import benchpaper, experiments, numpy, sys; print(benchpaper.__file__, sys.prefix)"
    assert host.run([host.python, "-c", code]).stdout.split()[1] == sys.prefix
    assert host.provide(Path(sys.executable).parent / "benchpaper").exists()


def test_what_is_provided_is_new_when_it_has_changed_though_the_old_is_open(guests, tmp_path):
    host, file = guests.host(), tmp_path / "data"
    file.write_text("old")
    held = host.provide(file)
    with host.start(["sh", "-c", f"exec 3<{held}; echo held; sleep 1000"]) as process:
        assert process.read_line() == "held"
        file.write_text("new")
        assert host.run(["cat", host.provide(file)]).stdout == "new"


LOOK = """
import json, os, sys
options, seen, written = json.loads(sys.argv[1]), [], []
for root in options["roots"]:
    for place in options["secrets"]:
        path = root + place
        if os.path.isdir(path) and os.listdir(path) or os.path.isfile(path) and open(path).read():
            seen.append(path)
    for place in options["unwritable"]:
        try:
            open(f"{root}{place}/written-by-a-guest", "w").close()
            written.append(root + place)
        except OSError:
            pass
print(json.dumps([seen, written]))
"""


def test_a_guest_sees_no_secret_and_cannot_write_to_this_machine(guests, tmp_path):
    """Not even by mounting this machine's files itself."""
    host = guests.host()
    mounted = str(host.scratch())
    keys = sorted(map(str, Path("/etc/ssh").glob("ssh_host_*_key")))
    secrets = [str(Path.home() / ".ssh"), str(tmp_path), "/etc/shadow", "/var/log", *keys]
    unwritable = [str(ROOT), "/usr", "/etc", str(guests.project.root), sys.prefix]
    options = {"roots": [mounted], "secrets": secrets, "unwritable": unwritable}
    host.run(["mount", "-t", "hostfs", "none", mounted, "-o", "/"])
    try:
        done = host.run([host.python, "-c", LOOK, json.dumps(options)])
    finally:
        host.run(["umount", mounted])
    assert json.loads(done.stdout) == [[], []]


def test_the_overlay_takes_writes_that_this_machine_never_sees(guests):
    host = guests.host()
    host.run(["touch", "/etc/written-by-a-guest"])
    assert not Path("/etc/written-by-a-guest").exists()
    host.run(["rm", "/etc/written-by-a-guest"])


def test_guests_reach_each_other_and_root_reaches_them(guests, is_root):
    server, client = guests.host(1), guests.host(2, "client")
    port = server.free_port()
    with server.start([server.python, "-c", SERVER, server.address, port]) as process:
        assert process.read_line(60) == "ready"
        client.run([client.python, "-c", CLIENT, server.address, port])
        if is_root:
            with socket.create_connection((server.address, port), 20) as connection:
                connection.sendall(b"x")
                assert connection.recv(1) == b"x"


def test_nothing_of_a_guest_listens_on_this_machine(guests):
    pids = guests.fleet.spared
    family = {child for pid in pids for child in (pid, *descendants(pid))}
    assert len(family) > len(pids)  # the kernels too
    inodes = {
        os.readlink(link).removeprefix("socket:[").removesuffix("]")
        for pid in family
        for link in Path(f"/proc/{pid}/fd").iterdir()
        if os.readlink(link).startswith("socket:")
    }
    tables = [Path("/proc/net", name).read_text() for name in ("tcp", "tcp6", "udp", "udp6")]
    bound = {line.split()[9] for table in tables for line in table.splitlines()[1:]}
    assert inodes and not inodes & bound


def test_guests_share_this_machine_and_its_lock(guests):
    links = list(guests.fleet.links.values())
    assert len(links) == 2 and len(guests.fleet.machines()) == 1
    with guests.fleet.measuring("a test"):
        assert "a test" in links[1].lock("another")
    assert guests.fleet.disturbances()["load_1m"] is not None
    offset, error = links[0].clock_offset()  # on a busy machine, it lags from its boot
    assert abs(offset) < 60 and error > 0


def test_guests_that_served_a_trial_boot_again_for_one_that_wants_a_fresh_kernel(boot):
    guests = boot()
    fleet, host = guests.fleet, guests.host()
    with fleet.measuring("a test"):
        host.run(["touch", "/srv/used"])
        before = host.run(["cat", "/proc/sys/kernel/random/boot_id"]).stdout
        host.close()
        fleet.conclude("trial-1")
        assert fleet.renew() == ["guest1"] and fleet.renew() == []
        again = guests.host()
        assert again.run(["ls", "/srv"]).stdout == ""
        assert again.run(["cat", "/proc/sys/kernel/random/boot_id"]).stdout != before
        assert "a test" in fleet.links["guest1"].lock("another")
    assert fleet.links["guest1"].lock("another") is None


# ---- faults ----


def test_a_panic_ends_the_trial_with_the_end_of_the_console_and_the_guest_boots_again(boot):
    guests = boot()
    host, fleet = guests.host(), guests.fleet
    with fleet.measuring("a test"):
        with pytest.raises(HostLost, match=r"it said: .*Kernel panic.*sysrq|Kernel panic"):
            host.run(["sh", "-c", "echo c > /proc/sysrq-trigger"])
        assert fleet.restore() == ["guest1"]
        again = guests.host()
        assert again.run([again.python, "-c", "import experiments"]).returncode == 0
        assert "a test" in fleet.links["guest1"].lock("another")
    assert fleet.links["guest1"].lock("another") is None


def test_a_guest_that_cannot_boot_shows_the_end_of_its_console(boot):
    with pytest.raises(UserError, match=r'^host "guest1" .* did not boot.*console ends: .+') as bad:
        boot(memory=16)  # with a little more, it may neither boot nor panic
    assert "\n" not in str(bad.value)


def test_a_missing_interface_is_named_with_the_next_step(boot):
    with pytest.raises(UserError, match='interface no-tap .* does not exist; run "benchpaper lab'):
        boot(tap="no-tap")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's guests have interfaces here")
def test_an_interface_in_use_is_said_in_one_line(guests):
    entry = sites.load(guests.project, "lab").hosts[0]
    second = Fleet(guests.project, sites.Site("lab", (entry,)))
    with pytest.raises(UserError, match="another guest holds its interface") as refused, second:
        pass
    assert "\n" not in str(refused.value)


HOLD = """
import sys, time
from pathlib import Path
from benchpaper.core.project import Project
from benchpaper.hosts.fleet import Fleet
from benchpaper.hosts.guests import init
from benchpaper.hosts.site import HostEntry, Site
entry = HostEntry(name="guest1", kind="uml", address="198.18.0.101", roles=("server",))
with Fleet(Project(Path(sys.argv[1])), Site("guests", (entry,))) as fleet:
    print("up", *fleet.links["guest1"].processes, flush=True)
    time.sleep(1000)
"""


def test_a_killed_controller_leaves_no_guest_and_the_next_run_sweeps_its_folder(boot, tmp_path):
    from benchpaper.hosts import cleanup

    project = boot().project
    argv = [sys.executable, "-c", HOLD, str(project.root)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as controller:
        pids = controller.stdout.readline().split()[1:]
        controller.kill()
    end = time.monotonic() + 30
    while any(Path(f"/proc/{pid}").exists() for pid in pids) or guest_processes(project):
        assert time.monotonic() < end, (pids, guest_processes(project))
        time.sleep(0.05)
    folders = list(Path(project.state, "connections").glob(f"{controller.pid}-*"))
    assert folders and "a connection's folder" in cleanup.sweep(project)
    assert not any(folder.exists() for folder in folders)


def guest_processes(project):
    """The processes of guests of this project whose controller is not this process."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if str(project.state) in line and f"/{os.getpid()}-" not in line:
            lines.append(line)
    return lines
