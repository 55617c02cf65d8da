"""Measure the controller's overhead per trial: fork, pipe, checks, journal with fsync, clean-up.

Its peer, in the same run, is what a loop over a command line costs: to start a program that does
nothing, and to append a line to a file with fsync.
"""

import os
import subprocess
import tempfile
import time

from toy import project

from benchpaper.workflow.pipeline import Pipeline

TRIALS, LIMIT_MS = 300, 5.0


def plain_loop() -> float:
    """Return the milliseconds per trial of a loop that starts `true` and logs that it ended."""
    with tempfile.TemporaryFile() as log:
        start = time.monotonic()
        for _ in range(TRIALS):
            subprocess.run(["true"], check=True)
            log.write(b"ended\n")
            log.flush()
            os.fsync(log.fileno())
        return (time.monotonic() - start) / TRIALS * 1e3


def main() -> None:
    """Run empty trials, print the overhead, and exit with status 1 above the limit."""
    with project(cells=TRIALS, blocks=1) as toy:
        block = Pipeline(toy, "local", "smoke", 1).block("toy/nothing", 0)
        start = time.monotonic()
        block.measure()
        per_trial_ms = (time.monotonic() - start) / TRIALS * 1e3
    print(
        f"controller overhead: {per_trial_ms:.2f} ms per trial over {TRIALS} empty trials, "
        f"limit {LIMIT_MS:g} ms; starting a program and logging it: {plain_loop():.2f} ms"
    )
    raise SystemExit(per_trial_ms > LIMIT_MS)


if __name__ == "__main__":
    main()
