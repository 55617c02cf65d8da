"""Program that probes a running system, on a host with the role client.

Run it as `python -m experiments.multiprotocol.probe`. Its argument is a JSON object: `what` to do,
`views` (from `stacks.Stack`), counts, and a `seed`. It prints one JSON object per line as it goes,
so that the results so far survive when a server hangs, and `{"done": true}` last.
"""

import json
import random
import sys
import threading
import time

from experiments.multiprotocol import measure
from experiments.multiprotocol.anomalies.attribution import Solos
from experiments.multiprotocol.anomalies.kinds import CONFORMANCE, KINDS
from experiments.multiprotocol.anomalies.tries import Try
from experiments.multiprotocol.record import Recorded, summary
from experiments.multiprotocol.single_door import InexpressibleError
from experiments.multiprotocol.views import open_views, prepare

TROUBLE = 1  # tries of a kind that may raise before it is given up
SLOW = {  # these write megabytes, or wait
    "missing_while_overwritten",
    "half_written",
    "torn_s3_read",
    "multipart_seen_partly",
    "deleted_comes_back",
    "rename_half_done",
    "directory_rename_half_done",
    "open_file_deleted",
    "directory_gone",
    "names_invented",
}


def say(**result):
    """Print one JSON object on a line of its own."""
    print(json.dumps(result), flush=True)


def recorded(views, steps):
    """Return both views, noting what is done through them in `steps`."""
    file, objects = views
    return Recorded(file, "file", steps), Recorded(objects, "s3", steps)


def anomalies(plan, new):
    """Try each kind several times, and print one line for each.

    A line is {"kind", "tries", "seen", "witness", "error"}. A kind that takes longer than `limit_s`
    hangs; the next kind gets new connections. `numbers` gives the number of a kind's first try;
    otherwise the seed does. With `once`, a kind stops at its first occurrence. With `attribute`, a
    kind that was seen also has its "solos" (`attribution.Solos.tried`).
    """
    views, alone = [new(), new()], Solos(new, try_kind, plan["limit_s"])
    prepare(views[0][0], "a")
    for kind in plan.get("kinds") or KINDS:
        result = dict(kind=kind, tries=0, seen=0, witness=None, error=None)
        tries = plan["slow_tries"] if kind in SLOW else plan["tries"]
        first = plan.get("numbers", {}).get(kind, 1000 * plan["seed"])
        worker = threading.Thread(
            target=try_kind,
            args=(result, *views, range(first, first + tries), plan.get("once")),
            daemon=True,
        )
        worker.start()
        worker.join(plan["limit_s"])
        if worker.is_alive():
            result = {**result, "error": f"hung: did not end within {plan['limit_s']:g} s"}
            try:
                views = [new(), new()]
            except Exception as error:
                say(**result)
                say(gone=_named(error))
                return
        if plan.get("attribute") and result["seen"]:
            numbers = range(first, first + tries)
            result["solos"] = {} if kind in CONFORMANCE else alone.tried(kind, numbers)
        say(**result)


def try_kind(result, first, second, numbers, once=False, place=""):
    """Try one kind under these numbers, in a folder of `place`, and fill in `result`."""
    folder = f"a/{result['kind']}{place}"
    errors = 0
    for number in numbers:
        steps: list[list] = []
        try:
            if number == numbers[0]:
                prepare(first[0], folder)
                # rclone's S3 server removes a folder with its last object.
                first[1].put(f"{folder}/stays", b"")
            t = Try(recorded(first, steps), recorded(second, steps), folder, number)
            occurred = KINDS[result["kind"]](t)
        except InexpressibleError:
            result["expressible"] = False
            return
        except Exception as error:
            result["error"] = result["error"] or _named(error)
            errors += 1
            if errors > TROUBLE:
                return
            continue
        if occurred is None:
            continue
        result["tries"] += 1
        result["seen"] += bool(occurred)
        if occurred and not result["witness"]:
            result["witness"] = summary(steps)
        if occurred and once:
            return


def _named(error):
    return f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"


def history(plan, new):
    """Run random operations of several clients through both sides, and print the history."""
    began, lock = time.monotonic_ns(), threading.Lock()
    rows: list[dict] = []
    prepare(new()[0], "h")
    clients = [
        threading.Thread(target=_client, args=(plan, new(), n, began, rows, lock))
        for n in range(plan["clients"])
    ]
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join()
    for row in rows:
        say(**row)


def _client(plan, views, number, began, rows, lock):
    rng, side = random.Random(f"{plan['seed']} {number}"), "file" if number % 2 else "s3"
    file, objects = views
    for count in range(plan["operations"]):
        key, value = f"h/k{rng.randrange(plan['keys'])}", f"{number}-{count}"
        op = rng.choices(["read", "write", "delete"], [6, 4, plan.get("deletes", 0)])[0]
        row = dict(client=number, side=side, op=op, key=key, invoked_ns=time.monotonic_ns() - began)
        if op == "write":
            row["value"] = value
        try:
            row["result"] = _do(file if side == "file" else objects, side, op, key, value)
            row["completed_ns"] = time.monotonic_ns() - began
        except Exception:  # it may or may not have taken effect
            row["completed_ns"] = None
        with lock:
            rows.append(row)


def _do(view, side, op, key, value):
    if op == "read":
        got = view.read(key) if side == "file" else view.get(key)
        content = got[0] if got and side == "s3" else got
        return content if content is None else content.decode(errors="replace")
    if op == "write":
        (view.write if side == "file" else view.put)(key, value.encode())
    else:
        view.delete(key)
    return "ok"


DO = {
    "anomalies": anomalies,
    "history": history,
    "visibility": measure.visibility,
    "tradeoff": measure.tradeoff,
}


def main():
    plan = json.loads(sys.argv[1])
    new = open_views(plan["views"])
    for result in DO[plan["what"]](plan, new) or ():
        say(**result)
    say(done=True)


if __name__ == "__main__":
    main()
