"""Run the pipeline of streaming/billion and write its windows to Parquet, so that it can resume.

    python -m experiments.streaming.windows_to_parquet FOLDER EVENTS WINDOW CHUNK -- COMMAND...

This program runs COMMAND with `first=EVENT` added. COMMAND prints one binary record per window. A
file holds CHUNK windows, has the number of its first window as its name, and appears by rename.
Each window is therefore in a file or not, and the files are the checkpoint. A second run with the
same folder continues after the last whole file, and reads the events of unfinished windows again.
The pipeline has no state between windows, so the files are all that a resumed run needs.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

KEYS = 64
# 64-bit numbers: window, nanoseconds since the start, bytes allocated, then (count, sum) by key.
RECORD = 3 + 2 * KEYS


def main(arguments: list[str], command: list[str]) -> None:
    folder, (events, window, chunk) = Path(arguments[0]), map(int, arguments[1:])
    folder.mkdir(parents=True, exist_ok=True)
    for part in folder.glob("*.part"):
        part.unlink()
    first = finished(folder)
    print(json.dumps({"first": first * window}), flush=True)
    if first * window < events:
        follow(folder, first, events // window, chunk, [*command, f"first={first * window}"])
    print(json.dumps({"done": True}), flush=True)


def finished(folder):
    """Return the number of the first window without a file. Raises `RuntimeError` for a gap."""
    following = 0
    for path in sorted(folder.glob("*.parquet")):
        first, count = int(path.stem), pq.read_metadata(path).num_rows // KEYS
        if first != following:
            raise RuntimeError(f"windows {following} to {first - 1} are missing before {path.name}")
        following = first + count
    return following


def follow(folder, first, windows, chunk, command):
    """Run the pipeline from window `first` on; it dies with this process."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, preexec_fn=_die_with_parent) as process:
        assert process.stdout
        records, memory = [], 0
        for number in range(first, windows):
            data = process.stdout.read(8 * RECORD)
            if len(data) < 8 * RECORD:
                raise SystemExit(
                    f"the pipeline ended with status {process.wait()} before window {number}"
                )
            record = np.frombuffer(data, dtype=">i8").astype("<i8")
            if record[0] != number:
                raise SystemExit(f"window {record[0]} came where {number} was due")
            records.append(record)
            memory = resident(process.pid) or memory  # 0 if it ended before the last record
            progress = {
                "window": number,
                "s": record[1] / 1e9,
                "allocated": int(record[2]),
                "resident": memory,
            }
            print(json.dumps(progress), flush=True)
            if len(records) == chunk or number == windows - 1:
                write(folder, records)
                records = []
        if process.wait():
            raise SystemExit(f"the pipeline ended with status {process.returncode}")


def resident(pid):
    """Return a process's resident memory in bytes, or 0 after its end."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def write(folder, records):
    """Write the windows to one file, with one row per window and key."""
    totals = np.array([record[3:] for record in records]).reshape(len(records), KEYS, 2)
    numbers = np.array([record[0] for record in records])
    table = pa.table(
        {
            "window": np.repeat(numbers, KEYS),
            "key": np.tile(np.arange(KEYS), len(records)),
            "count": totals[:, :, 0].ravel(),
            "sum": totals[:, :, 1].ravel(),
        }
    )
    path = folder / f"{numbers[0]:08d}.parquet"
    part = path.with_suffix(".part")
    with open(part, "wb") as file:
        pq.write_table(table, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)


def _die_with_parent():
    import ctypes

    ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)


if __name__ == "__main__":
    split = sys.argv.index("--")
    main(sys.argv[1:split], sys.argv[split + 1 :])
