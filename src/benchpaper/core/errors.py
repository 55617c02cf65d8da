"""Errors that a user can act on: the value, the rule, the next step, in one line, no traceback."""

import difflib
from collections.abc import Iterable
from typing import TypeVar

T = TypeVar("T")
LONGEST_LIST = 500  # characters of choices that an error names


class UserError(Exception):
    """A mistake that the user can correct. The command line prints its text and exits with 2."""


def did_you_mean(value: object, options: Iterable[object], then: str = "") -> str:
    """Return `; did you mean "x"?` for the nearest of `options`, or "" if none is near.

    `then` is what to do, and follows in either case: `; did you mean "x"? then`, or `; then`.
    """
    near = difflib.get_close_matches(str(value), [str(option) for option in options], n=1)
    if not near:
        return f"; {then}" if then else ""
    return f'; did you mean "{near[0]}"? {then}'.rstrip()


def first_few(items: Iterable[object], most: int = 3, separator: str = ", ") -> str:
    """Return the first items as text, and how many more there are: `a, b, c and 2 more`."""
    items = list(items)
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return separator.join(map(str, items[:most])) + more


def one_of(kind: str, value: T, options: Iterable[object], hint: str = "") -> T:
    """Return `value` if it is among `options`; else raise a `UserError` that names the choices.

    Of many it names only the number, next to the nearest.
    """
    options = list(options)
    if value in options:
        return value
    choices = f": {', '.join(map(str, options)) or 'none'}"
    if len(choices) > LONGEST_LIST:
        choices = f" {len(options)}"
    hint = f"; {hint}" if hint else ""
    raise UserError(
        f'{kind} "{value}" not found{did_you_mean(value, options)} (there are{choices}){hint}'
    )
