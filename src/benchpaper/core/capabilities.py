"""What a host can do, and what to do when it cannot: the register of capabilities.

`hosts.probe` registers those of every host; a project's systems register their own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps

from benchpaper.core.errors import one_of

CAPABILITIES: dict[str, "Capability"] = {}


@dataclass(frozen=True)
class Capability:
    """Something a host can do. `check()` returns (present, detail); `remedy` says how to get it. With `on_controller`
    it is this machine that needs it (a compiler, say), whatever the target hosts are."""

    name: str
    meaning: str
    remedy: str
    check: Callable
    on_controller: bool = False


def capability(name, meaning, remedy, on_controller=False):
    """Decorator: register `check() -> (bool, detail)` as the probe of a capability."""

    def register(check):
        CAPABILITIES[name] = Capability(name, meaning, remedy, _sound(check), on_controller)
        return check

    return register


def _sound(check):
    """Make a probe that raises one that finds nothing: what one experiment lacks must not stop the others."""

    @wraps(check)
    def checked():
        try:
            return check()
        except Exception as error:
            return (
                False,
                f"its probe failed: {type(error).__name__}: {' '.join(str(error).split())}",
            )

    return checked


def find_capability(name: str) -> Capability:
    """Return the capability of that name; raises `UserError` with the nearest one otherwise."""
    one_of("capability", name, CAPABILITIES)
    return CAPABILITIES[name]
