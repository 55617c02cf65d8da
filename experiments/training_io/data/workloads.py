"""Published training workloads in published time, from the dated table `workloads.toml`.

Each is scaled to what two cores can serve and read at once, by factors that the table states, and
keeps a computation of at least `LEAST_COMPUTE_S` per step. That is long against the lateness of a
sleep, so that configured and measured utilisation agree.
"""

import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from experiments.training_io.data import dataset
from experiments.training_io.data.samples import Workload

TABLE = Path(__file__).with_suffix(".toml")
LEAST_COMPUTE_S = 0.020
PER_FILE = 32


@dataclass(frozen=True)
class Published:
    """A workload as published, and as this project runs it.

    `ours` has the scaled sizes and times; `format`, `count`, and `per_file` say how its data set is
    laid out.
    """

    published: Workload
    ours: Workload
    format: str
    count: int
    per_file: int
    accelerator: str
    files: str
    source: str

    @property
    def name(self) -> str:
        return self.ours.name

    def described(self) -> dict[str, Any]:
        """Return what was published and how it was scaled, as plain data."""
        return {
            "published": asdict(self.published),
            "ours": asdict(self.ours),
            "accelerator": self.accelerator,
            "files": self.files,
            "format": self.format,
            "source": self.source,
            "read": READ_ON,
        }

    def make(self, folder: Path) -> dict[str, Any]:
        """Make the data set in `folder` unless it exists there whole, and return its manifest."""
        return dataset.make(folder, self.ours, self.count, self.format, self.per_file)


@dataclass(frozen=True)
class CheckpointShape:
    """What a model's checkpoint holds in bytes, and how many processes write it together."""

    name: str
    bytes: float
    processes: int

    @property
    def bytes_per_process(self) -> float:
        return self.bytes / self.processes


def _read() -> tuple[dict[str, Published], dict[str, CheckpointShape], str]:
    table = tomllib.loads(TABLE.read_text())
    date = str(table.pop("read"))
    shapes = table.pop("checkpoints")
    shapes.pop("source")
    checkpoints = {
        name: CheckpointShape(name, shape["bytes"], shape["processes"])
        for name, shape in shapes.items()
    }
    return {name: _workload(name, entry) for name, entry in table.items()}, checkpoints, date


def _workload(name: str, entry: dict[str, Any]) -> Published:
    sizes = (entry["record_bytes"], entry["stdev_bytes"], entry["batch"], entry["compute_s"])
    published = Workload(name, *sizes, entry["utilisation"])
    ours = entry["ours"]
    scaled = published.scaled(
        sample=ours.get("sample", 1), batch=ours["batch"], demand=ours["demand"]
    )
    if scaled.compute_s < LEAST_COMPUTE_S:
        raise ValueError(
            f"{TABLE.name}: a step of {name} computes for {1e3 * scaled.compute_s:.1f} ms, less "
            f"than {1e3 * LEAST_COMPUTE_S:.0f} ms; lower its demand, or raise its batch"
        )
    return Published(
        published,
        scaled,
        ours["format"],
        ours["count"],
        ours.get("per_file", PER_FILE),
        entry["accelerator"],
        entry["files"],
        entry["source"],
    )


ALL, CHECKPOINTS, READ_ON = _read()
