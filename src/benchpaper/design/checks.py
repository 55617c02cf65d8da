"""Rules for the names, texts, and numbers of a declaration."""

import math
import re

from benchpaper.core.errors import UserError

INT64 = range(-(2**63), 2**63)  # the integers that a column can hold
MAX_NAME_LENGTH = 63
NAME = re.compile(r"[a-z][a-z0-9_]*")
# The framework's own columns, which a factor or metric of the same name would overwrite; then the
# names that cells, scales, sites, and estimates use for their own attributes.
RESERVED = frozenset([
    "experiment", "site", "scale", "block", "position", "cell", "twin", "row", "seed", "state",
    "reason", "cause", "observations", "attempt", "attempts", "started", "seconds", "overhead_s",
    "paused_s", "suspended_s", "steal_s", "load_1m", "swapped_mb", "throttled_s", "overheated",
    "commands", "code_digest", "plan_digest", "git_commit", "git_clean", "tools", "hosts",
    "capabilities", "id", "levels", "blocks", "counts", "programs", "trial_seconds", "disk_mb",
    "pilot", "half_width", "budget_s", "metric", "q", "of", "to", "value", "low", "high", "n",
    "missing", "block_level", "block_seed", "within",
])  # fmt: skip


class SpecError(UserError):
    """A declaration that breaks a rule."""


def check_name(kind: str, name: str) -> None:
    """Raise `SpecError` unless `name` can name a column. `kind` begins the message."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise SpecError(
            f"{kind} name {name!r} must match {NAME.pattern} (it becomes a column name)"
        )
    if len(name) > MAX_NAME_LENGTH:
        raise SpecError(
            f"{kind} name {name[:20]!r}... has {len(name)} characters; "
            f"{MAX_NAME_LENGTH} are the most"
        )
    if name in RESERVED:
        raise SpecError(f'{kind} name "{name}" is taken by the framework; choose another')


def check_text(what: str, text: str, may_be_empty: bool = True) -> None:
    """Raise `SpecError` unless `text` fits into tables, logs, and the paper as one line."""
    if not isinstance(text, str) or not (text or may_be_empty):
        raise SpecError(
            f"{what} {shown(text)} must be a text{'' if may_be_empty else ' that is not empty'}"
        )
    if wrong := next((c for c in text if not c.isprintable()), None):
        raise SpecError(
            f"{what} {shown(text)} holds {wrong!r}; give one line of printable characters"
        )
    if text != text.strip():
        raise SpecError(f"{what} {shown(text)} begins or ends with an invisible blank; remove it")


def check_number(
    what: str, number: float, minimum: float = -math.inf, above: float = -math.inf
) -> None:
    """Raise `SpecError` unless a column can hold `number`, and it is in range.

    `minimum` is the smallest allowed value; `above` is a bound that the number must exceed.
    """
    if type(number) not in (int, float):
        raise SpecError(f"{what} {shown(number)} must be a number")
    if type(number) is int and number not in INT64:
        raise SpecError(
            f"{what} {shown(number)} does not fit into 64 bits; take a larger unit, or a float"
        )
    if not math.isfinite(number):
        raise SpecError(f"{what} {number} must be a finite number")
    if number < minimum:
        raise SpecError(f"{what} {shown(number)} must be at least {minimum}")
    if number <= above:
        raise SpecError(f"{what} {shown(number)} must be above {above}")


def shown(value: object) -> str:
    """Return a value as one short line. Python refuses to print an integer of 10,000 digits."""
    if type(value) is int and value not in INT64:
        return f"{'-' if value < 0 else ''}2**{abs(value).bit_length() - 1} or more"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:40]}..."
