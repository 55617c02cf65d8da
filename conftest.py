"""Keeps the caches of libraries below .benchpaper, in tests and notebooks as in `benchpaper`."""

from pathlib import Path

from benchpaper.core import caches
from benchpaper.core.project import Project

caches.keep_below(Project(Path(__file__).parent).state)
