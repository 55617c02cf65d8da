"""Projects on the lab, and a check that nothing stays on its hosts."""

import pytest
from lab_faults import gone

from benchpaper.workflow.pipeline import Pipeline

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
