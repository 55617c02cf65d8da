"""Records of what is done through a view: the witness of an anomaly."""

import itertools
import time
import zlib
from inspect import isgeneratorfunction

SHOWN = 24  # bytes of a content, characters of a name
NAMES = 8  # names of a listing that are shown
ENDED = "ended"
FIRST, LAST = 6, 14  # first and last steps of a try that are kept, after merging equal ones


class Recorded:
    """View that notes its operations in `steps`.

    A step is [start in ns, end in ns, side, operation, arguments, result].
    """

    def __init__(self, view, side, steps, clock=time.monotonic_ns):
        self._view, self._side, self._steps, self._clock = view, side, steps, clock

    def __getattr__(self, operation):
        function = getattr(self._view, operation)

        def run(*arguments, **options):
            shown = [short(value) for value in arguments] + [
                f"{name}={short(value)}" for name, value in options.items()
            ]
            if isgeneratorfunction(function):
                return self._each(operation, shown[:1], function(*arguments, **options))
            result = self._note(operation, shown, lambda: function(*arguments, **options))
            if callable(result):  # an open file: what is read from it later is part of the try
                return lambda: self._note(f"{operation}, then read", shown, result)
            return result

        return run

    def _note(self, operation, shown, act):
        began, said = self._clock(), None
        try:
            result = act()
            said = short(result)
            return result
        except Exception as error:
            said = type(error).__name__
            raise
        finally:
            self._steps.append([began, self._clock(), self._side, operation, shown, said])

    def _each(self, operation, shown, parts):
        """Note each step of an operation that stops on the way."""
        for number in itertools.count(1):
            if (
                self._note(f"{operation}, step {number}", shown, lambda: next(parts, ENDED))
                is ENDED
            ):
                return
            yield


def short(value):
    """Return a short text for an argument or a result.

    Long contents are shown by both ends, length, and checksum, so that a mixture of two differs
    from both.
    """
    if isinstance(value, bytes) and len(value) > 2 * SHOWN:
        ends = (
            f"{value[:SHOWN].decode(errors='replace')}...{value[-SHOWN:].decode(errors='replace')}"
        )
        return f"{ends} ({len(value)} B, CRC {zlib.crc32(value):08x})"
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, (set, frozenset)):
        return short(sorted(value))
    if isinstance(value, list):  # of names, in their order
        return (
            ", ".join("/".join(name.split("/")[-2:]) for name in value)
            if len(value) <= NAMES
            else f"{len(value)} names"
        )
    if isinstance(value, tuple):
        return [short(part) for part in value]
    return (
        value
        if value is None or isinstance(value, (int, float, str, bool))
        else type(value).__name__
    )


def summary(steps):
    """Return the steps in order, with times in µs from the first one.

    Equal steps in a row become one step with their count at the end. Of many steps, only the first
    and the last ones are kept.
    """
    rows: list[list] = []
    for begin, end, *rest in sorted(steps, key=lambda step: step[0]):
        if rows and rows[-1][2:6] == rest:
            rows[-1][1] = end
            rows[-1][6] += 1
        else:
            rows.append([begin, end, *rest, 1])
    kept = rows if len(rows) <= FIRST + LAST else rows[:FIRST] + rows[-LAST:]
    origin = kept[0][0] if kept else 0
    return [
        [round((begin - origin) / 1e3), round((end - origin) / 1e3), *rest]
        for begin, end, *rest in kept
    ]
