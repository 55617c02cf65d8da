"""Measure the history checker: `python benchmarks/history_checker.py [OPERATIONS]`.

The first histories have unique values on 100 keys by 32 clients, with and without deletes and
compare-and-sets, right and wrong. The second ones have 1,000 operations with failing
compare-and-sets and unknown outcomes. Each check runs in its own process. Its peer is Python's json
module, which a checker without compiled code would read the same file by; it checks nothing. With
10,000,000 operations, making the histories takes some minutes. Run it on an idle machine.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PEER = "import json, sys\nfor line in open(sys.argv[1]): json.loads(line)"
Operation = dict[str, Any]  # one line of a history


def history(
    count: int,
    keys: int,
    clients: int,
    *,
    deletes: float = 0.0,
    cas: float = 0.0,
    failing: bool = False,
    wrong: bool = False,
    unknown: float = 0.0,
    seed: int = 1,
) -> Iterator[Operation]:
    """Yield `count` operations, each of which takes effect at one instant within its interval.

    `deletes` and `cas` are the shares of deletes and compare-and-sets. With `failing`, values
    repeat, so that compare-and-sets can fail. With `wrong`, some reads return old values. A share
    `unknown` of the operations has an unknown outcome; half of these took effect.
    """
    rng, now, value = random.Random(seed), [0] * clients, 0
    planned: list[tuple[int, int, int, int, str]] = []  # (instant, client, begin, end, key)
    state: dict[str, int | None] = {}
    old: dict[str, list[int]] = {}
    for number in range(count):
        client = number % clients
        begin = now[client] + rng.randint(1, 500)
        now[client] = begin + rng.randint(100, 2000)
        planned.append(
            (
                rng.randint(begin, now[client]),
                client,
                begin,
                now[client],
                f"key{rng.randrange(keys)}",
            )
        )
    for _, client, begin, end, key in sorted(planned):
        common: Operation = dict(
            client=client, key=key, invoked_ns=10**18 + begin, completed_ns=10**18 + end
        )
        lost = False
        if rng.random() < unknown:
            common["completed_ns"], lost = None, rng.random() < 0.5
        chance, current = rng.random(), state.get(key)
        if chance < deletes:
            state[key] = current if lost else None
            yield dict(op="delete", result=None, **common)
        elif chance < deletes + cas:
            value += 1
            new, expected = (rng.randint(0, 4), rng.randint(0, 4)) if failing else (value, current)
            yield dict(op="cas", expected=expected, new=new, result=expected == current, **common)
            state[key] = new if expected == current and not lost else current
        elif rng.random() < 0.5:
            value += 1
            new = rng.randint(0, 4) if failing else value
            old.setdefault(key, []).append(new)
            yield dict(op="write", value=new, result="ok", **common)
            state[key] = current if lost else new
        else:
            stale = wrong and len(old.get(key, ())) > 50 and rng.random() < 1e-3
            yield dict(op="read", result=old[key][-50] if stale else current, **common)


def measure(path: Path, operations: Iterable[Operation]) -> str:
    """Write the history to `path`, check it three times, and describe the fastest run."""
    with open(path, "w") as file:
        file.writelines(json.dumps(operation) + "\n" for operation in operations)
    checker = ["-m", "experiments.multiprotocol.checker", str(path), "--json"]
    runs = [timed(checker) for _ in range(3)]
    wall_s, peak_mb, output = min(runs)
    read_s, _, _ = timed(["-c", PEER, str(path)])
    report = json.loads(output)
    return (
        f"{wall_s:6.2f} s, parsed {report['parse_s']:.2f}, checked {report['check_s']:.3f}, "
        f"peak {peak_mb:.0f} MB; {report['verdict']}; {path.stat().st_size / 1e6:.0f} MB, "
        f"which json alone reads in {read_s:.2f} s"
    )


def timed(arguments: list[str]) -> tuple[float, float, str]:
    """Run Python; return its seconds, its peak of memory in MB, and what it printed."""
    start = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, *arguments], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout
        output = process.stdout.read()
        _, _, usage = os.wait4(process.pid, 0)
        process.returncode = 0  # it is reaped, so that `with` need not wait
    return time.perf_counter() - start, usage.ru_maxrss / 1024, output


def main() -> None:
    """Print a line for each history."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10**6
    deletes_and_cas: dict[str, Any] = dict(deletes=0.05, cas=0.1)
    kinds: list[tuple[str, dict[str, Any]]] = [
        ("reads and writes", {}),
        ("the same, wrong", dict(wrong=True)),
        ("with deletes and cas", deletes_and_cas),
        ("the same, wrong", dict(deletes_and_cas, wrong=True)),
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "history.jsonl"
        for size in (count // 10, count):
            for name, options in kinds:
                print(
                    f"{size:>8} {name:<22} {measure(path, history(size, 100, 32, **options))}",
                    flush=True,
                )
        for clients, unknown in ((5, 0.0), (5, 0.03), (5, 0.05), (32, 0.0)):
            for seed in range(3):
                operations = history(
                    1000, 1, clients, cas=0.3, failing=True, unknown=unknown, seed=seed
                )
                print(
                    f"    1000 cas, {clients:>2} clients, {unknown:.0%} unknown "
                    f"{measure(path, operations)}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
