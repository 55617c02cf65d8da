"""Check whether the history in a file is linearizable, key by key.

The file holds one JSON object per line, or one JSON array of such objects:

  {"client": 1, "op": "write", "key": "k", "value": 7, "invoked_ns": 10, "completed_ns": 20}

op            read | write | cas | delete
value         what a write writes (any JSON value; 1, "1" and true differ, 1 and 1.0 are equal)
expected, new of a cas
result        what a read returned. For the others, how they ended:
                true or "ok"         success (also null, or no result, except for a cas)
                false                of a cas: the key held another value than the expected one
                "fail"               the operation itself failed: it changed nothing, and tells
                                     nothing of the value (for a write or delete, false says the
                                     same)
                "info" or "unknown"  the outcome is unknown, as with completed_ns null
              Other words are refused. A read that failed has the completed_ns null, or no line.
invoked_ns, completed_ns
              whole numbers. completed_ns is null if the outcome is unknown: the operation may
              have happened at any time after its invocation, or never. One operation precedes
              another if it completed before the other was invoked; at a tie they overlap.

A key that was never written, or that was deleted, reads null; --initial gives another first value.
Blank lines and other fields are ignored; a field given twice is bad input. The text is UTF-8,
optionally compressed with gzip or zstd. Operations of one client may overlap.

With --format edn the file is a history of Jepsen or Knossos: maps with :process, :type (:invoke,
then :ok, :fail, or :info), :f (:read, :write, :cas, or :acquire and :release), and :value, in one
list or one after the other. Only their order counts. [key value] names a register if every read is
invoked with [key nil]. What ended in :fail did not happen. As for Knossos, a read that returned nil
tells nothing.

exit status: 0 linearizable, 1 not linearizable, 2 bad input (also no operation at all),
             3 unknown (the bounds did not suffice), 4 the checker itself failed
"""

import argparse
import io
import json
import os
import sys
import time
import traceback
from pathlib import Path

from experiments.multiprotocol.checker import draw, native, sessions
from experiments.multiprotocol.checker.check import check, explain, overall
from experiments.multiprotocol.checker.history import BadInput
from experiments.multiprotocol.checker.reading import EDN, JSON, format_of, read
from experiments.multiprotocol.checker.search import LINEARIZABLE, UNKNOWN, VIOLATION, Bounds
from experiments.multiprotocol.checker.values import Trouble, loads

STATUS = {LINEARIZABLE: 0, VIOLATION: 1, UNKNOWN: 3}
BAD_INPUT, FAILED = 2, 4
MOST = 1e9  # limit of the bounds: seconds, or configurations
SHOWN = 3  # violated keys that get a witness, unless --all


def main(arguments=None):
    """Check the history that the arguments name; return the exit status."""
    options = parser().parse_args(arguments)
    if options.picture and Path(options.picture).suffix not in draw.PICTURES:
        return refuse(
            f"--picture {options.picture}: a picture's name ends in {', '.join(draw.PICTURES)}"
        )
    try:
        began = time.perf_counter()
        if not native.library():
            print(f"checker: {native.why_not()}", file=sys.stderr)
        format = options.format or format_of(options.history)
        if format == EDN and options.staleness:
            return refuse("--staleness: an EDN history orders its entries; it has no times")
        path = "/dev/stdin" if options.history == "-" else options.history
        history = read(path, format, options.nil_reads)
        history.start_with(options.initial)
        parsed = time.perf_counter()
    except BadInput as error:
        return refuse(f"{options.history}, {error}")
    except OSError as error:
        return refuse(f"{options.history}: {error.strerror}")
    if not len(history) and not options.allow_empty:
        return refuse(
            f"{options.history}: no operation in it, so nothing was checked; "
            "--allow-empty takes that for linearizable"
        )
    verdicts = check(history, Bounds(options.seconds, max(1, int(options.configurations))))
    checked = time.perf_counter()
    violated = [verdict for verdict in verdicts if verdict.word == VIOLATION]
    shown = violated if options.all else violated[:SHOWN]
    for verdict in shown:
        explain(history, verdict, options.witness_seconds / len(shown))
    further = sessions.report(history, options.sessions, options.staleness)
    times = {"parse_s": round(parsed - began, 3), "check_s": round(checked - parsed, 3)}
    show = as_json if options.json else as_text
    say(show(history, verdicts, shown, further, times))
    if options.picture:
        draw_picture(history, violated, options.picture)
    return STATUS[overall(verdicts)]


def say(text):
    """Print `text` in any terminal encoding; a closed pipe does not change the verdict."""
    if sys.stdout is None:  # the caller closed it; the exit status carries the verdict
        return
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def draw_picture(history, violated, path):
    if not violated:
        print(
            f"checker: nothing to draw, {path} is not written: no key is known to be wrong",
            file=sys.stderr,
        )
        return
    try:
        draw.picture(history, violated[0], path)
    except OSError as error:
        print(f"checker: --picture {path}: {error.strerror or error}", file=sys.stderr)


