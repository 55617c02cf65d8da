"""The numbers that a PDF may print: those of its figures, however pdftotext joins them."""

import shutil

import pytest
from matplotlib.figure import Figure

from benchpaper.artifact.bundle import pdf_check
from benchpaper.core.project import Project


@pytest.mark.skipif(not shutil.which("pdftotext"), reason="reading a PDF needs poppler-utils")
def test_the_powers_of_ten_on_a_logarithmic_axis_are_known(tmp_path):
    """A tick 10 with the exponent 0 is 100 in the text of a paper, and often not in the figure."""
    figure = Figure(figsize=(3.3, 1.6))
    axis = figure.subplots()
    axis.plot([0, 7.5], [0.05, 12])
    axis.set(yscale="log", ylabel="median time (ms)", xlabel="level")
    path = tmp_path / "build/exhibits/toy/figure.pdf"
    path.parent.mkdir(parents=True)
    figure.savefig(path)
    (tmp_path / "paper").mkdir()
    _, whole = pdf_check._known_numbers(Project(tmp_path), tmp_path / "build")
    assert {"100", "101"} <= whole
