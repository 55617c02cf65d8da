"""The register of capabilities: what a host can do, and what to do when it cannot.

`hosts.probe` registers those of every host; a project's systems register their own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps

from benchpaper.core.errors import one_of

Check = Callable[[], tuple[bool, str]]

CAPABILITIES: dict[str, "Capability"] = {}


@dataclass(frozen=True)
class Capability:
    """Something a host can do.

    `check()` returns (present, detail); `remedy` says how to get it. If `on_controller`, this
    machine needs it (a compiler, say), not the target hosts.
    """

    name: str
    meaning: str
    remedy: str
    check: Check
    on_controller: bool = False


def capability(
    name: str, meaning: str, remedy: str, on_controller: bool = False
) -> Callable[[Check], Check]:
    """Decorator: register `check() -> (bool, detail)` as the probe of a capability."""

    def register(check: Check) -> Check:
        CAPABILITIES[name] = Capability(name, meaning, remedy, _never_raising(check), on_controller)
        return check

    return register


def _never_raising(check: Check) -> Check:
    """Count a probe that raises as "absent": it must not stop other experiments."""

    @wraps(check)
    def checked() -> tuple[bool, str]:
        try:
            return check()
        except Exception as error:
            message = " ".join(str(error).split())
            return False, f"its probe failed: {type(error).__name__}: {message}"

    return checked


def find_capability(name: str) -> Capability:
    """Return the capability of that name; raises `UserError` with the nearest name otherwise."""
    one_of("capability", name, CAPABILITIES)
    return CAPABILITIES[name]
