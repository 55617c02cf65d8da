"""What the tests of `verify` share: archives that were changed, with all digests mended."""

import hashlib
import io
import json
import shutil
from pathlib import Path

import pytest

from benchpaper import results
from benchpaper.analysis import history
from benchpaper.analysis.estimates import load
from benchpaper.artifact.bundle import archive, generated, inspection
from benchpaper.core.project import GATHERED, Project
from benchpaper.paper import claims_tex, gather

BUILD = "build/local-smoke"
EXHIBITS = f"{BUILD}/exhibits/toy_pipe_cost/exhibits.json"
NOTEBOOK = f"{BUILD}/notebooks/toy_pipe_cost.ipynb"
VERDICTS, HISTORY = f"{BUILD}/verdicts.json", f"{BUILD}/{history.FILE}"
RESULTS = "results/local/smoke/toy/pipe_cost"
TRIALS, OBSERVATIONS = results.TRIALS, results.OBSERVATIONS
needs_latex = pytest.mark.skipif(
    not shutil.which("latexmk"), reason="a bundle holds the PDF, which needs LaTeX"
)


def again(path, files, kept=(), date=None):
    """Write files as a well-formed archive; the generated metadata and the manifest follow them.

    The metadata named in `kept` stay as they are in `files`.
    """
    files = {name: data for name, data in files.items() if name != archive.MANIFEST}
    description = json.loads(files[archive.ABOUT])
    own = {name: data for name, data in files.items() if name not in generated.NAMES}
    made = generated.make(own, description)
    files |= {name: data for name, data in made.items() if name not in kept}
    archive.write(path, files, date or generated.revision(description).date)
    return path


def with_inputs(files, folder):
    """Return the files with what the paper inputs made from their manifests and verdicts."""
    build = Path(folder) / "inputs"
    for name in files:
        if name in (VERDICTS, HISTORY) or (
            name.startswith(f"{BUILD}/exhibits/") and name.endswith(".json")
        ):
            path = build / name.removeprefix(f"{BUILD}/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(files[name])
    return {
        **files,
        f"{BUILD}/{GATHERED}": gather.gathered(build, ["toy/pipe_cost"]).encode(),
        f"{BUILD}/{claims_tex.TABLE}": gather.claims_table(build).encode(),
    }


def inspected(path, folder):
    """Return the report on an archive, made in this process, because limits matter to few tests."""
    return inspection.inspect(str(path), str(Path(folder) / "inspected"))


def project_of(files, folder):
    """Write results, notebooks, and what was built from them; return the project of these files.

    One check of this project takes milliseconds, and one of a whole archive seconds.
    """
    tops = (f"{BUILD}/", f"{RESULTS}/", "analysis/", "paper/")
    archive.unpack(
        {name: data for name, data in files.items() if name.startswith(tops)}, (), folder
    )
    return Project(Path(folder))


def measured(project):
    """Return the results of a project by experiment."""
    return {"toy/pipe_cost": load("toy/pipe_cost", project.results("local", "smoke"))}


def edited(files, name, change):
    """Return the files with the JSON content of one of them changed by `change(content)`."""
    content = json.loads(files[name])
    change(content)
    return {**files, name: json.dumps(content, indent=1).encode()}


def with_table(files, kind, change, described=None):
    """Return the files with the rows of a table changed by `change(rows)`.

    The digests in the manifest of the exhibits follow. `described` replaces the description.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    name = f"{RESULTS}/{kind}"
    table = pq.read_table(io.BytesIO(files[name]), use_threads=False)
    rows = table.to_pylist(maps_as_pydicts="strict")
    rows = change(rows) or rows
    metadata = dict(table.schema.metadata)
    if described:
        metadata[b"benchpaper.experiment"] = described(metadata[b"benchpaper.experiment"])
    changed = pa.Table.from_pylist(rows, schema=table.schema.with_metadata(metadata))
    target = io.BytesIO()
    pq.write_table(changed, target, compression="zstd", write_page_checksum=True)
    files = {**files, name: target.getvalue()}

    def follow(manifest):
        manifest["files"][kind]["sha256"] = hashlib.sha256(target.getvalue()).hexdigest()

    return edited(files, EXHIBITS, follow)
