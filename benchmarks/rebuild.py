"""How long an author waits: nothing to do, and the figures after a change to one notebook.

Works on a copy of the checkout's files, so that nothing here is touched; the environment is shared.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LEFT_OUT = shutil.ignore_patterns(
    ".venv", "build", "results", ".snakemake", ".benchpaper", "__pycache__"
)
LIMIT_NOTHING_S, LIMIT_CHANGE_S = 5.0, 15.0


def main():
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "checkout"
        shutil.copytree(ROOT, copy, ignore=LEFT_OUT, symlinks=True)
        seconds(copy)
        nothing = seconds(copy)
        notebook = copy / "analysis" / "rdma_fabric.ipynb"
        notebook.write_text(
            notebook.read_text().replace("style.use()", "style.use()  # changed", 1)
        )
        change = seconds(copy)
    print(f"again with nothing to do: {nothing:.1f} s, limit {LIMIT_NOTHING_S:g} s")
    print(f"figures after a change to a notebook: {change:.1f} s, limit {LIMIT_CHANGE_S:g} s")
    raise SystemExit(nothing > LIMIT_NOTHING_S or change > LIMIT_CHANGE_S)


def seconds(copy):
    """Return how long `benchpaper run --from reference figures` takes in the copy."""
    program = Path(sys.executable).with_name("benchpaper")
    start = time.monotonic()
    command = [program, "run", "--from", "reference", "figures"]
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
