"""Program that probes a running system, on a host with the role client.

Run it as `python -m experiments.multiprotocol.probe`. Its argument is a JSON object: `what` to do,
`views` (from `stacks.Stack`), counts, and a `seed`. It prints one JSON object per line as it goes,
so that the results so far survive when a server hangs, and `{"done": true}` last.
"""

import json
import sys
import threading
import time

from experiments.multiprotocol import measure, random_history, restarts
from experiments.multiprotocol.anomalies.attribution import Solos
from experiments.multiprotocol.anomalies.kinds import CONFORMANCE, KINDS, LOSES
from experiments.multiprotocol.anomalies.tries import PATIENCE_S, Try
from experiments.multiprotocol.anomalies.watching import Watches
from experiments.multiprotocol.file_operations import Declined
from experiments.multiprotocol.record import Recorded, summary
from experiments.multiprotocol.single_door import InexpressibleError
from experiments.multiprotocol.views import open_views, prepare

SOLO_S = 1.0  # for how long one door alone is tried
TROUBLE = 1  # tries of a kind that may raise before it is given up


def say(**result):
    """Print one JSON object on a line of its own."""
    print(json.dumps(result), flush=True)


def recorded(views, steps):
    """Return both views, noting what is done through them in `steps`."""
    file, objects = views
    return Recorded(file, "file", steps), Recorded(objects, "s3", steps)


def anomalies(plan, new):
    """Try each kind several times, and print one line for each.

    A line is {"kind", "tries", "seen", "witness", "severity", "error"}; `severity` is that of the
    witness. A kind is tried `tries` times, or as often as fits in `kind_s`, but at least once. A
    kind that takes longer than `limit_s` hangs; the next kind gets new connections. `numbers` gives
    the number of a kind's first try; otherwise the seed does. With `once`, a kind stops at its
    first occurrence. With `attribute`, a kind that was seen also has its "solos"
    (`attribution.Solos.tried`).

    Occurrences are watched for at most `watch_s`. Those that last longer than a moment are watched
    on at the end, and a line {"kind", "severity"} follows for each.
    """
    views, alone = [new(), new()], Solos(new, try_kind, plan["limit_s"])
    prepare(views[0][0], "a")
    watches, ask = Watches(plan.get("watch_s", 0)), restarts.asking(plan.get("answers"), say)

    def restart():
        ask()
        alone.reconnect()

    for kind in plan.get("kinds") or KINDS:
        result = dict(kind=kind, tries=0, seen=0, witness=None, severity=None, error=None)
        first = plan.get("numbers", {}).get(kind, 1000 * plan["seed"])
        numbers = range(first, first + plan["tries"])
        worker = threading.Thread(
            target=try_kind,
            args=(result, *views, numbers, plan.get("once")),
            kwargs=dict(
                kind_s=plan["kind_s"],
                patience_s=plan.get("patience_s", PATIENCE_S),
                watches=watches,
                restart=restart,
            ),
            daemon=True,
        )
        worker.start()
        worker.join(plan["limit_s"])
        if worker.is_alive():
            result = {**result, "error": f"hung: did not end within {plan['limit_s']:g} s"}
        # An error may leave a connection unusable: libnfs 4.0 loses count of its opens.
        if result["error"] and result.get("expressible", True):
            try:
                views = [new(), new()]
            except Exception as error:
                say(**result)
                say(gone=_named(error))
                return
        if plan.get("attribute") and result["seen"]:
            result["solos"] = {} if kind in CONFORMANCE else alone.tried(kind, numbers)
        say(**result)
    for occurrence in watches.rest():
        say(kind=occurrence.kind, severity=occurrence.as_dict())


def try_kind(
    result,
    first,
    second,
    numbers,
    once=False,
    place="",
    *,
    kind_s=SOLO_S,
    patience_s=SOLO_S,
    watches=None,
    restart=None,
):
    """Try one kind under these numbers, in a folder of `place`, and fill in `result`.

    It ends after `kind_s`, but tries at least once; a try waits for at most `patience_s`. `watches`
    watches its first occurrence.
    """
    folder = f"a/{result['kind']}{place}"
    errors, end = 0, time.monotonic() + kind_s
    for number in numbers:
        if number > numbers[0] and time.monotonic() > end:
            return
        steps: list[list] = []
        try:
            if number == numbers[0]:
                prepare(first[0], folder)
                # rclone's S3 server removes a folder with its last object.
                first[1].put(f"{folder}/stays", b"")
            pairs = recorded(first, steps), recorded(second, steps)
            t = Try(*pairs, folder, number, restart=restart, patience_s=patience_s)
            occurred = KINDS[result["kind"]](t)
        except InexpressibleError as error:
            result["expressible"] = False
            result["error"] = f"one door alone has no {error}"
            return
        except Declined as error:
            result["expressible"] = False
            result["error"] = str(error)
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
            if watches:
                began = time.monotonic()
                occurrence = watches.occurred(result["kind"], occurred, result["kind"] in LOSES)
                result["severity"] = occurrence.as_dict()
                end += time.monotonic() - began
        if occurred and once:
            return


def _named(error):
    return f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"


DO = {
    "anomalies": anomalies,
    "history": random_history.history,
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
