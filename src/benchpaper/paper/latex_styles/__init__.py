"""benchpaper.sty, which papers load: `latex` puts this folder on TEXINPUTS."""

from pathlib import Path

STYLES = Path(__file__).parent
