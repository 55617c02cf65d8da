"""Sound experiments for the tests of the catalog."""

SOUND = """
from benchpaper.design.spec import Experiment, Metric, Scale
{imports}
experiment = Experiment(
    title="Toy", question="?", factors=[], metrics=[Metric("x_s", unit="s", better="lower")],
    scales={{name: Scale(blocks=1) for name in ("smoke", "quick", "full")}},
)
{trial}
"""
TRIAL = "experiment.trial(lambda cell, site: [])"


def sound(imports="", trial=TRIAL):
    return SOUND.format(imports=imports, trial=trial)
