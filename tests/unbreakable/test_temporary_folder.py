"""A killed run leaves one temporary folder, and the next run removes it."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from toy_runs import hear_interrupts

LITTERING = """
    flag = PROJECT / "littered"
    if not flag.exists():
        import tempfile
        site.client.run(["sh", "-c", "mktemp; mktemp -d; touch $TMPDIR/a-fixed-name"])
        tempfile.mkdtemp()
        flag.touch()
        time.sleep(100)
    yield dict(latency_us=1.0)
"""


@pytest.mark.slow
def test_the_next_run_sweeps_the_temporary_folder_and_nothing_is_open_to_others(
    make_toy, run_benchpaper
):
    project = make_toy(LITTERING, timeout_s=200)
    temporary = Path(os.environ["TMPDIR"])
    command = [Path(sys.executable).with_name("benchpaper"), "run", "results"]
    with tempfile.TemporaryFile() as output:
        run = subprocess.Popen(
            command, cwd=project.root, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True, preexec_fn=hear_interrupts, umask=0,
        )  # fmt: skip
        try:
            end = time.monotonic() + 120
            while not (project.root / "littered").exists():
                assert run.poll() is None and time.monotonic() < end
                time.sleep(0.02)
            assert open_to_others(temporary) == []
            assert open_to_others(project.state) == []
        finally:
            os.killpg(run.pid, signal.SIGKILL)
            run.wait()
    assert list(temporary.rglob("a-fixed-name"))
    done = run_benchpaper(project, "run", "results")
    assert done.returncode == 0, done.stdout + done.stderr
    (line,) = [line for line in done.stdout.splitlines() if "swept up" in line]
    assert "a temporary folder" in line
    assert list(temporary.iterdir()) == []


def open_to_others(folder):
    """What is in a folder, or the folder itself, that other users can reach and open."""
    reached = [path for path in (folder, *folder.iterdir()) if not path.is_symlink()]
    if folder.stat().st_mode & 0o077 == 0:
        return []
    return [path for path in reached if path != folder and path.stat().st_mode & 0o077]
