"""Replay of anomalies: each again, on a server started for it.

    python -m experiments.multiprotocol.replay                 all of the reference: some minutes
    python -m experiments.multiprotocol.replay seaweedfs       those of one system
    python -m experiments.multiprotocol.replay lost_update seaweedfs --steps
    python -m experiments.multiprotocol.replay --once          each kind on one system only
    python -m experiments.multiprotocol.replay --list          what is stored

A witness lists, step by step, what was done in a try in which a kind of anomaly occurred. A replay
does the same steps with the same names and contents until the anomaly occurs again or the tries are
used up. Most anomalies occur each time; races do not. System, setting and kind come in any order.
If no witness is stored for a system and a kind, the kind is tried afresh. The output ends with a
table of kinds and systems: in how many of the settings with a witness the kind was replayed.

exit status: 0 all were replayed, 1 some were not, or none could be tried here, 2 a mistake in the
             arguments
"""

import argparse
import difflib
import json
import re
import shutil
import sys
import tempfile
from itertools import pairwise
from types import SimpleNamespace

from benchpaper import CAPABILITIES, LocalHost, UserError
from experiments.multiprotocol import running, stacks
from experiments.multiprotocol.anomalies import severity
from experiments.multiprotocol.anomalies.kinds import KINDS

TRIES = 100
SYSTEMS = list(stacks.LEVELS)
WORDS = {"system": SYSTEMS, "setting": stacks.SETTINGS, "kind": list(KINDS)}


def main(arguments=None):
    """Replay the witnesses that the arguments name; return the exit status."""
    from benchpaper import load  # it needs pandas, which no experiment does

    options = _arguments(arguments)
    try:
        wanted = chosen(
            stored(load("multiprotocol/anomalies", options.results).observation_df), options
        )
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    if not wanted and options.system and options.kind:
        key = options.system, options.setting or "default", options.kind
        if not stacks.valid(*key[:2]):
            print(f"{key[0]} has no setting {key[1]}", file=sys.stderr)
            return 2
        wanted = {key: None}
    if not wanted:
        print("no such witness is stored; --list shows all that are", file=sys.stderr)
        return 2
    done = {}
    for number, (key, steps) in enumerate(wanted.items(), 1):
        print(
            f"[{number}/{len(wanted)}] {', '.join(key)}",
            end="\n" if options.list else ": ",
            flush=True,
        )
        if not options.list:
            done[key] = replayed(key, steps, options.tries)
            print(said(done[key]), flush=True)
        if options.steps:
            show(steps or done.get(key, {}).get("witness") or [])
    if options.list:
        return 0
    print(f"\n{table(done)}\n")
    return conclude(done)


def _arguments(arguments):
    kinds = "\n".join(f"  {name:<26} {function.__doc__}" for name, function in KINDS.items())
    made = argparse.ArgumentParser(
        prog="python -m experiments.multiprotocol.replay",
        description=__doc__,
        epilog=f"kinds:\n{kinds}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument(
        "words",
        nargs="*",
        metavar="SYSTEM, SETTING, KIND",
        help=f"one of the systems {', '.join(SYSTEMS)}; one of the settings "
        f"{', '.join(stacks.SETTINGS)}; one of the kinds below",
    )
    made.add_argument(
        "--results",
        metavar="FOLDER",
        help="your results, such as results/local/quick (default: the reference)",
    )
    made.add_argument(
        "--once",
        action="store_true",
        help="each kind only on the first system with a witness of it",
    )
    made.add_argument(
        "--tries",
        type=int,
        default=TRIES,
        help=f"at most so many for each witness (default {TRIES})",
    )
    made.add_argument("--steps", action="store_true", help="show the stored steps")
    made.add_argument("--list", action="store_true", help="list what is stored, replay nothing")
    options = made.parse_args(arguments)
    vars(options).update(system=None, setting=None, kind=None)
    for word in options.words:
        what = next((what for what, words in WORDS.items() if word in words), None)
        if what is None:
            every = [known for words in WORDS.values() for known in words]
            close = difflib.get_close_matches(word, every, 1)
            hint = f'; did you mean "{close[0]}"?' if close else ""
            made.error(f'"{word}" is no system, setting, or kind{hint}')
        if getattr(options, what):
            made.error(f'"{word}" is a second {what}')
        setattr(options, what, word)
    return options


def stored(observation_df):
    """Return {(system, setting, kind): steps}, the first witness of each in the results."""
    first: dict[tuple, list] = {}
    for row in observation_df.sort_values("block").itertuples():
        for kind, steps in json.loads(row.witnesses).items():
            first.setdefault((row.system, row.setting, kind), steps)

    def place(key):
        system, setting, kind = key
        return SYSTEMS.index(system), setting != "default", setting, list(KINDS).index(kind)

    return {key: first[key] for key in sorted(first, key=place)}


