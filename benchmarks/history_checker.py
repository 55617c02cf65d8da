"""How long does the history checker take? `python benchmarks/history_checker.py [OPERATIONS]`: right and wrong histories
of unique values on 100 keys by 32 clients, some with deletes and compare-and-sets, each in a process of its own; then
histories of 1,000 operations with compare-and-sets that fail and unknown outcomes. On an otherwise idle machine."""

import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]


def history(
    count, keys, clients, *, deletes=0.0, cas=0.0, failing=False, wrong=False, unknown=0.0, seed=1
):
    """Yield operations that each happen at an instant within them; in a `wrong` one some reads return old values."""
    rng, now, planned, state, old, value = random.Random(seed), [0] * clients, [], {}, {}, 0
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
        common = dict(client=client, key=key, invoked_ns=10**18 + begin, completed_ns=10**18 + end)
        lost = False
        if rng.random() < unknown:  # half of these happened
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


def measured(path, operations):
    with open(path, "w") as file:
        file.writelines(json.dumps(one) + "\n" for one in operations)
    times = []
    for _ in range(3):
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "experiments.multiprotocol.checker", str(path), "--json"],
            capture_output=True,
            text=True,
            cwd=ROOT,
        )
        times.append((time.perf_counter() - began, json.loads(done.stdout)))
    wall, told = min(times, key=lambda pair: pair[0])
    return f"{wall:6.2f} s, parsed {told['parse_s']:.2f}, checked {told['check_s']:.3f}; {told['verdict']}; {path.stat().st_size / 1e6:.0f} MB"


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10**6
    kinds = {
        "reads and writes": {}, "the same, wrong": dict(wrong=True), "with deletes and cas": dict(deletes=0.05, cas=0.1),
        "the same, wrong ": dict(deletes=0.05, cas=0.1, wrong=True),
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "history.jsonl"
        for size in (count // 10, count):
            for name, options in kinds.items():
                print(
                    f"{size:>8} {name:<22} {measured(path, history(size, 100, 32, **options))}",
                    flush=True,
                )
        for clients, unknown in ((5, 0.0), (5, 0.03), (5, 0.05), (32, 0.0)):
            for seed in range(3):
                operations = history(
                    1000, 1, clients, cas=0.3, failing=True, unknown=unknown, seed=seed
                )
                print(
                    f"    1000 cas, {clients:>2} clients, {unknown:.0%} unknown {measured(path, operations)}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
