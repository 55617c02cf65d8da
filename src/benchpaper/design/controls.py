"""The cells with a part of their own: the twin, the null target, and the controls.

A control is a level that is no real system: a store in memory, or one of known latency. It shows
that the measuring is right, but is quieter than what is measured, so it gives no noise floor.
"""

from collections.abc import Iterable, Mapping, Sequence

from benchpaper.design.checks import SpecError
from benchpaper.design.declarations import Factor, check_levels
from benchpaper.design.levels import Level


def is_control(
    levels: Mapping[str, Level],
    controls: Mapping[str, Sequence[Level]],
    null: Mapping[str, Level] | None,
) -> bool:
    """Return whether a cell, given as {factor: level}, is a control or the null target."""
    nulls = [(name, [level]) for name, level in (null or {}).items()]
    return any(levels.get(name) in chosen for name, chosen in [*controls.items(), *nulls])


def checked_controls(
    factors: Sequence[Factor], controls: Mapping[str, Iterable[Level]] | None
) -> dict[str, list[Level]]:
    """Return {factor: levels} of the controls. Raises `SpecError` for undeclared levels."""
    made = {}
    for name, levels in (controls or {}).items():
        if isinstance(levels, str) or not isinstance(levels, Iterable):
            raise SpecError(f"controls: {name}={levels!r} must be a list of levels")
        made[name] = list(levels)
        for level in made[name]:
            check_levels("controls", factors, {name: level})
    return made


def check_parts(
    factors: Sequence[Factor],
    twin: Mapping[str, Level] | None,
    null: Mapping[str, Level] | None,
    controls: Mapping[str, Sequence[Level]],
) -> None:
    """Raise `SpecError` unless twin and null are declared cells, and the twin is a real one."""
    if null is not None:
        check_levels("null", factors, null)
        if len(null) != 1:
            raise SpecError(
                f'null={dict(null)} must be one level of one factor, as null=dict(path="null")'
            )
    if twin is None:
        return
    check_levels("twin", factors, twin)
    if missing := [factor.name for factor in factors if factor.name not in twin]:
        raise SpecError(f"twin gives no level for {', '.join(missing)}")
    if is_control(twin, controls, null):
        raise SpecError(
            f"twin={dict(twin)} is a control, which is quieter than what is measured; "
            "name the noisiest real cell, or leave the twin out"
        )
