"""Measure the controller's overhead per trial: fork, pipe, checks, journal with fsync, clean-up."""

import time

from toy import project

from benchpaper.workflow.pipeline import Pipeline

TRIALS, LIMIT_MS = 300, 10.0


def main() -> None:
    """Run empty trials, print the overhead, and exit with status 1 above the limit."""
    with project(cells=TRIALS, blocks=1) as toy:
        block = Pipeline(toy, "local", "smoke", 1).block("toy/nothing", 0)
        start = time.monotonic()
        block.measure()
        per_trial_ms = (time.monotonic() - start) / TRIALS * 1e3
    print(
        f"controller overhead: {per_trial_ms:.2f} ms per trial over {TRIALS} empty trials, "
        f"limit {LIMIT_MS:g} ms"
    )
    raise SystemExit(per_trial_ms > LIMIT_MS)


if __name__ == "__main__":
    main()
