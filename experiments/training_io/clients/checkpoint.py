"""Save and restore a training state in shards, so that a damaged state never loads after a crash.

    python -m experiments.training_io.clients.checkpoint \\
        '{"target": {"folder": ...}, "method": "rename-fsync", "mib": 16, ...}'

The methods are

    overwrite          write in place
    overwrite-fsync    write in place, and sync each shard
    rename             write into a new folder, then rename it
    rename-fsync       the same, synced before and after the renaming
    async              rename-fsync in a thread, from a copy of the state, while training goes on
    multipart          to S3: one multipart upload per shard, under keys of the step, and then a
                       small object that names the step
    null               pack and check the shards in memory: the cost without storage
"""

import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

from experiments.training_io.clients.checkpoint_async import Async
from experiments.training_io.clients.checkpoint_elsewhere import Bucket, Memory
from experiments.training_io.clients.checkpoint_store import Files, NoCheckpoint, state

FILE_METHODS = ("overwrite", "overwrite-fsync", "rename", "rename-fsync")
METHODS = (*FILE_METHODS, "async", "multipart", "null")


def measure(target, size, shards):
    """Save twice, restore, and return the times in ms.

    The first save is the warm-up, so that the second one replaces an old checkpoint.
    """
    old, new = state(1, size, shards), state(2, size, shards)
    target.save(1, old)
    target.make_durable()
    begin = time.perf_counter()
    target.save(2, new)
    saved = time.perf_counter()
    target.make_durable()
    durable = time.perf_counter()
    target.forget()
    restoring = time.perf_counter()
    step, restored_shards = target.load()
    restored = time.perf_counter()
    if step != 2 or any(bytes(a) != b for a, b in zip(restored_shards, new, strict=True)):
        raise SystemExit(
            f"the state of step 2 was saved, and another one of step {step} was restored"
        )
    times = {
        "blocking_ms": saved - begin,
        "durable_ms": durable - begin,
        "restore_ms": restored - restoring,
    }
    if isinstance(target, Files | Async):
        times["bound_ms"] = target.bound(new)
    return {name: 1e3 * value for name, value in times.items()}


def crashes(folder, method, size, shards):
    """Crash a save of step 2 before each of its operations, and try to load after each crash.

    Return {"crash_points": number of crashes, "crash_lost": crashes after which no state loads}.
    Raises `SystemExit` if a state loads that was never saved.
    """
    states = {step: state(step, size, shards) for step in (1, 2)}
    points = lost = 0
    while True:
        shutil.rmtree(folder, ignore_errors=True)
        Path(folder).mkdir(parents=True)
        Files(folder, method).save(1, states[1])
        child = os.fork()
        if child == 0:
            Files(folder, method, crash_after=points).save(2, states[2])
            os._exit(0)
        crashed = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
        try:
            step, restored = Files(folder, method).load()
            if any(bytes(a) != b for a, b in zip(restored, states[step], strict=True)) or (
                not crashed and step != 2
            ):
                raise SystemExit(
                    f"after a crash before operation {points} of {method} a state loads "
                    "that was never saved"
                )
        except NoCheckpoint:
            lost += 1
        if not crashed:
            return {"crash_points": points, "crash_lost": lost}
        points += 1


def _target(method, target):
    if method == "async":
        return Async(target["folder"])
    return Memory() if method == "null" else Bucket(target["endpoint"])


def main(text):
    plan = json.loads(text)
    target, method, size = plan["target"], plan["method"], plan["mib"] << 20
    if method not in FILE_METHODS:
        print(json.dumps(measure(_target(method, target), size, plan["shards"])))
        return
    result = measure(Files(target["folder"], method), size, plan["shards"])
    if plan.get("crash_kib"):
        result |= crashes(
            f"{target['folder']}/crashes", method, plan["crash_kib"] << 10, plan["shards"]
        )
    print(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1])
