"""The command line of Snakemake for a pipeline."""

import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import yaml

from benchpaper.core import environment
from benchpaper.core.errors import UserError
from benchpaper.workflow.pipeline import Pipeline, profiles

BUILT_IN = ("local", "dryrun", "touch")  # executors of Snakemake itself


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


def forced(
    pipeline: Pipeline, targets: list[str], experiments: list[str], flaws: Mapping[Path, str]
) -> list[str]:
    """Return the options that make Snakemake rebuild files that exist but are flawed.

    Those are `flaws`, and the incomplete outputs of notebooks.
    """
    flawed = dict(flaws)
    if targets != ["results"]:
        from benchpaper.workflow import completeness  # it loads pandas

        place = pipeline.project, pipeline.site_name, pipeline.source
        flawed |= completeness.flaws(*place, experiments)
    again = [str(path.relative_to(pipeline.project.root)) for path in flawed if path.exists()]
    return ["--forcerun", *again] if again else []


def check_profile(pipeline: Pipeline) -> None:
    """Raise `UserError` if the profile cannot be read, or names an executor that is not installed.

    Snakemake would say so after the run has begun.
    """
    path = profiles(pipeline.project)[pipeline.profile] / "config.yaml"
    try:
        config = yaml.safe_load(path.read_text()) or {}
        executor = str(config.get("executor", "local"))
    except (OSError, yaml.YAMLError, AttributeError) as error:
        why = " ".join(str(error).split())
        raise UserError(
            f'profile "{pipeline.profile}": config.yaml cannot be read ({why}); '
            "write options of Snakemake as `name: value`"
        ) from None
    plugin = f"snakemake-executor-plugin-{executor}"
    if executor not in BUILT_IN and find_spec(plugin.replace("-", "_")) is None:
        raise UserError(
            f'profile "{pipeline.profile}": the executor "{executor}" is not installed; '
            f"install {plugin} into this environment, or run with --profile default"
        )


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
