"""A toy project in a temporary folder, with one experiment whose trials do nothing."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchpaper.core.project import Project

EXPERIMENT = """
from benchpaper import Experiment, Factor, Metric, Scale

scale = Scale(blocks=BLOCKS, trial_seconds=0.001)
experiment = Experiment(
    title="Nothing", question="What does a trial cost that does nothing?",
    factors=[Factor("number", list(range(CELLS)))],
    metrics=[Metric("nothing", unit="1", better="neither")],
    scales=dict(smoke=scale, quick=scale, full=scale),
)

@experiment.trial
def trial(cell, site):
    yield dict(nothing=0.0)
"""


@contextmanager
def project(cells: int, blocks: int) -> Iterator[Project]:
    """Yield a `Project` whose only experiment, `toy/nothing`, has this many cells and blocks."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        path = root / "experiments" / "toy" / "nothing" / "experiment.py"
        path.parent.mkdir(parents=True)
        path.write_text(EXPERIMENT.replace("BLOCKS", str(blocks)).replace("CELLS", str(cells)))
        (root / "Snakefile").touch()
        (root / "sites").mkdir()
        yield Project(root)
