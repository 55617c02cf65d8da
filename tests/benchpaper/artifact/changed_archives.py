"""What the tests of `verify` share."""

import hashlib
import json
import shutil

import pytest

from benchpaper.artifact.bundle import archive, crate

MANIFEST = "build/local-smoke/exhibits/toy_pipe_cost/exhibits.json"
needs_latex = pytest.mark.skipif(
    not shutil.which("latexmk"), reason="a bundle holds the PDF, which needs LaTeX"
)


def again(path, files, date=(2026, 1, 2, 3, 4, 6)):
    """Write files as a well-formed archive; crate and manifest follow them."""
    files = {name: data for name, data in files.items() if name != archive.MANIFEST}
    graph = json.loads(files[crate.METADATA])
    for entity in graph["@graph"]:
        if entity["@id"] in files and "sha256" in entity:
            entity["sha256"] = hashlib.sha256(files[entity["@id"]]).hexdigest()
    files[crate.METADATA] = json.dumps(graph).encode()
    archive.write(path, files, date)
    return path
