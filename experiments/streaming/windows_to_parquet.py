"""Runs the pipeline of streaming/billion, and writes the windows that it closes to Parquet, so that a killed run goes on.

    python -m experiments.streaming.windows_to_parquet FOLDER EVENTS WINDOW CHUNK -- COMMAND...

COMMAND is run with `first=EVENT` added. Its standard output is a binary record a window. CHUNK windows make a file, named
by its first window, written beside and then renamed. A window is in a file or it is not: those files are the checkpoint.
Whoever runs this again with the same folder goes on after the last whole file; the events of windows that were on their
way are read again. The state of the pipeline is empty between windows, so nothing else needs to be kept.
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
RECORD = (
    3 + 2 * KEYS
)  # 64-bit numbers: window, nanoseconds since the start, bytes allocated, then (count, sum) by key


def main(folder, events, window, chunk, command):
    folder, events, window, chunk = Path(folder), int(events), int(window), int(chunk)
    folder.mkdir(parents=True, exist_ok=True)
    for part in folder.glob("*.part"):
        part.unlink()
    first = finished(folder)
    print(json.dumps({"first": first * window}), flush=True)
    if first * window < events:
        follow(folder, first, events // window, chunk, [*command, f"first={first * window}"])
    print(json.dumps({"done": True}), flush=True)


def finished(folder):
    """Return the number of the first window that no file has. Raises when a file between is missing."""
    following = 0
    for path in sorted(folder.glob("*.parquet")):
        first, count = int(path.stem), pq.read_metadata(path).num_rows // KEYS
        if first != following:
            raise RuntimeError(f"windows {following} to {first - 1} are missing before {path.name}")
        following = first + count
    return following


def follow(folder, first, windows, chunk, command):
    """Run the pipeline from window `first` on. It dies with this process."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, preexec_fn=_die_with_parent) as process:
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
            memory = resident(process.pid) or memory  # it may end before the last record is read
            told = {
                "window": number,
                "s": record[1] / 1e9,
                "allocated": int(record[2]),
                "resident": memory,
            }
            print(json.dumps(told), flush=True)
            if len(records) == chunk or number == windows - 1:
                write(folder, records)
                records = []
        if process.wait():
            raise SystemExit(f"the pipeline ended with status {process.returncode}")


def resident(pid):
    """Return the bytes of a process that are in memory now; 0 when it has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def write(folder, records):
    """Write the windows to one file: a row for each window and key."""
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
    main(*sys.argv[1:split], sys.argv[split + 1 :])
