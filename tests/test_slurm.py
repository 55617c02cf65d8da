"""Measuring as jobs of a real Slurm cluster of one node, which the test runs in namespaces of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchpaper import results

PROGRAMS = ("munged", "slurmctld", "slurmd", "unshare", "ip")
PATHS = f"{os.environ.get('PATH')}:/usr/sbin:/sbin"
FAST = """
slurm-status-command: squeue
slurm-no-account: true
slurm-init-seconds-before-status-checks: 2
seconds-between-status-checks: 1
latency-wait: 5
"""

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not all(shutil.which(name, path=PATHS) for name in PROGRAMS),
    reason="needs root, slurm-wlm and munge",
)


def test_blocks_are_exclusive_jobs_and_the_rest_runs_here(pipe_project, tmp_path, tmp_path_factory):
    profile = pipe_project.root / "profiles/slurm/config.yaml"
    lines = [line for line in profile.read_text().splitlines() if not line.startswith("latency-wait")]
    profile.write_text("\n".join(lines) + FAST)
    benchpaper = Path(sys.executable).with_name("benchpaper")
    (tmp_path / "asked").write_text("")
    log = f"scontrol show job > {tmp_path / 'jobs'}"
    run = f"{benchpaper} run results --scale smoke --profile slurm; status=$?; {log}; exit $status"
    done = subprocess.run(
        [Path(__file__).with_name("slurm_cluster.sh"), tmp_path / "slurm", "bash", "-c", run], cwd=pipe_project.root,
        env={**os.environ, "PATH": PATHS}, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    log = (pipe_project.state / "snakemake.log").read_text()
    assert done.returncode == 0, done.stdout + done.stderr + log[-3000:]
    table, _ = results.read(pipe_project.results("local", "smoke") / "toy/pipe" / results.TRIALS)
    assert set(table.column("block").to_pylist()) == {0, 1}
    jobs = (tmp_path / "jobs").read_text().split("\n\n")
    jobs = [job for job in jobs if "JobId=" in job]
    assert len(jobs) == 2 and all("OverSubscribe=NO" in job and "JobState=COMPLETED" in job for job in jobs)
