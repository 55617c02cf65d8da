"""The command line of Snakemake for a pipeline."""

import subprocess
import sys

from benchpaper.core import environment
from benchpaper.workflow.pipeline import Pipeline, profiles


def snakemake(
    pipeline: Pipeline, targets: list[str], experiments: list[str], *extra: str
) -> list[str]:
    """Return the command line that runs Snakemake on a pipeline."""
    config = [
        f"site={pipeline.site_name}",
        f"source={pipeline.source}",
        f"seed={pipeline.seed}",
    ]
    if experiments:
        config.append(f"experiments={' '.join(experiments)}")
    if pipeline.kept:
        config.append(f"kept={' '.join(pipeline.kept)}")
    profile = ["--profile", str(profiles(pipeline.project)[pipeline.profile])]
    return [sys.executable, "-m", "snakemake", *targets, *profile, *extra, "--config", *config]


def unlock(pipeline: Pipeline) -> bool:
    """Remove the lock that a killed Snakemake left, and return whether there was one.

    Call it only while holding the run's own lock.
    """
    root = pipeline.project.root
    if not any((root / ".snakemake" / "locks").glob("*")):
        return False
    subprocess.run(
        snakemake(pipeline, [], [], "--unlock"),
        cwd=root,
        env=environment.of_snakemake(),
        capture_output=True,
        check=True,
    )
    return True
