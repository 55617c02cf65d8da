"""What a host says of an environment that it has, and how a host says that it lacks one.

Standard library only, as in all of this package, because target hosts run it too.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

LISTS = ("contents", "engine", "options")


class Lacking(Exception):
    """A host lacks an environment; the text says what is missing, without naming the host."""


@dataclass(frozen=True)
class Software:
    """An environment as a host has it.

    `identity` says in one line which one it is: results depend on it. `contents` lists its packages
    where that is known. A command runs in it with these `variables`, or, in a container, by the
    program `engine`, of kind podman, docker, or apptainer, with its `options` on that host and the
    image that it calls `image`.
    """

    identity: str
    contents: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    engine: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    kind: str = ""
    image: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data, with the names of the fields as keys."""
        return {**asdict(self), **{name: list(getattr(self, name)) for name in LISTS}}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "Software":
        """Return what `to_json` made plain."""
        lists: dict[str, Any] = {key: tuple(plain[key]) for key in LISTS}
        return cls(**{**plain, **lists})
