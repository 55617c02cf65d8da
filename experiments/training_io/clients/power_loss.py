"""Save a checkpoint, cut the power after each write to the disk, and see what is left each time.

    python -m experiments.training_io.clients.power_loss \\
        '{"file_system": "xfs", "protocol": "rename", "sync": "file", "layout": "torch", ...}'

It runs in a guest, with the capabilities `faulty_disk.needs(kind)`. Step 1 is saved and synced.
Step 2 is saved over it as a protocol prescribes; then training goes on, and appends a line to its
own log file, which it syncs.

    overwrite   open each file, which empties it, and write it
    rename      write each file under a temporary name, then rename it over the old one
    async       do that in a thread, from a copy of the state, while training goes on
    multipart   upload each file to an S3 server (rclone's) that keeps its objects on this disk

The server syncs what it wants. The others sync each `file` written, or the `folder` after the file
or after the shards and after the index, or `both`, or `none`. A `short` save ends before the kernel
writes back anything itself. In a `long` one, the kernel writes back all that is dirty once half of
each file is written; it would do so by itself after 5 to 35 s, and sync(2) stands for that.
"""

import json
import os
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from experiments.systems.environment.memory_limit import LEAST_MB
from experiments.systems.environment.write_log import RecordedDisk
from experiments.training_io.data import checkpoint_files

# What `file_system` means: its kind, and its options as a mount takes them.
FILE_SYSTEMS = {
    "ext4": ("ext4", ""),
    "ext4-noauto_da_alloc": ("ext4", "noauto_da_alloc"),
    "xfs": ("xfs", ""),
    "btrfs": ("btrfs", ""),
}
PACES = ("short", "long")
PROTOCOLS = ("overwrite", "rename", "async", "multipart")
SYNCS = ("none", "file", "folder", "both")
PHASES = ("saving", "returned", "logged")
SYNCED = "synced"  # ends the last phase
OUTCOMES = ("old", "new", "empty", "torn", "missing", "mixed")
EITHER = "either"  # of a file that is the same in both steps
WORST_FIRST = ("missing", "empty", "torn")
CHUNK = 1 << 20
DISK_MB = 64  # at least
LOG = "training.log"


def begin(folder, files, protocol, sync, pace="short"):
    """Save as `save` does; return a function that waits for what still runs, and raises its error.

    `async` returns once it has a copy of the state.
    """
    if protocol != "async":
        save(folder, files, protocol, sync, pace)
        return lambda: None
    copies = {name: bytes(bytearray(data)) for name, data in files.items()}
    pool = ThreadPoolExecutor(1)
    saving = pool.submit(save, folder, copies, "rename", sync, pace)
    pool.shutdown(wait=False)
    return saving.result


def save(folder, files, protocol, sync, pace="short"):
    """Save {name: bytes} in a folder, the index after the shards."""
    shards = [name for name in files if name != checkpoint_files.INDEX]
    for group in filter(None, (shards, files.keys() - shards)):
        for name in group:
            final = folder / name
            path = final.with_name(f".{name}.part") if protocol == "rename" else final
            halves = [files[name]] if pace == "short" else _halves(files[name])
            write(path, halves, sync in ("file", "both"))
            if protocol == "rename":
                os.rename(path, final)
        if sync in ("folder", "both"):
            sync_folder(folder)


def _halves(data):
    middle = len(data) // 2
    return [data[:middle], data[middle:]]


def write(path, pieces, sync, mode="wb"):
    """Write pieces; between them, the kernel writes back all that is dirty."""
    with open(path, mode, buffering=0) as file:
        for number, piece in enumerate(pieces):
            if number:
                os.sync()
            for start in range(0, len(piece), CHUNK):
                rest = memoryview(piece)[start : start + CHUNK]
                while rest:
                    rest = rest[file.write(rest) :]
        if sync:
            os.fsync(file.fileno())


def sync_folder(folder):
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def outcome(folder, old, new):
    """Return which of `OUTCOMES` a folder shows; `old` and `new` are {name: bytes} of both steps.

    If the steps have different names, the index tells which files count.
    """
    names = old
    if old.keys() != new.keys():
        index = checkpoint_files.INDEX
        counting = file_state(folder / index, old[index], new[index])
        if counting not in ("old", "new"):
            return counting
        names = old if counting == "old" else new
    states = {file_state(folder / name, old.get(name), new.get(name)) for name in names}
    states.discard(EITHER)
    for worst in WORST_FIRST:
        if worst in states:
            return worst
    return states.pop() if len(states) == 1 else "mixed"


