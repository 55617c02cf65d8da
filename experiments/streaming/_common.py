"""What the experiments on the JVM's pipelines declare alike."""

from benchpaper import Experiment
from experiments.streaming import pipelines


def declare(experiment: Experiment) -> None:
    """Attach the needs, tools, and build of the pipelines to an experiment."""
    experiment.needs(lambda cell: pipelines.NEEDS)
    experiment.uses(pipelines.tools)
    experiment.build(needs=pipelines.NEEDS)(pipelines.build)
