"""The register of capabilities: what a host can do, and what to do when it cannot.

`hosts.probe` registers those of every host. A project registers its own, in the modules that use
them or, if no single one does, in experiments/capabilities.py. That module is no source of an
experiment: changing it makes no result stale.
"""

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import dataclass
from functools import wraps
from pathlib import Path

from benchpaper.core.errors import one_of
from benchpaper.core.own_modules import mistakes_of

Check = Callable[[], tuple[bool, str]]

OWN = "experiments.capabilities"


class _Register(MutableMapping[str, "Capability"]):
    """{name: capability}. Asked for one that it lacks, it makes it from its name, or looks among
    the project's own.

    A capability counts while the module with its probe is the imported one. So in a process that
    turns to another project, whose modules have the same names, that project's count.
    """

    def __init__(self) -> None:
        self._registered: dict[str, list[Capability]] = {}

    def _find(self, name: str) -> "Capability | None":
        items = reversed(self._registered.get(name, []))
        return next((item for item in items if item.is_imported), None)

    def __getitem__(self, name: str) -> "Capability":
        if (item := self._find(name)) is None and (made := KINDS.get(name.partition(":")[0])):
            item = self[name] = made(name)
        if item is None:
            load_own()
            item = self._find(name)
        if item is None:
            raise KeyError(name)
        return item

    def __contains__(self, name: object) -> bool:
        return self._find(str(name)) is not None

    def __setitem__(self, name: str, item: "Capability") -> None:
        others = [other for other in self._registered.get(name, []) if not other.is_imported]
        self._registered[name] = [*others, item]

    def __delitem__(self, name: str) -> None:
        del self._registered[name]

    def __iter__(self) -> Iterator[str]:
        return iter([name for name in self._registered if name in self])

    def __len__(self) -> int:
        return len(list(iter(self)))


CAPABILITIES: MutableMapping[str, "Capability"] = _Register()
KINDS: dict[str, Callable[[str], "Capability"]] = {}  # {kind: makes the capability KIND:TEXT}


def load_own() -> None:
    """Import experiments/capabilities.py, if the project on Python's path has one.

    Raises `UserError` if it does not import.
    """
    package, _, _ = OWN.partition(".")
    for name in (package, OWN):  # to look for a module imports its package
        if (spec := importlib.util.find_spec(name)) is None:
            return
        if spec.origin is not None:
            path = Path(spec.origin)
            with mistakes_of(path.parents[1], path):
                importlib.import_module(name)


@dataclass(frozen=True)
class Capability:
    """Something a host can do.

    `check()` returns (present, detail); `remedy` says how to get it. If `on_controller`, this
    machine needs it (a compiler, say), not the target hosts. If `role` is not empty, only the host
    that plays it needs it. Importing `module` registers it, on a target host too.
    """

    name: str
    meaning: str
    remedy: str
    check: Check
    module: str
    on_controller: bool = False
    role: str = ""

    @property
    def is_imported(self) -> bool:
        """Whether the module with the probe is the one that its name means now."""
        space = getattr(inspect.unwrap(self.check), "__globals__", None)
        if space is None:
            return True  # it is no function of a module
        module = sys.modules.get(space["__name__"])
        return module is not None and vars(module) is space


def capability(
    name: str, meaning: str, remedy: str, on_controller: bool = False, role: str = ""
) -> Callable[[Check], Check]:
    """Decorator: register `check() -> (bool, detail)` as the probe of a capability."""

    def register(check: Check) -> Check:
        CAPABILITIES[name] = made(
            name, meaning, remedy, check, check.__module__, on_controller, role
        )
        return check

    return register


def made(
    name: str,
    meaning: str,
    remedy: str,
    check: Check,
    module: str,
    on_controller: bool = False,
    role: str = "",
) -> Capability:
    """Return a capability whose probe never raises, without registering it."""
    return Capability(name, meaning, remedy, _never_raising(check), module, on_controller, role)


def register_kinds(*names: str) -> None:
    """Register those capabilities among `names` whose kind makes them from their name."""
    for name in names:
        if name.partition(":")[0] in KINDS:
            _ = CAPABILITIES[name]


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


def modules() -> dict[str, str]:
    """Return {capability: module that registers it}."""
    return {name: item.module for name, item in CAPABILITIES.items()}


def find_capability(name: str) -> Capability:
    """Return the capability of that name; raises `UserError` with the nearest name otherwise."""
    register_kinds(name)
    if name not in CAPABILITIES:
        load_own()
    one_of("capability", name, CAPABILITIES)
    return CAPABILITIES[name]
