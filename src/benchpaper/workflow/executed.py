"""Which code the authors have executed, by the reference: on real machines, or emulated only.

An adapter that the authors lack still has its code run by an emulated one. A factor says which of
its levels do so: `Factor("link", ["nic", "nic_emulated"], same_code={"nic_emulated": "nic"})`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from benchpaper import results
from benchpaper.core.project import REFERENCE, Project
from benchpaper.design.spec import Cell, Experiment, make_cell
from benchpaper.workflow.times import LOCAL

KERNEL = "kernel"


@dataclass(frozen=True)
class Execution:
    """The last measured trial of a cell: its date, and {tool: version}, the hosts' kernel too."""

    date: str
    versions: Mapping[str, str]


def in_reference(project: Project, name: str) -> dict[str, Execution]:
    """Return {cell: its last execution} of an experiment's reference, at any site.

    It is empty without a reference.
    """
    sites = project.results(LOCAL, REFERENCE).parent
    columns = ["cell", "state", "started", "tools", "hosts"]
    rows = [
        row
        for path in sorted(sites.glob(f"*/{name}/{results.TRIALS}"))
        for row in results.read_columns(path, columns)
        if row["state"] == results.MEASURED
    ]
    rows.sort(key=lambda row: row["started"])
    return {row["cell"]: _execution(row) for row in rows}


def _execution(row: Mapping[str, Any]) -> Execution:
    tools, hosts = dict(row["tools"]), dict(row["hosts"])
    kernels = sorted({text for fact, text in hosts.items() if fact.rpartition(".")[2] == KERNEL})
    versions = {**tools, **({KERNEL: " and ".join(kernels)} if kernels else {})}
    return Execution(f"{row['started']:%Y-%m-%d}", versions)


def elsewhere(
    experiment: Experiment, cells: Iterable[Cell], executed: Mapping[str, Execution]
) -> dict[str, tuple[str, Execution]]:
    """Return {cell: (the cell that runs its code, that one's execution)} of unexecuted cells."""
    twins = [
        (factor.name, level, other)
        for factor in experiment.factors
        for level, other in factor.same_code.items()
    ]
    return {
        cell.id: (stand_in, executed[stand_in])
        for cell in cells
        for name, level, other in twins
        if cell.id not in executed and cell.levels[name] == other
        if (stand_in := make_cell({**cell.levels, name: level}).id) in executed
    }
