"""Durations as people read them."""


def duration(seconds: float) -> str:
    """Return seconds as `45 s`, `12 min` or `2 h 05 min`."""
    seconds = round(seconds)
    if seconds < 90:
        return f"{seconds} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
