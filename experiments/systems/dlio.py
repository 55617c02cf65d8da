"""DLIO, the benchmark below MLPerf Storage, as a peer: another loop over the same files.

It brings PyTorch, TensorFlow, and MPI (6 GB), so it lives in an environment of its own, apart from
the lock:

    python3 -m venv .venv/dlio
    .venv/dlio/bin/pip install --no-deps dlio-benchmark==2.0.0 pydftracer==1.0.2
    .venv/dlio/bin/pip install hydra-core "numpy<2" psutil mpi4py mpich h5py pandas pillow torch \\
        tensorflow-cpu
    export BENCHPAPER_DLIO=$PWD/.venv/dlio

It reads NumPy's files with PyTorch's DataLoader, and sleeps for the computation, as our loop does.
A run with it is no MLPerf result.
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from benchpaper import Host, HostError, capability

NONE = "none"
VERSION = "from importlib.metadata import version; print(version('dlio-benchmark'))"


def prefix() -> Path | None:
    """Return the environment that holds DLIO, or None."""
    chosen = os.environ.get("BENCHPAPER_DLIO")
    return Path(chosen) if chosen else None


def version() -> str:
    """Return DLIO's version, or "none"."""
    home = prefix()
    if not home or not (home / "bin/dlio_benchmark").exists():
        return NONE
    done = subprocess.run([home / "bin/python", "-c", VERSION], capture_output=True, text=True)
    return done.stdout.strip() or NONE


@capability(
    "dlio",
    "dlio-benchmark, in an environment of its own",
    "set BENCHPAPER_DLIO to that environment (experiments/systems/dlio.py says how to make it)",
)
def _dlio() -> tuple[bool, str]:
    found = version()
    return found != NONE, found if found != NONE else "BENCHPAPER_DLIO names no such environment"


def train(
    host: Host,
    folder: str,
    *,
    files: int,
    batch: int,
    compute_s: float,
    readers: int,
    prefetch: int,
    timeout_s: float,
) -> dict[str, float]:
    """Read the `files` .npy files in `folder`/train once, each a sample; return AU and samples/s.

    There must be a folder `folder`/valid too, which may be empty.
    AU is DLIO's: computation over running time, in 0 to 1, without the first step. Raises
    `HostError` with the end of DLIO's output if it fails or reports nothing.
    """
    home, out = prefix(), host.scratch()
    if home is None:
        raise HostError("BENCHPAPER_DLIO is not set; experiments/systems/dlio.py says how to")
    settings: dict[str, Any] = {
        "workflow.generate_data": False,
        "workflow.train": True,
        "workflow.checkpoint": False,
        "dataset.data_folder": folder,
        "dataset.format": "npy",
        "dataset.num_files_train": files,
        "dataset.num_samples_per_file": 1,
        "dataset.record_length": 4096,  # of what it hands to the emulated model
        "dataset.record_length_stdev": 0,
        "dataset.record_length_resize": 4096,
        "reader.batch_size": batch,
        "reader.read_threads": readers,
        "reader.prefetch_size": prefetch,
        "train.epochs": 1,
        "train.computation_time": compute_s,
        "output.folder": out,
    }
    words = [f"++workload.{name}={value}" for name, value in settings.items()]
    command: list[Any] = [
        home / "bin/dlio_benchmark",
        "workload=unet3d_h100",
        *words,
        f"hydra.run.dir={out}",
    ]
    done = host.run(command, timeout=timeout_s)
    summary = host.run(["cat", f"{out}/summary.json"], check=False).stdout
    if not summary:
        raise HostError(f"DLIO reported nothing; it said: {(done.stdout + done.stderr)[-500:]}")
    return parse(summary)


def parse(summary: str) -> dict[str, float]:
    """Return AU (0 to 1) and samples/s of DLIO's summary.json. Raises `ValueError` for others."""
    try:
        metric = json.loads(summary)["metric"]
        return {
            "au": metric["train_au_mean_percentage"] / 100,
            "samples_per_s": metric["train_throughput_mean_samples_per_second"],
        }
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"DLIO's summary has another form ({error!r}); use version 2.0") from None
