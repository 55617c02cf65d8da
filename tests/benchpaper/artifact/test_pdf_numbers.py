"""The numbers that a PDF may print: those of its figures, however pdftotext joins them."""

import pytest

from benchpaper.artifact.bundle import pdf_check
from benchpaper.core.project import Project

# A tick of 1 on a logarithmic axis: a 10 and its exponent 0, as pdftotext gave them of a figure.
ORDERS = {(): "101\n\n10\n\ncompressed share\n\n0\n", ("-raw",): "level\n10−1\n100\n101\n"}


@pytest.mark.parametrize("number", ["100", "101"])
def test_each_order_of_a_figures_text_counts(tmp_path, monkeypatch, number):
    """The paper shows the figure at its own size, so that either order may be the paper's."""
    figure = tmp_path / "build/exhibits/toy/figure.pdf"
    figure.parent.mkdir(parents=True)
    figure.touch()
    monkeypatch.setattr(pdf_check, "pdf_text", lambda path, *options: ORDERS[options])
    _, whole = pdf_check._known_numbers(Project(tmp_path), tmp_path / "build")
    assert number in whole and "102" not in whole
