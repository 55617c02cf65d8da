"""Measuring as jobs of a real one-node Slurm cluster, which the test runs in namespaces."""

import os
import re
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from benchpaper import results
from benchpaper.workflow import pipeline

PROGRAMS = ("munged", "slurmctld", "slurmd", "unshare", "ip")
PATHS = f"{os.environ.get('PATH')}:/usr/sbin:/sbin"
FAST = """
slurm-status-command: squeue
slurm-no-account: true
slurm-init-seconds-before-status-checks: 2
seconds-between-status-checks: 1
latency-wait: 5
"""

pytestmark = [
    pytest.mark.root,
    pytest.mark.slow,
    pytest.mark.skipif(
        os.geteuid() != 0 or not all(shutil.which(name, path=PATHS) for name in PROGRAMS),
        reason="needs root, slurm-wlm and munge",
    ),
]


# Small jobs run one after the other during the run, two at a time where CPUs are free.
RUN = """
{benchpaper} run results --scale smoke --profile slurm &
run=$!
while kill -0 $run 2>/dev/null; do
    sbatch --quiet --output=/dev/null --job-name=small --wrap="sleep 2"
    sleep 1
done
wait $run; status=$?
scancel --name=small --state=PENDING
while squeue --noheader --states=all --Format=State | grep --quiet ING; do sleep 0.1; done
scontrol show job > {jobs}
exit $status
"""


def spans(jobs, state="COMPLETED"):
    """Return [(submitted, begin, end)] of the jobs in that state."""
    return [
        tuple(datetime.fromisoformat(re.search(rf"\b{name}=(\S+)",
            job)[1]) for name in ("SubmitTime", "StartTime", "EndTime"))
        for job in jobs if f"JobState={state}" in job
    ]  # fmt: skip


def overlap(job, other):
    return max(job[1], other[1]) < min(job[2], other[2])


def test_blocks_are_exclusive_jobs_and_the_rest_runs_here(pipe_project, tmp_path):
    """The cluster allows shared nodes; only the profile asks for a whole node per block."""
    profile = pipe_project.root / "profiles/slurm/config.yaml"
    shutil.copytree(pipeline.profiles(pipe_project)["slurm"], profile.parent)
    lines = [
        line for line in profile.read_text().splitlines() if not line.startswith("latency-wait")
    ]
    profile.write_text("\n".join(lines) + FAST)
    run = RUN.format(
        benchpaper=Path(sys.executable).with_name("benchpaper"), jobs=tmp_path / "jobs"
    )
    done = subprocess.run(
        [Path(__file__).with_name("slurm_cluster.sh"), tmp_path / "slurm", "bash", "-c", run],
        cwd=pipe_project.root,
        env={**os.environ, "PATH": PATHS}, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=900,
    )  # fmt: skip
    log = (pipe_project.state / "snakemake.log").read_text()
    assert done.returncode == 0, done.stdout + done.stderr + log[-3000:]
    table, _ = results.read(pipe_project.results("local", "smoke") / "toy/pipe" / results.TRIALS)
    assert set(table.column("block").to_pylist()) == {0, 1}
    jobs = [job for job in (tmp_path / "jobs").read_text().split("\n\n") if "JobId=" in job]
    small = spans([job for job in jobs if "JobName=small" in job])
    blocks = [job for job in jobs if "JobName=small" not in job]
    assert len(blocks) == 2 and all("OverSubscribe=NO" in job for job in blocks)
    blocks = spans(blocks)
    assert len(blocks) == 2 and not overlap(*blocks)
    assert not [job for job in small if any(overlap(job, block) for block in blocks)]
    # One had to wait until a block had ended. Slurm's times are whole seconds.
    assert any(submitted <= end <= begin for submitted, begin, _ in small for *_, end in blocks)
    if os.cpu_count() > 1:
        assert any(
            overlap(job, other) for n, job in enumerate(small) for other in small[:n]
        )  # which share the node