def file_state(path, old, new):
    """Return the state of one file: "torn" if it cannot be read, `EITHER` if it never changes."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return "missing"
    except OSError:  # a checksum of the file system is wrong
        return "torn"
    if data == old == new:
        return EITHER
    if data in (old, new):
        return "old" if data == old else "new"
    return "torn" if data else "empty"


def explore(folder, file_system, prepare, save, judge):
    """Return how the file system was mounted, and what all power cuts leave.

    That is {"mounted": type and options, "seen": [[phase, outcome, is certain, number, bytes],
    ...]}: the number of power cuts, and the bytes that the disk took while it was in such states.

    `prepare(root)` saves the old state on a new file system, mounted at `root`, and `save(root)`
    the new one; the function that it may return waits until nothing runs in the background.
    `judge(root)` returns an outcome. Raises `SystemExit` if the first power cut leaves
    another state than the old one, or the last one, after everything was synced, another than the
    new one: then it was not the disk that was seen.
    """
    kind, options = FILE_SYSTEMS[file_system]

    def write_first(root):
        prepare(root)
        write(root / LOG, [b"step 1\n"], False)

    mounted = []

    def work(root, mark):
        mounted.append(mount_of(root))
        mark("saving")
        finish = save(root) or (lambda: None)
        mark("returned")
        write(root / LOG, [b"step 2\n"], True, "ab")
        mark("logged")
        finish()
        os.sync()
        mark(SYNCED)

    with RecordedDisk(folder, kind, max(DISK_MB, LEAST_MB[kind]), options) as disk:
        disk.prepare(write_first)
        disk.record(work)
        seen = [
            ((cut.mark, judge(cut.folder), cut.is_certain), cut.bytes_ahead)
            for cut in disk.cuts(SYNCED)
        ]
    (_, first, _), (_, last, _) = seen[0][0], seen[-1][0]
    if first != "old" or last != "new":
        raise SystemExit(
            f"power cuts must lead from the old state to the new one; they led from {first} "
            f"to {last}"
        )
    return {"mounted": mounted[0], "seen": counted(seen[:-1])}


def counted(seen):
    """Return [[*state, number, bytes], ...] of [(state, bytes), ...]."""
    numbers: Counter = Counter()
    sizes: Counter = Counter()
    for state, size in seen:
        numbers[state] += 1
        sizes[state] += size
    return [[*state, number, sizes[state]] for state, number in numbers.items()]


def share(seen, *outcomes):
    """Return the share of the bytes during whose writing a power cut leaves one of `outcomes`.

    Unlike the share of the power cuts, it does not depend on how the kernel splits its writes.
    Raises `SystemExit` if nothing was written.
    """
    total = sum(size for *_, size in seen)
    if not total:
        raise SystemExit("the save wrote nothing to the disk, so no power cut can be judged")
    return sum(size for _, outcome, _, _, size in seen if outcome in outcomes) / total


def mount_of(root):
    """Return "type options" of the file system mounted at `root`."""
    lines = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    return next(f"{kind} {options}" for _, place, kind, options, *_ in lines if place == str(root))


def main(text):
    plan = json.loads(text)
    old, new = (checkpoint_files.files(plan["layout"], step, plan["kib"] << 10) for step in (1, 2))
    folder = Path(plan["folder"])
    with ExitStack() as stack:
        place, write_new = _writer(plan, new, stack)

        def prepare(root):
            place(root).mkdir(exist_ok=True)
            save(place(root), old, "overwrite", "none")

        seen = explore(
            folder,
            plan["file_system"],
            prepare,
            write_new,
            lambda root: outcome(place(root), old, new),
        )
    print(json.dumps(seen))


def _writer(plan, new, stack):
    """Return where a file system holds the checkpoint, and the function that saves the new one."""
    if plan["protocol"] != "multipart":
        options = plan["protocol"], plan["sync"], plan["pace"]
        return lambda root: root, lambda root: begin(root, new, *options)
    from experiments.systems.s3 import BUCKET
    from experiments.training_io.clients import power_loss_s3

    def upload(root):
        power_loss_s3.save(stack.enter_context(power_loss_s3.served(root)), new)
        return stack.close

    return lambda root: root / BUCKET, upload


if __name__ == "__main__":
    main(sys.argv[1])
