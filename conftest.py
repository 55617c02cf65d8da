"""For all tests and notebooks: where libraries keep their caches, and what nbval can compare."""

from pathlib import Path

import pytest

from benchpaper.core import caches
from benchpaper.core.project import Project, slug
from benchpaper.results import TRIALS

ROOT = Path(__file__).parent
caches.keep_below(Project(ROOT).state)


def pytest_collection_modifyitems(items):
    """Skip the notebooks of experiments that have no reference results yet.

    Of the others compare all but warnings: a library may warn once a machine, as matplotlib does
    when it has no cache of fonts yet.
    """
    stored = (ROOT / "artifacts" / "reference").glob(f"*/*/*/{TRIALS}")
    slugs = {slug("/".join(path.parts[-3:-1])) for path in stored}
    for notebook in {item.parent for item in items if item.path.suffix == ".ipynb"}:
        notebook.skip_compare += ("stderr",)
    for item in items:
        if item.path.suffix == ".ipynb" and item.path.stem not in slugs:
            item.add_marker(pytest.mark.skip(reason="there are no reference results to compare"))
