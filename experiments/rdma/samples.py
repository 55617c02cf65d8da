"""Files of samples that the measuring programs write on a host."""

import tempfile
from pathlib import Path

import numpy as np

from benchpaper import Host


def fetch(host: Host, path: Path) -> np.ndarray:
    """Return the samples (float64, in order) in a file of `host`, which may be another machine."""
    with tempfile.NamedTemporaryFile() as local:
        host.get(path, Path(local.name))
        return np.fromfile(local.name, dtype="<f8")