def refuse(what):
    """Print why the input is bad; return the exit status."""
    print(f"checker: {what}", file=sys.stderr)
    return BAD_INPUT


def parser():
    made = argparse.ArgumentParser(
        prog="python -m experiments.multiprotocol.checker",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("history", help="the file; - is standard input")
    made.add_argument(
        "--format",
        choices=[JSON, EDN],
        help="what the file holds (edn if its name ends in .edn, .edn.gz or .edn.zst, else json)",
    )
    made.add_argument(
        "--initial",
        metavar="VALUE",
        type=json_value,
        default=None,
        help="what each key first holds, as JSON (null); a keyword of EDN is a string, as '\":a\"'",
    )
    made.add_argument(
        "--nil-reads",
        action="store_true",
        help="with edn: a read that returned nil saw nil, and not something unknown",
    )
    made.add_argument(
        "--allow-empty",
        action="store_true",
        help="a history without any operation is linearizable, not bad input",
    )
    made.add_argument(
        "--picture",
        metavar="FILE",
        help="draw the first violation as a timeline (.svg, .png or .pdf)",
    )
    made.add_argument("--json", action="store_true", help="print one JSON object")
    made.add_argument(
        "--all",
        action="store_true",
        help=f"a witness for every violated key, not for the first {SHOWN}",
    )
    made.add_argument(
        "--sessions", action="store_true", help="also tell each client's session guarantees"
    )
    made.add_argument(
        "--staleness",
        action="store_true",
        help="also tell how old the values were that reads returned",
    )
    made.add_argument(
        "--seconds",
        type=positive,
        default=20.0,
        help="bound of the search, for keys that need one (20)",
    )
    made.add_argument(
        "--configurations",
        type=positive,
        default=2_000_000,
        help="bound of its memory: how many it keeps at a time (2000000), "
        "but never more than 0.5 GB of them",
    )
    made.add_argument(
        "--witness-seconds", type=positive, default=5.0, help="time for making witnesses small (5)"
    )
    return made


def positive(text):
    value = float(text)
    if not 0 < value <= MOST:
        raise argparse.ArgumentTypeError(f"{text} is not above 0 and at most {MOST:.0e}")
    return value


def json_value(text):
    try:
        return loads(text)
    except Trouble:
        raise argparse.ArgumentTypeError(
            f"{text} is not JSON; write a string with its quotes, as '\"{text}\"'"
        ) from None


def as_text(history, verdicts, shown, further, times):
    """Return the report as text; `shown` are the verdicts with a witness."""
    counts = {word: sum(verdict.word == word for verdict in verdicts) for word in STATUS}
    lines = [f"{len(history)} operations on {len(verdicts)} keys: {overall(verdicts)}"]
    lines += [f"  {history.note}"] * bool(history.note)
    lines += [
        f"  {count} keys {word}"
        for word, count in counts.items()
        if count and len(verdicts) > count
    ]
    for verdict in shown:
        lines += ["", *draw.text(history, verdict)]
    if counts[VIOLATION] > len(shown):
        lines += [
            "",
            f"{counts[VIOLATION] - len(shown)} more keys are not linearizable; "
            "--all shows a witness for each",
        ]
    if counts[UNKNOWN]:
        lines += ["", "unknown: deciding is NP-complete where values repeat; raise --seconds,"]
        lines += ["or --configurations, of which never more than 0.5 GB are kept"]
    lines += [line for part in further for line in ["", *part.lines()]]
    return "\n".join(
        [*lines, "", f"parsed in {times['parse_s']:.3f} s, checked in {times['check_s']:.3f} s"]
    )


def as_json(history, verdicts, shown, further, times):
    """Return the report as one JSON object; `shown` are the verdicts with a witness."""
    return json.dumps(
        {
            "verdict": overall(verdicts),
            "operations": len(history),
            "unit": history.unit,
            **({"note": history.note} if history.note else {}),
            **times,
            "keys": {history.values[verdict.key]: verdict.word for verdict in verdicts},
            "witnesses": [
                {
                    "key": history.values[verdict.key],
                    "lines": [int(history.line[p]) for p in verdict.witness.places],
                    "irreducible": verdict.witness.irreducible,
                    "taken_as_writes": [int(history.line[p]) for p in verdict.witness.relaxed],
                }
                for verdict in shown
            ],
            **{part.name: part.as_dict() for part in further},
        }
    )


def guarded():
    """Run `main`; return `FAILED` if the checker itself fails.

    Python's own status for an uncaught exception is 1, which would look like a verdict.
    """
    try:
        return main()
    except KeyboardInterrupt:
        print("checker: interrupted", file=sys.stderr)
    except MemoryError:
        print(
            "checker: the history does not fit into memory; give it fewer keys at a time",
            file=sys.stderr,
        )
    except Exception:
        traceback.print_exc()
    return FAILED


if __name__ == "__main__":
    sys.exit(guarded())
