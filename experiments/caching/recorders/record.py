"""Record what a real data loader reads, as a small Parquet file.

    python -m experiments.caching.recorders.record LOADER OUTPUT [--python PYTHON] [--seed N]

It makes the loader's corpus in a temporary folder and reads it under `strace`; a loader that maps
its files prints its reads itself. PYTHON is the interpreter that has the loader's packages. The
file has one row per read: milliseconds since the first, file, offset, and size; its metadata tell
the command, the versions, and the corpus.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from experiments.caching.recorders import loaders

MAX_BYTES = 2_000_000  # of a committed recording
CALLS = "openat,read,pread64,lseek"
LINE = re.compile(r"(\d+) +(\d+\.\d+) (.*)")
UNFINISHED = re.compile(r"(.*) <unfinished \.\.\.>")
RESUMED = re.compile(r"<\.\.\. (\w+) resumed>(.*)")
CALL = re.compile(r"(\w+)\((?:(\d+)<([^>]*)>)?.*\) += (-?\d+)")
POSITION = re.compile(r", (\d+)\) += ")


class NoReads(Exception):
    """The loader read nothing of its corpus that could be seen."""


def calls(lines):
    """Yield (seconds, call) of strace's lines, each call whole, in the order in which it ended."""
    open_calls = {}
    for line in lines:
        if not (parts := LINE.match(line)):
            continue
        process, seconds, text = parts[1], float(parts[2]), parts[3]
        if begun := UNFINISHED.match(text):
            open_calls[process] = begun[1]
        elif ended := RESUMED.match(text):
            if process in open_calls:
                yield seconds, open_calls.pop(process) + ended[2]
        else:
            yield seconds, text


def reads(lines, folder):
    """Return [(seconds, path below `folder`, offset, size)] of strace's lines."""
    folder, positions, listed = f"{folder}/", {}, []
    for seconds, text in calls(lines):
        if not (call := CALL.match(text)):
            continue
        name, descriptor, path, result = call[1], call[2], call[3], int(call[4])
        if name == "openat" and result >= 0:
            positions[str(result)] = 0
        elif not path or not path.startswith(folder) or result < 0:
            continue
        elif name == "lseek":
            positions[descriptor] = result
        elif result > 0:
            if at := POSITION.search(text) if name == "pread64" else None:
                offset = int(at[1])
            else:
                offset = positions.get(descriptor, 0)
                positions[descriptor] = offset + result
            listed.append((seconds, path[len(folder) :], offset, result))
    return listed


def printed_reads(lines, folder):
    """Return the same of the lines "PATH OFFSET SIZE" that a loader printed; it tells no times."""
    listed = []
    for number, line in enumerate(lines):
        path, offset, size = line.rsplit(" ", 2)
        listed.append((number / 1e3, os.path.relpath(path, folder), int(offset), int(size)))
    return listed


def watch(name, python, folder, seed, epochs):
    """Let a loader read its corpus, and return its reads."""
    loader, root = loaders.LOADERS[name], Path(__file__).parents[3]
    program = [python, "-m", "experiments.caching.recorders.loaders", "read", name, folder]
    program += [str(seed), str(epochs)]
    env = {**os.environ, "PYTHONPATH": f"{root}:{root / 'src'}", "HF_DATASETS_OFFLINE": "1"}
    if loader.prints_reads:
        done = subprocess.run(
            program, cwd=root, env=env, check=True, text=True, stdout=subprocess.PIPE
        )
        return printed_reads(done.stdout.splitlines(), folder)
    with tempfile.NamedTemporaryFile("r") as log:
        strace = ["strace", "-f", "-y", "-ttt", "-s", "0", "--seccomp-bpf", "-o", log.name]
        subprocess.run([*strace, "-e", f"trace={CALLS}", *program], cwd=root, env=env, check=True)
        return reads(log, folder)


def versions(name, python):
    """Return {package: version} of a loader's packages in that Python."""
    packages = [*loaders.LOADERS[name].needs.values(), "numpy"]
    code = (
        "import json, sys; from importlib import metadata; "
        "print(json.dumps({p: metadata.version(p) for p in sys.argv[1:]}))"
    )
    done = subprocess.run([python, "-c", code, *packages], check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout)


def record(name, output, python=sys.executable, seed=1):
    """Write the recording of a loader. Raises `NoReads` if the loader read nothing.

    Raises `ValueError` for a recording too large to commit.
    """
    loader, root = loaders.LOADERS[name], Path(__file__).parents[3]
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "PYTHONPATH": f"{root}:{root / 'src'}", "HF_DATASETS_OFFLINE": "1"}
        program = [python, "-m", "experiments.caching.recorders.loaders", "make", name, folder]
        subprocess.run([*program, str(seed)], cwd=root, env=env, check=True, stdout=sys.stderr)
        corpus = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
        rows = watch(name, python, folder, seed, loader.epochs)
    if not rows:
        raise NoReads(f"{name} read nothing of its corpus that could be seen; is it in memory?")
    description = {
        "loader": name,
        "command": f"python -m experiments.caching.recorders.record {name} OUTPUT --seed {seed}",
        "watched": "printed by the loader" if loader.prints_reads else f"strace: {CALLS}",
        "versions": versions(name, python),
        "seed": seed,
        "epochs": loader.epochs,
        "corpus_bytes": corpus,
    }
    write(output, rows, description)


def write(output, rows, description):
    """Write the rows [(seconds, file, offset, size)] as Parquet, whole or not at all."""
    first = rows[0][0]
    seconds, paths, offsets, sizes = zip(*rows, strict=True)
    table = pa.table(
        {
            "ms": pa.array([1e3 * (at - first) for at in seconds], pa.float32()),
            "file": pa.array(paths).dictionary_encode(),
            "offset": pa.array(offsets, pa.int64()),
            "size": pa.array(sizes, pa.int32()),
        }
    ).replace_schema_metadata({"recording": json.dumps(description, sort_keys=True)})
    part = Path(f"{output}.part")
    pq.write_table(table, part, compression="zstd", compression_level=19)
    if (size := part.stat().st_size) > MAX_BYTES:
        part.unlink()
        raise ValueError(f"{size} bytes; a recording has at most {MAX_BYTES}: read fewer epochs")
    os.replace(part, output)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("loader", choices=list(loaders.LOADERS))
    parser.add_argument("output", type=Path)
    parser.add_argument("--python", default=sys.executable, help="has the loader's packages")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    if not loaders.LOADERS[given.loader].prints_reads and not shutil.which("strace"):
        sys.exit("strace is not installed; it shows what a loader reads: apt-get install strace")
    try:
        record(given.loader, given.output, given.python, given.seed)
    except subprocess.CalledProcessError as error:
        sys.exit(f"{given.loader}: the loader ended with status {error.returncode}; see above")
    except (NoReads, ValueError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
