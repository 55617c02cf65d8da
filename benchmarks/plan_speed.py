"""Measure `benchpaper plan` of 1,000 trials, from process start to the last line."""

import subprocess
import sys
import time
from pathlib import Path

from toy import project

LIMIT_S = 2.0


def main() -> None:
    """Run the plan five times, print the median, and exit with status 1 above the limit."""
    program = Path(sys.executable).with_name("benchpaper")
    with project(cells=100, blocks=10) as toy:
        times = []
        for _ in range(5):
            start = time.monotonic()
            subprocess.run(
                [program, "plan", "--trials"], cwd=toy.root, check=True, stdout=subprocess.DEVNULL
            )
            times.append(time.monotonic() - start)
    middle = sorted(times)[2]
    print(f"benchpaper plan, 1,000 trials: {middle:.2f} s (median of 5), limit {LIMIT_S:g} s")
    raise SystemExit(middle > LIMIT_S)


if __name__ == "__main__":
    main()
