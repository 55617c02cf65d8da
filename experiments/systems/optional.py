"""Modules that only some cells need. It imports nothing else, so that programs start fast."""

import importlib
from typing import Any


def module(name: str) -> Any:
    """Return a module, or None without its package; then the cells that need it do not run."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        return None
