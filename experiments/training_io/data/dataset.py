"""A deterministic data set on disk, made once, and verified by its digest before each reuse."""

import json
import shutil
from pathlib import Path

from experiments.systems import optional
from experiments.training_io.data import formats, samples

xxhash = optional.module("xxhash")

MANIFEST = "data-set.json"
SEED = 20


class WrongDataSet(RuntimeError):
    """The data set on disk differs from the manifest."""


def make(folder, workload, count, format_name, per_shard=32, seed=SEED):
    """Make the data set in `folder` unless it already exists whole, and return its manifest.

    The files go into a temporary folder next to `folder`, which is then renamed. An interruption
    therefore leaves nothing that looks like a data set. Raises `WrongDataSet` if the files of an
    existing data set have changed.
    """
    folder = Path(folder)
    wanted = {
        "workload": workload.name,
        "sample_bytes": workload.sample_bytes,
        "stdev_bytes": workload.stdev_bytes,
        "count": count,
        "format": format_name,
        "per_shard": per_shard,
        "seed": seed,
    }
    if (folder / MANIFEST).exists() and _is(folder, wanted):
        return verify(folder)
    part = folder.with_name(f".{folder.name}.part")
    for old in (part, folder):
        shutil.rmtree(old, ignore_errors=True)
    part.mkdir(parents=True)
    sizes = samples.sizes(workload, count, seed)
    formats.load(format_name).write(
        part, (samples.content(n, int(s), seed) for n, s in enumerate(sizes)), per_shard
    )
    manifest = {**wanted, "payload_bytes": int(sizes.sum()), **_digest(part)}
    (part / MANIFEST).write_text(json.dumps(manifest))
    part.rename(folder)
    return manifest


def verify(folder):
    """Return the manifest of the data set. Raises `WrongDataSet` if the files' digest differs."""
    manifest = json.loads((Path(folder) / MANIFEST).read_text())
    digest = _digest(folder)
    for key, value in digest.items():
        if manifest[key] != value:
            raise WrongDataSet(
                f"{folder}: {key} is {value}, and {manifest[key]} was written; "
                "remove it to make it anew"
            )
    return manifest


def _is(folder, wanted):
    manifest = json.loads((folder / MANIFEST).read_text())
    return all(manifest.get(key) == value for key, value in wanted.items())


def _digest(folder):
    """Return {digest, files, stored_bytes} over all files' names and bytes, except the manifest."""
    digest, files, stored = xxhash.xxh3_128(), 0, 0
    for path in sorted(path for path in Path(folder).iterdir() if path.name != MANIFEST):
        data = path.read_bytes()
        digest.update(f"{path.name}\0{len(data)}\0".encode())
        digest.update(data)
        files, stored = files + 1, stored + len(data)
    return {"digest": digest.hexdigest(), "files": files, "stored_bytes": stored}
