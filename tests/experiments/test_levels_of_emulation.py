"""What only an emulated machine measures says so in its level, and has counts to show."""

import pytest
from checkout import ROOT

from benchpaper.core.project import Project
from benchpaper.design import catalog

PROJECT = Project(ROOT)


@pytest.mark.parametrize("name", catalog.names(PROJECT))
def test_cells_over_soft_roce_carry_it_in_their_name_and_have_counts(name):
    experiment = catalog.load(PROJECT, name)
    cells = [] if experiment.is_imported else experiment.cells("full")
    soft = [cell for cell in cells if "soft_roce" in experiment.capabilities(cell)]
    assert all("soft_roce" in cell.id for cell in soft)
    assert not soft or any(metric.emulation for metric in experiment.metrics)
    assert not any("rdma" in experiment.capabilities(cell) for cell in soft)