def chosen(witnesses, options):
    """Return the witnesses that the arguments select."""
    limits = (options.system, options.setting, options.kind)
    named = {
        key: steps
        for key, steps in witnesses.items()
        if all(limit in (None, part) for limit, part in zip(limits, key, strict=True))
    }
    if not options.once:
        return named
    first: dict[str, tuple] = {}
    for key in named:
        first.setdefault(key[2], key)
    return {key: named[key] for key in first.values()}


def replayed(key, steps, tries):
    """Replay one witness on a fresh server on this machine.

    Returns what the probe reported, or {"needs": the missing capabilities}.
    """
    system, setting, kind = key
    missing = [name for name in stacks.needs(system) if not CAPABILITIES[name].check()[0]]
    if missing:
        return dict(needs=", ".join(missing))
    folder = tempfile.mkdtemp(prefix="replay-")
    try:
        host = LocalHost(folder=folder)
        site, cell = (
            SimpleNamespace(server=host, client=host),
            SimpleNamespace(system=system, setting=setting),
        )
        return again(site, cell, {kind: steps}, tries, watch_s=severity.MOMENT_S)[kind]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def again(site, cell, witnesses, tries, at_most_s=60, watch_s=0):
    """Start the cell's system afresh and replay {kind: steps}; try those without steps.

    Returns {kind: {"seen", "tries", "error", "witness", "severity", "alike"}}; `alike` is True if
    the steps were the stored ones.
    """
    numbers = {kind: number_of(steps) for kind, steps in witnesses.items() if steps}
    said, outcome = running.run(
        site,
        cell,
        at_most_s,
        what="anomalies",
        kinds=list(witnesses),
        numbers=numbers,
        tries=tries,
        kind_s=at_most_s / 2,
        watch_s=watch_s,
        once=True,
        seed=0,
        limit_s=at_most_s / 2,
    )
    result_of = {result["kind"]: result for result in said}
    unheard = dict(seen=0, tries=0, error=outcome, witness=None, severity=None)
    return {kind: _judged(result_of.get(kind, unheard), steps) for kind, steps in witnesses.items()}


def _judged(result, steps):
    return result | dict(alike=not steps or shape(result["witness"]) == shape(steps))


def number_of(steps):
    """Return the number of the try that a witness records: its names and contents carry it."""
    return int(re.findall(r"/[nd](\d+)", json.dumps(steps))[0])


def shape(steps):
    """Return the sides and operations of a witness in order, with equal ones in a row merged."""
    done = [(side, operation) for _, _, side, operation, *_ in steps or []]
    return [step for before, step in pairwise([None, *done]) if step != before]


def said(result):
    """Return the line that reports one replay."""
    if "needs" in result:
        return f"not testable here: needs {result['needs']}"
    trouble = f"; {result['error']}" if result["error"] else ""
    if not result["tries"] and trouble:
        return f"NOT JUDGED{trouble}"
    if not result["seen"]:
        return f"NOT REPLAYED in {result['tries']} tries{trouble}"
    return (
        f"replayed, try {result['tries']}, severity {severity.LEVELS[result['severity']['level']]}"
        + ("" if result["alike"] else ", its steps in another order")
        + trouble
    )


def show(steps):
    """Print the steps of a witness, one per line."""
    for begin, end, side, operation, given, result, *times in steps:
        repeated = f"  ({times[0]} times)" if times and times[0] > 1 else ""
        print(
            f"{begin:>10} to {end:>8} µs  {side:>4}  "
            f"{operation}({', '.join(map(str, given))}) -> {result}{repeated}"
        )


def table(done):
    """Return kinds by systems as text: in how many settings with a witness each was replayed."""
    tried = {key: result for key, result in done.items() if "needs" not in result}
    systems = list(dict.fromkeys(system for system, _, _ in tried))
    rows = [["replayed in", *systems]]
    for kind in [kind for kind in KINDS if any(key[2] == kind for key in tried)]:
        cells = [
            [result["seen"] > 0 for (s, _, k), result in tried.items() if (s, k) == (system, kind)]
            for system in systems
        ]
        rows.append([kind, *[f"{sum(cell)} of {len(cell)}" if cell else "" for cell in cells]])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def conclude(done):
    """Print how many witnesses and kinds were replayed; return the exit status."""
    tried = {key: result["seen"] > 0 for key, result in done.items() if "needs" not in result}
    kinds = {kind: any(ok for key, ok in tried.items() if key[2] == kind) for _, _, kind in tried}
    skipped = f"; {len(done) - len(tried)} not testable here" if len(done) > len(tried) else ""
    print(
        f"{sum(tried.values())} of {len(tried)} witnesses replayed, "
        f"of {sum(kinds.values())} of {len(kinds)} kinds at least one{skipped}"
    )
    return 0 if tried and all(tried.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
