"""What we keep on a host is private, and what a killed agent leaves there is taken away."""

import os
import stat

import pytest
from lab_faults import gone, measure

from benchpaper import results
from benchpaper.hosts.fleet import Fleet
from benchpaper.hosts.site import Site

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="the lab needs root"),
]

HIDING = """
shell = "exec sleep 300 >/dev/null 2>&1"
code = "import os; os.fork() and os._exit(0); os.setsid(); os.fork() and os._exit(0); " \\
    "os.execve('/bin/sh', ['sh', '-c', " + repr(shell) + "], dict())"
site.server.run([sys.executable, "-c", code])
"""


@pytest.mark.slow
@pytest.mark.parametrize("killed", [(), ("session",), ("session", "main")])
def test_a_daemon_that_hides_on_a_host_ends_with_its_trial(make, lab, tmp_path, killed):
    """It has left its session, its parent, and its environment."""
    run = make(
        f"""
        flag = Path({str(tmp_path / "flag")!r})
        """.replace("\n        ", "\n") + HIDING + f"""
        if not flag.exists():
            flag.write_text("x")
            session = int(site.server.run(["sh", "-c", "echo $PPID"]).stdout)
            main = int(Path(f"/proc/{{session}}/stat").read_text().split()[3])
            for name in {killed!r}:
                os.kill(dict(session=session, main=main)[name], signal.SIGSTOP)
            for name in {killed!r}:
                os.kill(dict(session=session, main=main)[name], signal.SIGKILL)
            while {bool(killed)}:
                site.server.run(["true"])
        yield dict(latency_us=1.0)
        """.replace("\n        ", "\n"), levels=("a",), attempts=2,
    )  # fmt: skip
    entries, _ = measure(run)
    assert entries["a"]["state"] == results.MEASURED, entries["a"]["attempts"]
    assert len(entries["a"]["attempts"]) == 1 + bool(killed)
    gone(lab)
    half_sent = lab.folder / "cache/benchpaper/store/.part-x"
    half_sent.mkdir(parents=True)
    with Fleet(lab.lab.project, Site("lab", (lab.described(1),))):
        pass  # its agent sweeps up what a killed one left
    gone(lab)
    assert not half_sent.exists()
    assert not list((lab.folder / "temporary").glob("benchpaper-agent-*"))


def test_what_we_keep_on_a_host_is_private(lab, tmp_path):
    cache, temporary = lab.folder / "cache/benchpaper", lab.folder / "temporary"
    with Fleet(lab.lab.project, Site("lab", (lab.described(1),))) as fleet:
        fleet.deploy(())
        host = fleet.links["lab1"].host("server", tmp_path / "t", 60, lambda *_: lambda _: None)
        assert host.run(["sh", "-c", "umask"]).stdout.strip() in ("0077", "077")
        (agent,) = temporary.glob("benchpaper-agent-*")
        trials = temporary / f"benchpaper-{os.geteuid()}"
        (trial,) = [path for path in trials.iterdir() if path.is_dir()]
        for folder in (cache, cache / "agents", cache / "store", agent, trials, trial):
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700, folder
        for path in (*agent.iterdir(), *trials.iterdir()):
            assert path.stat().st_mode & 0o077 == 0, path
        host.close()
        fleet.conclude("t")
