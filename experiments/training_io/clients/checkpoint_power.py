"""Cut the power after each write to the disk while a checkpoint is saved; try to load it each time.

    python -m experiments.training_io.clients.checkpoint_power \\
        '{"method": "rename", "file_system": "xfs", "kib": 32, "shards": 4, "folder": ...}'

It runs in a guest, as `power_loss` does, and saves as `checkpoint` does.
"""

import json
import sys
from pathlib import Path

from experiments.training_io.clients import power_loss
from experiments.training_io.clients.checkpoint import Files, NoCheckpoint, state

LOST = "lost"


def loaded(root, method, states):
    """Return which state loads, "old" or "new" or `LOST`.

    Raises `SystemExit` if a state loads that was never saved.
    """
    try:
        step, shards = Files(root, method).load()
    except NoCheckpoint:
        return LOST
    if [bytes(shard) for shard in shards] != states.get(step):
        raise SystemExit(f"after a power cut, {method} loads a state that was never saved")
    return "old" if step == 1 else "new"


def main(text):
    plan = json.loads(text)
    method = plan["method"]
    states = {step: state(step, plan["kib"] << 10, plan["shards"]) for step in (1, 2)}
    seen = power_loss.explore(
        Path(plan["folder"]),
        plan["file_system"],
        lambda root: Files(root, method).save(1, states[1]),
        lambda root: Files(root, method).save(2, states[2]),
        lambda root: loaded(root, method, states),
    )["seen"]
    cuts = sum(number for *_, number, _ in seen)
    print(json.dumps({"power_cuts": cuts, "power_lost_share": power_loss.share(seen, LOST)}))


if __name__ == "__main__":
    main(sys.argv[1])
