"""Measure an author's waiting time: with nothing to do, and after a change to one notebook.

The benchmark runs in a copy of the checkout, and shares only its environment.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
IGNORED = shutil.ignore_patterns(
    ".venv", "build", "results", ".snakemake", ".benchpaper", "__pycache__"
)
LIMIT_NOTHING_S, LIMIT_CHANGE_S = 5.0, 15.0


def main() -> None:
    """Print both times, and exit with status 1 if one is above its limit."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "checkout"
        shutil.copytree(ROOT, copy, ignore=IGNORED, symlinks=True)
        seconds(copy)  # the first run builds everything
        nothing = seconds(copy)
        notebook = copy / "analysis" / "rdma_fabric.ipynb"
        notebook.write_text(
            notebook.read_text().replace("style.use()", "style.use()  # changed", 1)
        )
        change = seconds(copy)
    print(f"again with nothing to do: {nothing:.1f} s, limit {LIMIT_NOTHING_S:g} s")
    print(f"figures after a change to a notebook: {change:.1f} s, limit {LIMIT_CHANGE_S:g} s")
    raise SystemExit(nothing > LIMIT_NOTHING_S or change > LIMIT_CHANGE_S)


def seconds(copy: Path) -> float:
    """Return the seconds that `benchpaper run --from reference figures` takes in the copy."""
    program = Path(sys.executable).with_name("benchpaper")
    start = time.monotonic()
    command = [str(program), "run", "--from", "reference", "figures"]
    subprocess.run(
        command,
        cwd=copy,
        env={**os.environ, "BENCHPAPER_PROJECT": str(copy)},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return time.monotonic() - start


if __name__ == "__main__":
    main()
