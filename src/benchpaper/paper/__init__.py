"""From executed notebooks to the PDF and the report."""

from pathlib import Path

STYLES = Path(__file__).with_name("tex")  # benchpaper.sty, which papers load
