"""Rules for levels: the values of a factor, or of the blocks."""

from collections.abc import Iterable, Mapping, Sequence

from benchpaper.design.checks import SpecError, check_number, check_text, shown

NULL = "null"  # by convention the level of the null target: the load generator against nothing
MAX_LEVEL_LENGTH = 200  # a text becomes part of a cell's name, in tables, logs, and file names

Level = str | int | float | bool


def checked_levels(what: str, levels: Iterable[Level]) -> tuple[Level, ...]:
    """Return `levels` as a tuple: at least one, all different, of one type that a column can hold.

    Raises `SpecError`, whose message begins with `what`.
    """
    if isinstance(levels, str) or not isinstance(levels, Iterable):
        raise SpecError(f"{what}: levels {shown(levels)} must be a list")
    levels = tuple(levels)
    if not levels:
        raise SpecError(f"{what} has no levels; give at least one")
    kind = type(levels[0])
    if kind not in (str, int, float, bool):
        raise SpecError(f"{what}: a level must be str, int, float or bool, not {kind.__name__}")
    for level in levels:
        check_type(what, level, levels)
        _check_value(f"{what}: level", level)
    if len(set(levels)) != len(levels):
        raise SpecError(f"{what} has a level twice: {list(levels)}")
    return levels


def check_type(what: str, level: Level, levels: Sequence[Level]) -> None:
    """Raise `SpecError` unless `level` has the type of the other levels."""
    kind = type(levels[0])
    if type(level) is not kind:
        raise SpecError(
            f"{what}: level {shown(level)} is {type(level).__name__}, "
            f"but the others are {kind.__name__}; make them all one type"
        )


def _check_value(what: str, level: Level) -> None:
    """Raise `SpecError` unless `level` fits into a column and into the cell's name."""
    if isinstance(level, str):
        check_text(what, level, may_be_empty=False)
        if len(level) > MAX_LEVEL_LENGTH:
            raise SpecError(
                f"{what} {shown(level)} has {len(level)} characters; "
                f"{MAX_LEVEL_LENGTH} are the most"
            )
    elif not isinstance(level, bool):
        check_number(what, level)
        if str(level) == "-0.0":
            raise SpecError(f"{what} -0.0 equals 0.0 and reads differently; write 0.0")


def null_of(factors: Mapping[str, Sequence[Level]]) -> dict[str, Level] | None:
    """Return {factor: level} of the null target, by convention the level "null".

    `factors` is {factor: levels}. Returns None if no factor has that level. Raises `SpecError` if
    several have it, because the experiment then has to declare which is meant.
    """
    names = [name for name, levels in factors.items() if NULL in levels]
    if len(names) > 1:
        raise SpecError(
            f'{" and ".join(names)} both have the level "{NULL}"; '
            "say which is the null target: null=dict(...)"
        )
    return {names[0]: NULL} if names else None
