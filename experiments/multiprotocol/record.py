"""Records what is done through a view: the witness of an anomaly."""

import time

SHOWN = 24  # bytes of a content, characters of a name
STEPS = 12  # the last ones of a try that are kept


class Recorded:
    """A view whose operations are noted in `steps` as [ns since the start, side, operation, arguments, result]."""

    def __init__(self, view, side, steps, clock=time.monotonic_ns):
        self._view, self._side, self._steps, self._clock = view, side, steps, clock

    def __getattr__(self, operation):
        function = getattr(self._view, operation)

        def run(*arguments, **options):
            began = self._clock()
            shown = [short(value) for value in arguments] + [f"{name}={short(value)}" for name, value in options.items()]
            try:
                result = function(*arguments, **options)
                self._steps.append([began, self._clock(), self._side, operation, shown, short(result)])
                return result
            except Exception as error:
                self._steps.append([began, self._clock(), self._side, operation, shown, type(error).__name__])
                raise

        return run


def short(value):
    """Return a short text for an argument or a result."""
    if isinstance(value, bytes):
        return f"{value[:SHOWN].decode(errors='replace')}{f'... ({len(value)} B)' if len(value) > SHOWN else ''}"
    if isinstance(value, (set, frozenset)):
        return f"{len(value)} names"
    if isinstance(value, tuple):
        return [short(part) for part in value]
    return value if value is None or isinstance(value, (int, float, str, bool)) else type(value).__name__


def told(steps):
    """Return the last steps in order, times in µs from the first of them."""
    last = sorted(steps, key=lambda step: step[0])[-STEPS:]
    origin = last[0][0] if last else 0
    return [[round((begin - origin) / 1e3), round((end - origin) / 1e3), *rest] for begin, end, *rest in last]
