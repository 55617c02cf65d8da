"""Run notebooks and judge claims as if a capability were missing.

    with_a_gap.py PROJECT SOURCE EXPERIMENT=CAPABILITY ...

It takes the project's results at SOURCE and replaces the trials of the cells that need the
capability by those of a machine without it. It prints as JSON what went wrong. Each case runs in
its own process, which a process with all libraries forks. Figures are drawn, but not saved.
"""

import contextlib
import io
import json
import multiprocessing
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import IPython.display
import matplotlib
import matplotlib.pyplot
import nbformat
import pandas  # noqa: F401
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import scipy.stats  # noqa: F401 - before the fork, as is style

from benchpaper.analysis import claims, style  # noqa: F401
from benchpaper.core.project import Project
from benchpaper.design import catalog
from benchpaper.results import NOT_TESTABLE, OBSERVATIONS, TRIALS

EVERYTHING = "everything"  # in the place of a capability: what all cells need

IPython.display.display = lambda *_: None
matplotlib.use("agg")
matplotlib.figure.Figure.savefig = lambda figure, path, **_: Path(path).touch()


@dataclass(frozen=True)
class Elsewhere(Project):
    """The project with other results."""

    folder: Path

    def results(self, site, source):
        return self.folder


def leave_out(given: Path, folder: Path, cells: list[str], capability: str) -> None:
    """Write the results of an experiment, without what needs the capability, to `folder`."""
    folder.mkdir(parents=True)
    observations = pq.read_table(given / OBSERVATIONS)
    pq.write_table(observations.filter(~pc.field("cell").isin(cells)), folder / OBSERVATIONS)
    trials = pq.read_table(given / TRIALS)
    lost = pc.is_in(trials["cell"], pa.array(cells, "string"))
    for column, value in (("state", NOT_TESTABLE), ("reason", f"needs {capability}")):
        place = trials.schema.get_field_index(column)
        changed = pc.if_else(lost, value, trials[column].cast("string"))
        trials = trials.set_column(
            place, trials.schema.field(place), changed.cast(trials.schema.field(place).type)
        )
    pq.write_table(trials, folder / TRIALS)


def run(project: Project, source: str, name: str, cells: list[str], capability: str) -> str:
    """Return what went wrong, or an empty string."""
    with tempfile.TemporaryDirectory() as folder:
        leave_out(project.results("local", source) / name, Path(folder) / name, cells, capability)
        parameters = {"results_dir": folder, "exhibits_dir": f"{folder}/exhibits"}
        given, number = {}, 0
        try:
            with contextlib.redirect_stdout(io.StringIO()) as output:
                for number, cell in enumerate(nbformat.read(project.notebook(name), 4).cells):
                    if cell.cell_type == "code":
                        exec(compile(cell.source, f"{name}, cell {number}", "exec"), given)
                        given |= parameters
                number = "claims"
                claims.judge_all(Elsewhere(project.root, Path(folder)), "local", source, only=name)
        except Exception as error:
            return f"cell {number}: {type(error).__name__}: {error}"
        return "" if f"needs {capability}" in output.getvalue() else "nothing tells of the gap"


if __name__ == "__main__":
    project, source, pairs = Project(Path(sys.argv[1])), sys.argv[2], sys.argv[3:]
    runs = []
    for name, capability in (pair.split("=") for pair in pairs):
        experiment = catalog.load(project, name)
        cells = [
            cell.id
            for cell in experiment.cells("full")
            if capability in (EVERYTHING, *experiment.capabilities(cell))
        ]
        runs.append((project, source, name, cells, capability))
    with multiprocessing.get_context("fork").Pool(2, maxtasksperchild=1) as pool:
        mistakes = pool.starmap(run, runs, chunksize=1)
    print(json.dumps({pair: wrong for pair, wrong in zip(pairs, mistakes) if wrong}))
