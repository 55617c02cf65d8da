"""For tests and notebooks alike: what libraries keep for themselves goes where `benchpaper` has them keep it."""

from pathlib import Path

from benchpaper.core import caches
from benchpaper.core.project import Project

caches.keep_below(Project(Path(__file__).parent).state)
