"""Time per trial beyond what the trial itself takes: fork, pipe, checks, journal with fsync, sweeping up."""

import time

from toy import project

from benchpaper.workflow.pipeline import Pipeline

TRIALS, LIMIT_MS = 300, 10.0


def main():
    with project(cells=TRIALS, blocks=1) as toy:
        block = Pipeline(toy, "local", "smoke", 1).block("toy/nothing", 0)
        start = time.monotonic()
        block.measure()
        per_trial_ms = (time.monotonic() - start) / TRIALS * 1e3
    print(
        f"controller overhead: {per_trial_ms:.2f} ms a trial over {TRIALS} empty trials, limit {LIMIT_MS:g} ms"
    )
    raise SystemExit(per_trial_ms > LIMIT_MS)


if __name__ == "__main__":
    main()
